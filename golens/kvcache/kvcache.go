// Package kvcache keeps the keys and values of tokens that a model has seen, so that tokens behind them need not
// compute them again. It knows tensors and the copying of them, and nothing of models.
package kvcache

import (
	"errors"
	"fmt"
	"sync"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrMismatch is wrapped when a cache does not fit the model or the tokens it is used with.
var ErrMismatch = errors.New("the KV cache does not fit")

// ErrBusy is returned when a cache that grows is used by a run while another run extends it.
var ErrBusy = errors.New("the KV cache is being extended by another run; freeze it, or give each run a cache of its own")

// Cache is one entry for each layer of a model. A run that is given one reads the past from it and, unless that
// layer is frozen, adds its own tokens when it has ended well: a run that fails adds nothing.
type Cache struct {
	Entries []*Entry
	// Mask says of each position whether it is a token (1) or padding (0): int64 [batch, pos]; nil: all are
	// tokens. Forward joins the mask of new tokens to it.
	Mask *tensor.Tensor
	// Rotated keys are kept as attention uses them, rotated by their position; else as the key projection gave them.
	// Models without rotary positions know no difference.
	Rotated bool

	mu     sync.Mutex
	frozen map[int]bool // by layer
}

// Shape is what the keys and values of a model look like.
type Shape struct {
	DType         tensor.DType
	Heads, DHead  int
	Batch, Layers int
}

// New makes an empty cache.
func New(b backend.Backend, s Shape) (*Cache, error) {
	c := &Cache{}
	for range s.Layers {
		e, err := NewEntry(b, s.DType, s.Batch, s.Heads, s.DHead)
		if err != nil {
			c.Release()
			return nil, err
		}
		c.Entries = append(c.Entries, e)
	}
	return c, nil
}

// Release lets go of the memory. Views that were handed out stay valid.
func (c *Cache) Release() {
	for _, e := range c.Entries {
		e.Release()
	}
	c.Mask.Release()
	c.Mask = nil
}

// fits reports an error if the memory cannot be had that layers first to last-1 take for n more positions.
func (c *Cache) fits(first, last, n int) error {
	var bytes int64
	for layer := first; layer < last; layer++ {
		if e := c.Entries[layer]; e != nil && !c.isFrozen(layer) {
			bytes += e.wants(n)
		}
	}
	if bytes == 0 {
		return nil
	}
	what := fmt.Sprintf("the KV cache of %d layers, to hold %d positions more,", last-first, n)
	return tensor.Fits(what, bytes)
}

// Freeze keeps runs that are given this cache from adding to it, so that many continuations can share it.
func (c *Cache) Freeze() { c.setFrozen(true) }

// Unfreeze lets runs add again.
func (c *Cache) Unfreeze() { c.setFrozen(false) }

func (c *Cache) setFrozen(frozen bool) {
	for layer := range c.Entries {
		c.FreezeLayer(layer, frozen)
	}
}

// Len is how many positions layer 0 holds.
func (c *Cache) Len() int {
	if len(c.Entries) == 0 {
		return 0
	}
	return c.Entries[0].Len()
}

// FreezeLayer is Freeze, or Unfreeze, of one layer.
func (c *Cache) FreezeLayer(layer int, frozen bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen == nil {
		c.frozen = map[int]bool{}
	}
	c.frozen[layer] = frozen
}

func (c *Cache) isFrozen(layer int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen[layer]
}

// Frozen reports whether no layer grows.
func (c *Cache) Frozen() bool {
	for layer := range c.Entries {
		if !c.isFrozen(layer) {
			return false
		}
	}
	return true
}
