// Past: a forward pass that goes on from a KV cache.
package model

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// NewCache makes an empty KV cache for this model. With rotated, keys are kept rotated by their positions.
func (m *Model) NewCache(batch int, rotated bool) (*kvcache.Cache, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.weights == nil {
		return nil, ErrClosed
	}
	c, err := kvcache.New(m.backend, m.cacheShape(m.weights.DType(), batch))
	if err == nil {
		c.Rotated = rotated
	}
	return c, err
}

func (m *Model) cacheShape(dt tensor.DType, batch int) kvcache.Shape {
	return kvcache.Shape{DType: dt, Heads: m.Spec.NKVHeads, DHead: m.Spec.DHead, Batch: batch, Layers: m.Spec.NLayers}
}

// turn is a run's use of the cache that it was given; without one its methods work on nil.
type turn struct {
	*kvcache.Turn
	cache *kvcache.Cache
}

// takeTurn hands the graph what the cache holds for the layers that the run is about, and room for what it adds.
func (m *Model) takeTurn(a *asking, in *Input, batch, pos int) (*turn, error) {
	if in.Past == nil {
		return nil, nil
	}
	if m.Spec.Attention.Bidirectional {
		return nil, fmt.Errorf("model: %w: positions of this model see those behind them too, and what a cache keeps of them would be of another text", kvcache.ErrMismatch)
	}
	first, last, err := a.layers(in)
	if err != nil {
		return nil, err
	}
	t, err := in.Past.Begin(m.backend, m.cacheShape(a.dtype(), batch), first, last, pos)
	if err != nil {
		return nil, err
	}
	lend := func(to extension, what kvcache.Extension) {
		a.env.Given.Put(to.past, what.Past)
		if what.Room != nil {
			a.env.Given.Put(to.room, what.Room)
		}
	}
	unrotated := a.rotates() && !in.Past.Rotated
	for i := range t.Keys {
		past := a.pasts[first+i]
		if unrotated {
			lend(past.unrotated, t.Keys[i])
		} else {
			lend(past.keys, t.Keys[i])
		}
		lend(past.values, t.Values[i])
	}
	return &turn{t, in.Past}, nil
}

// rotates reports whether keys are rotated by their positions.
func (b *built) rotates() bool { return b.cos != graph.None }

// span is the part of the sequence that the run is about.
func (t *turn) span(b *built, batch, pos int) span {
	s := span{batch: batch, pos: pos}
	if t != nil {
		s.past, s.all = t.Past, b.rotates() && !t.cache.Rotated
	}
	return s
}

// mask is what a run is given as its mask, [batch, past + pos]; nil: all are tokens. The caller releases it.
func (t *turn) mask(in *Input, s span) (*tensor.Tensor, error) {
	if t == nil {
		if in.Mask == nil {
			return nil, nil
		}
		return sameMemory(in.Mask)
	}
	before := t.cache.Mask
	if before != nil && (len(before.Shape()) != 2 || before.Dim(0) != s.batch || before.Dim(1) != s.past || before.Int64s() == nil) {
		return nil, fmt.Errorf("%w: its mask is %s %v, its entries hold [%d, %d]", kvcache.ErrMismatch, before.DType(), before.Shape(), s.batch, s.past)
	}
	if in.Mask == nil && before == nil {
		return nil, nil
	}
	given := in.Mask
	if given != nil {
		if d := given.Shape(); given.Int64s() == nil || len(d) != 2 || d[0] != s.batch || (d[1] != s.pos && d[1] != s.total()) {
			return nil, fmt.Errorf("%w: the attention mask is %s %v, expected contiguous int64 [%d, %d], or [%d, %d] with the %d positions of the KV cache",
				ErrInput, given.DType(), d, s.batch, s.pos, s.batch, s.total(), s.past)
		}
		if given.Dim(1) == s.total() {
			return sameMemory(given)
		}
	}
	return joinMasks(before, given, s)
}

// sameMemory is a tensor over the caller's, who may give it to several runs at once: they must not share its count.
func sameMemory(t *tensor.Tensor) (*tensor.Tensor, error) { return t.View(t.Shape(), t.Strides(), 0) }

// joinMasks puts the mask of new tokens behind that of earlier ones; nil: all are tokens.
func joinMasks(before, given *tensor.Tensor, s span) (*tensor.Tensor, error) {
	all, err := tensor.New(tensor.Int64, s.batch, s.total())
	if err != nil {
		return nil, err
	}
	for i := range all.Int64s() {
		row, at := i/s.total(), i%s.total()
		switch {
		case at < s.past && before != nil:
			all.Int64s()[i] = before.Int64s()[row*s.past+at]
		case at >= s.past && given != nil:
			all.Int64s()[i] = given.Int64s()[row*s.pos+at-s.past]
		default:
			all.Int64s()[i] = 1
		}
	}
	return all, nil
}

// End ends the turn. When the run is done, the cache keeps its mask, unless it is frozen.
func (t *turn) End(done bool, mask *tensor.Tensor) error {
	if t == nil {
		return nil
	}
	t.Turn.End(done)
	if !done || mask == nil || t.cache.Frozen() {
		return nil
	}
	own, err := mask.Clone() // the caller's memory is not ours to keep
	if err != nil {
		return err
	}
	t.cache.Mask.Release()
	t.cache.Mask = own
	return nil
}
