// Package guarded is a backend for tests: another one's work, over memory that nobody can read or write but that backend,
// and it only the operands of the kernel, product or copy that runs. Who touches the bytes of an activation or weight
// without being asked to dies of it.
package guarded

/*
#cgo CFLAGS: -O2 -std=c11 -I${SRCDIR}/../../tensor
#include "guard.h"

static const void *owner(void) { return &tlg_guarded; }
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Backend computes as Inner does. Ids and masks lie on the host, as ever.
type Backend struct {
	Inner backend.Backend

	mu   sync.Mutex
	open map[unsafe.Pointer]users // by the memory's address
}

// users is how many calls use a memory now.
type users struct{ readers, writers int }

var _ backend.Backend = (*Backend)(nil)

// New makes a backend over another.
func New(inner backend.Backend) *Backend {
	return &Backend{Inner: inner, open: map[unsafe.Pointer]users{}}
}

// Name implements backend.Backend.
func (g *Backend) Name() string { return "guarded " + g.Inner.Name() }

// Alloc implements backend.Backend.
func (g *Backend) Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error) {
	n := 1
	for _, d := range shape {
		if n *= d; d < 0 {
			return nil, fmt.Errorf("%w: negative size in %v", tensor.ErrShape, shape)
		}
	}
	bytes := dt.Bytes(n)
	data := C.tlg_guard_new(C.int64_t(bytes))
	if data == nil {
		return nil, fmt.Errorf("%w: %d guarded bytes were asked for", tensor.ErrOutOfMemory, bytes)
	}
	s, err := tensor.Owned(C.owner(), 0, data, bytes)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	return tensor.FromStorage(s, 0, dt, shape, nil)
}

// Copy implements backend.Backend.
func (g *Backend) Copy(dst, src *tensor.Tensor) error {
	return g.using(func() error { return g.Inner.Copy(dst, src) }, use{dst, true}, use{src, false})
}

// Zero implements backend.Backend.
func (g *Backend) Zero(t *tensor.Tensor) error {
	return g.using(func() error { return g.Inner.Zero(t) }, use{t, true})
}

// Sync implements backend.Backend.
func (g *Backend) Sync() error { return g.Inner.Sync() }

// Gemm implements backend.Backend.
func (g *Backend) Gemm(p *backend.Gemm) error {
	return g.using(func() error { return g.Inner.Gemm(p) },
		use{p.Out.T, true}, use{p.A.T, false}, use{p.B.T, false}, use{p.Bias.T, false}, use{p.Residual.T, false})
}

// Launch implements backend.Backend.
func (g *Backend) Launch(k backend.Kernel) error {
	operands := k.Operands()
	uses := make([]use, operands.Len())
	for i := range uses {
		o := operands.At(i)
		uses[i] = use{*o.T, o.Use&backend.Write != 0}
	}
	return g.using(func() error { return g.Inner.Launch(k) }, uses...)
}

// Host copies a tensor, guarded or not, to where everybody can read it. The caller releases it.
func (g *Backend) Host(t *tensor.Tensor) (*tensor.Tensor, error) {
	own, err := tensor.New(t.DType(), t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := g.Copy(own, t); err != nil {
		own.Release()
		return nil, err
	}
	return own, nil
}

// use is a tensor that a call works on.
type use struct {
	t      *tensor.Tensor
	writes bool
}

// using opens what a call works on for as long as it lasts.
func (g *Backend) using(call func() error, uses ...use) (err error) {
	for i, u := range uses {
		if err := g.change(u, 1); err != nil {
			for _, u := range uses[:i] {
				_ = g.change(u, -1)
			}
			return err
		}
	}
	defer func() {
		for _, u := range uses {
			if closing := g.change(u, -1); err == nil {
				err = closing
			}
		}
	}()
	return call()
}

// change notes one more use of a tensor's memory, or one less, and sets its pages by all of them.
func (g *Backend) change(u use, by int) error {
	if u.t == nil || !u.t.Storage().OwnedBy(C.owner()) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	data, bytes := u.t.Storage().Data(), u.t.Storage().Len()
	now := g.open[data]
	if u.writes {
		now.writers += by
	} else {
		now.readers += by
	}
	rights := 0
	switch {
	case now.writers > 0:
		rights = 2
	case now.readers > 0:
		rights = 1
	}
	if C.tlg_guard_set(data, C.int64_t(bytes), C.int(rights)) != 0 {
		return fmt.Errorf("guarded: the pages of %d bytes cannot be set", bytes)
	}
	if g.open[data] = now; rights == 0 {
		delete(g.open, data)
	}
	return nil
}
