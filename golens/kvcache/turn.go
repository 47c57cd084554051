// Turn: one run's use of a cache, from the check that it fits to the moment when what the run added counts.
package kvcache

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Turn is one run's use of the layers First to Last-1 of a cache. What it holds belongs to it until End.
type Turn struct {
	First, Last int
	Past        int         // positions that the cache held when the turn began
	Keys        []Extension // by layer, from First on
	Values      []Extension

	growing []*Entry
}

// Extension is what one layer's keys, or values, are extended from.
type Extension struct {
	Past *tensor.Tensor // [batch, past, head, d_head]
	Room *tensor.Tensor // [batch, past + new, head, d_head], Past its front; nil where the layer is frozen
}

// Begin checks that layers first to last-1 of the cache fit, and makes room for n more positions in those entries
// that grow. End must follow.
func (c *Cache) Begin(b backend.Backend, want Shape, first, last, n int) (*Turn, error) {
	if len(c.Entries) != want.Layers {
		return nil, fmt.Errorf("%w: it has %d layers, the model has %d", ErrMismatch, len(c.Entries), want.Layers)
	}
	if err := c.fits(first, last, n); err != nil {
		return nil, err
	}
	t := &Turn{First: first, Last: last}
	for layer := first; layer < last; layer++ {
		if err := t.take(b, c.Entries[layer], layer, want, n, c.isFrozen(layer)); err != nil {
			t.End(false)
			return nil, err
		}
	}
	return t, nil
}

// take adds one entry to the turn.
func (t *Turn) take(b backend.Backend, e *Entry, layer int, want Shape, n int, frozen bool) error {
	if e == nil {
		return fmt.Errorf("%w: layer %d has no entry", ErrMismatch, layer)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(want, layer); err != nil {
		return err
	}
	past := e.keys.past.Dim(1)
	if layer > t.First && past != t.Past {
		return fmt.Errorf("%w: layer %d holds %d positions, layer %d holds %d (a run that stopped early, or an edit, left them apart)", ErrMismatch, t.First, t.Past, layer, past)
	}
	t.Past = past
	if !frozen {
		if err := e.begin(b, n); err != nil {
			return err
		}
		t.growing = append(t.growing, e)
	}
	keys, err := e.keys.extension(frozen)
	if err != nil {
		return err
	}
	t.Keys = append(t.Keys, keys)
	values, err := e.values.extension(frozen)
	if err != nil {
		return err
	}
	t.Values = append(t.Values, values)
	return nil
}

// extension is what a run reads and writes; where it is frozen, nothing of what another run is writing.
func (s *series) extension(frozen bool) (Extension, error) {
	past, err := view(s.past)
	if err != nil || frozen {
		return Extension{Past: past}, err
	}
	room, err := view(s.next)
	if err != nil {
		past.Release()
		return Extension{}, err
	}
	return Extension{Past: past, Room: room}, nil
}

// check reports keys or values that are not what the model and the batch have.
func (e *Entry) check(want Shape, layer int) error {
	for _, s := range []struct {
		what string
		t    *tensor.Tensor
	}{{"keys", e.keys.past}, {"values", e.values.past}} {
		if s.t == nil {
			return fmt.Errorf("%w: the entry of layer %d was released", ErrMismatch, layer)
		}
		d := s.t.Shape()
		if d[0] != want.Batch || d[2] != want.Heads || d[3] != want.DHead || s.t.DType() != want.DType {
			return fmt.Errorf("%w: the past %s of layer %d are %s %v; this model and these tokens need %s [%d, pos, %d, %d] (batch, pos, key-value heads, d_head)",
				ErrMismatch, s.what, layer, s.t.DType(), d, want.DType, want.Batch, want.Heads, want.DHead)
		}
	}
	if n, m := e.keys.past.Dim(1), e.values.past.Dim(1); n != m {
		return fmt.Errorf("%w: layer %d has %d keys and %d values", ErrMismatch, layer, n, m)
	}
	return nil
}

// End ends the turn: with done, the entries that grow now hold what was written into their room.
func (t *Turn) End(done bool) {
	for _, list := range [][]Extension{t.Keys, t.Values} {
		for _, x := range list {
			x.Past.Release()
			x.Room.Release()
		}
	}
	t.Keys, t.Values = nil, nil
	for _, e := range t.growing {
		e.mu.Lock()
		e.end(done)
		e.mu.Unlock()
	}
	t.growing = nil
}
