// Cells: the memory behind values while a run lasts. Values that are one tensor in upstream share a cell, so that
// an edit in place is seen by every later reader of any of them.
package graph

import (
	"errors"
	"fmt"
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrEdit is wrapped when a hook returned something that cannot stand for the value it replaces.
var ErrEdit = errors.New("the returned tensor does not fit")

type cell struct {
	t     *tensor.Tensor
	users int // values that share it
}

// cells are the live values of one run.
type cells struct {
	backend backend.Backend
	of      []*cell
	spare   []cell // memory for as many cells as there are values
}

func newCells(b backend.Backend, values int) cells {
	return cells{b, make([]*cell, values), make([]cell, values)}
}

// put makes t the tensor of v; the cell takes over t's reference.
func (c *cells) put(v Value, t *tensor.Tensor) {
	c.drop(v)
	if len(c.spare) == 0 { // hooks replaced many
		c.of[v] = &cell{t: t, users: 1}
		return
	}
	own := &c.spare[0]
	c.spare = c.spare[1:]
	*own = cell{t: t, users: 1}
	c.of[v] = own
}

// there are the values that are live now.
func (c *cells) there() bitset.Set {
	var s bitset.Set
	for v, cell := range c.of {
		if cell != nil {
			s.Add(v)
		}
	}
	return s
}

// clone copies a tensor. Ids and masks are the host's, wherever a backend computes.
func (c *cells) clone(t *tensor.Tensor) (*tensor.Tensor, error) {
	if t.DType().Floating() {
		return backend.Clone(c.backend, t)
	}
	return t.Clone()
}

// share lets a value be the same memory as another.
func (c *cells) share(v, with Value) {
	shared := c.of[with]
	shared.users++
	c.drop(v)
	c.of[v] = shared
}

func (c *cells) drop(v Value) {
	old := c.of[v]
	if old == nil {
		return
	}
	c.of[v] = nil
	c.leave(old)
}

// leave says that one less uses a cell.
func (c *cells) leave(old *cell) {
	old.users--
	if old.users == 0 {
		old.t.Release()
	}
}

// through is a given value whose giver is to see what hooks write to it.
type through struct {
	cell *cell
	t    *tensor.Tensor
}

// passThrough makes t itself the tensor of v; a hook that writes gets a copy, as of all that somebody else holds.
func (r *run) passThrough(v Value, t *tensor.Tensor) {
	r.cells.put(v, t.Retain())
	c := r.cells.of[v]
	c.users++
	r.through = append(r.through, through{c, t})
}

// returnThrough writes what was edited to where it came from.
func (r *run) returnThrough() error {
	for _, l := range r.through {
		if l.cell.t == l.t {
			continue
		}
		if !l.t.DType().Floating() {
			l.t.CopyFrom(l.cell.t)
		} else if err := r.env.Backend.Copy(l.t, l.cell.t); err != nil {
			return err
		}
	}
	return nil
}

func (c *cells) dropAll() {
	for v := range c.of {
		c.drop(Value(v))
	}
}

// keep returns a reference to v's tensor that outlives the run.
func (c *cells) keep(v Value) (*tensor.Tensor, error) {
	t := c.of[v].t
	if t.Storage().Lent() {
		return c.clone(t)
	}
	return t.Retain(), nil
}

// editable is the value at a hook point while its hooks are called.
type editable struct {
	cells  *cells
	out    Value
	resize bool
}

// Exclusive implements hook.Edge: a tensor that somebody else holds is copied first, and every value that shares
// the cell goes on with the copy.
func (e *editable) Exclusive() (*tensor.Tensor, error) {
	c := e.cells.of[e.out]
	if !c.t.Shared() {
		return c.t, nil
	}
	own, err := e.cells.clone(c.t)
	if err != nil {
		return nil, err
	}
	c.t.Release()
	c.t = own
	return own, nil
}

// Replace implements hook.Edge: what broadcasts to the value's shape is broadcast; at edges that allow another batch
// or position size, what has its rank and width passes as it is.
func (e *editable) Replace(t *tensor.Tensor) error {
	old := e.cells.of[e.out].t
	fitted, err := fit(e.cells.backend, t, old, e.resize)
	if err != nil {
		t.Release()
		return err
	}
	e.cells.put(e.out, fitted)
	return nil
}

// fit returns t itself or a copy in the shape of old; it takes over t's reference unless it fails.
func fit(b backend.Backend, t, old *tensor.Tensor, resize bool) (*tensor.Tensor, error) {
	if t.DType() != old.DType() {
		return nil, fmt.Errorf("%w: given %s, expected %s", ErrEdit, t.DType(), old.DType())
	}
	want := old.Shape()
	strides, ok := broadcast(t, want)
	if resize && len(t.Shape()) == len(want) && len(want) > 0 && t.Dim(-1) == want[len(want)-1] {
		want, strides, ok = t.Shape(), t.Strides(), true
	}
	if !ok {
		return nil, fmt.Errorf("%w: given shape %v, expected %v or what broadcasts to it", ErrEdit, t.Shape(), old.Shape())
	}
	return arranged(b, t, want, strides)
}

// Fit returns t itself where it has that shape, else a copy of it, broadcast; it takes over t's reference unless it
// fails.
func Fit(b backend.Backend, t *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	strides, ok := broadcast(t, shape)
	if !ok {
		return nil, fmt.Errorf("%w: given shape %v, expected %v or what broadcasts to it", ErrEdit, t.Shape(), shape)
	}
	return arranged(b, t, shape, strides)
}

// arranged is t in row-major order, in a shape that it covers with those strides.
func arranged(b backend.Backend, t *tensor.Tensor, want, strides []int) (*tensor.Tensor, error) {
	if t.Contiguous() && slices.Equal(t.Shape(), want) {
		return t, nil
	}
	view, err := t.View(want, strides, 0)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	own, err := b.Alloc(t.DType(), want...)
	if err != nil {
		return nil, err
	}
	if err := b.Copy(own, view); err != nil {
		own.Release()
		return nil, err
	}
	t.Release()
	return own, nil
}

// broadcast gives the strides with which t covers shape, if it does.
func broadcast(t *tensor.Tensor, shape []int) ([]int, bool) {
	extra := len(shape) - len(t.Shape())
	if extra < 0 {
		return nil, false
	}
	strides := make([]int, len(shape))
	for i, n := range t.Shape() {
		switch {
		case n == shape[extra+i]:
			strides[extra+i] = t.Strides()[i]
		case n != 1:
			return nil, false
		}
	}
	return strides, true
}
