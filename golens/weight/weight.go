// Package weight holds a model's weights: how they are stored, and the views of them that operations read and users
// see. A weight may be stored narrower than the model computes (16 bits, blocks); kernels then widen it as they read.
// It knows tensors and the backend, and nothing of graphs or models.
package weight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrUnknown is wrapped when a view names a tensor that a set does not have.
var ErrUnknown = errors.New("weight: no such tensor")

// Stays reports whether a matrix that is stored so is kept as it is by a model of dtype dt: widening it is exact, and the
// kernels do it as they read.
func Stays(stored, dt tensor.DType) bool {
	switch stored {
	case tensor.Float16, tensor.BFloat16, tensor.Q8_0, tensor.Q4_1:
		return dt == tensor.Float32
	}
	return false
}

// View is where a parameter lies in a tensor. Strides (nil: row-major) and Offset count elements.
type View struct {
	Tensor         string
	Shape, Strides []int
	Offset         int
}

// Set is the weights of a model in one dtype. Runs hold it while they last, so that another may take its place
// meanwhile. Its tensors may be handed out and written to; which tensors and operands there are does not change once
// runs have begun. It is safe for concurrent use.
type Set struct {
	backend backend.Backend
	dtype   tensor.DType
	refs    atomic.Int32 // beyond the first

	mu       sync.RWMutex
	tensors  map[string]*tensor.Tensor // several names may be one
	operands []operand
}

// operand is what operations read: a view of a tensor of the set, or (of "") a constant that has no dtype of a model.
type operand struct {
	View
	t *tensor.Tensor
}

// Like is the operand that every set has: an empty tensor of the model's dtype.
const Like = 0

// New makes a set of tensors of the host's by their names, whose references it takes over, and brings them to where the
// backend computes. dt is what the model computes in.
func New(b backend.Backend, dt tensor.DType, tensors map[string]*tensor.Tensor) (*Set, error) {
	placed, there := map[string]*tensor.Tensor{}, map[*tensor.Tensor]*tensor.Tensor{}
	defer func() {
		for _, t := range tensors {
			t.Release()
		}
	}()
	for name, t := range tensors {
		if same, ok := there[t]; ok {
			placed[name] = same.Retain()
			continue
		}
		p, err := backend.Place(b, t)
		if err != nil {
			for _, p := range placed {
				p.Release()
			}
			return nil, fmt.Errorf("weight: %s: %w", name, err)
		}
		placed[name], there[t] = p, p
	}
	return newSet(b, dt, placed)
}

// newSet is New for tensors that are where they are needed.
func newSet(b backend.Backend, dt tensor.DType, tensors map[string]*tensor.Tensor) (*Set, error) {
	s := &Set{backend: b, dtype: dt, tensors: tensors}
	like, err := b.Alloc(dt, 0)
	if err != nil {
		s.Release()
		return nil, err
	}
	s.operands = []operand{{t: like}}
	return s, nil
}

// DType is what the model computes in.
func (s *Set) DType() tensor.DType { return s.dtype }

// Retain adds a reference and returns the set.
func (s *Set) Retain() *Set {
	s.refs.Add(1)
	return s
}

// Release drops a reference; behind the last one the tensors are let go.
func (s *Set) Release() {
	if s.refs.Add(-1) != -1 {
		return
	}
	for _, o := range s.operands {
		o.t.Release()
	}
	for _, t := range s.tensors {
		t.Release()
	}
}

// Operand adds a view that operations read, and gives its index.
func (s *Set) Operand(v View) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.view(v)
	if err != nil {
		return 0, err
	}
	s.operands = append(s.operands, operand{v, t})
	return len(s.operands) - 1, nil
}

// Constant adds an operand that is the same whatever the model's dtype, of a tensor of the host's.
func (s *Set) Constant(t *tensor.Tensor) (int, error) {
	placed, err := backend.Place(s.backend, t)
	if err != nil {
		return 0, err
	}
	return s.constant(placed), nil
}

func (s *Set) constant(t *tensor.Tensor) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operands = append(s.operands, operand{t: t})
	return len(s.operands) - 1
}

// Weight is an operand as it is stored at this moment. The caller releases it.
func (s *Set) Weight(index int) (*tensor.Tensor, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if index < 0 || index >= len(s.operands) {
		return nil, fmt.Errorf("%w: operand %d of %d", op.ErrIndex, index, len(s.operands))
	}
	return s.operands[index].t.Retain(), nil
}

// Type is Weight's type.
func (s *Set) Type(index int) op.Type {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return op.TypeOf(s.operands[index].t)
}

// view is a view of a tensor as it is stored. The lock is held.
func (s *Set) view(v View) (*tensor.Tensor, error) {
	t, ok := s.tensors[v.Tensor]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, v.Tensor)
	}
	return t.View(v.Shape, v.Strides, v.Offset)
}

// Param hands out a view of a tensor of the model's dtype: what is written to it, every later step reads. A tensor
// that is stored narrower is widened first, for the model too. The caller releases it.
func (s *Set) Param(v View) (*tensor.Tensor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tensors[v.Tensor]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, v.Tensor)
	}
	if t.DType() != s.dtype {
		if err := s.widen(t); err != nil {
			return nil, fmt.Errorf("weight: %s: %w", v.Tensor, err)
		}
	}
	return s.view(v)
}

// widen puts a tensor of the model's dtype in the place of one that is stored narrower. The lock is held.
func (s *Set) widen(narrow *tensor.Tensor) error {
	wide, err := convert(s.backend, narrow, s.dtype)
	if err != nil {
		return err
	}
	named := make([]string, 0, 2)
	for name, t := range s.tensors {
		if t == narrow {
			named = append(named, name)
		}
	}
	made := make([]*tensor.Tensor, len(s.operands))
	for i, o := range s.operands {
		if !slices.Contains(named, o.Tensor) {
			continue
		}
		if made[i], err = wide.View(o.Shape, o.Strides, o.Offset); err != nil {
			release(append(made, wide))
			return err
		}
	}
	for i, t := range made {
		if t != nil {
			s.operands[i].t.Release()
			s.operands[i].t = t
		}
	}
	for i, name := range named {
		if i > 0 {
			wide.Retain()
		}
		s.tensors[name] = wide
		narrow.Release()
	}
	return nil
}

// Cast is the same weights for a model of another dtype, each rounded once from what it is now. It ends between two
// weights when the context does.
func (s *Set) Cast(ctx context.Context, dt tensor.DType) (*Set, error) {
	old, operands := s.now()
	defer func() {
		for _, t := range old {
			t.Release()
		}
	}()
	tensors, err := castAll(ctx, s.backend, old, dt)
	if err != nil {
		return nil, err
	}
	made, err := newSet(s.backend, dt, tensors)
	if err != nil {
		return nil, err
	}
	for _, o := range operands[1:] {
		if o.Tensor == "" {
			made.constant(o.t.Retain())
			continue
		}
		if _, err := made.Operand(o.View); err != nil {
			made.Release()
			return nil, err
		}
	}
	return made, nil
}

// now is the tensors as they are, which the caller releases, and the operands, whose constants do not change.
func (s *Set) now() (map[string]*tensor.Tensor, []operand) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tensors := make(map[string]*tensor.Tensor, len(s.tensors))
	for name, t := range s.tensors {
		tensors[name] = t.Retain()
	}
	return tensors, slices.Clone(s.operands)
}

// castAll rounds each tensor once, however many names it has.
func castAll(ctx context.Context, b backend.Backend, tensors map[string]*tensor.Tensor, dt tensor.DType) (map[string]*tensor.Tensor, error) {
	done, made := map[*tensor.Tensor]*tensor.Tensor{}, map[string]*tensor.Tensor{}
	for name, t := range tensors {
		if c, ok := done[t]; ok {
			made[name] = c.Retain()
			continue
		}
		err := ctx.Err()
		var c *tensor.Tensor
		if err == nil {
			c, err = convert(b, t, dt)
		}
		if err != nil {
			for _, c := range made {
				c.Release()
			}
			return nil, err
		}
		done[t], made[name] = c, c
	}
	return made, nil
}

// convert is a tensor itself, or its values in another dtype. The caller releases it.
func convert(b backend.Backend, t *tensor.Tensor, dt tensor.DType) (*tensor.Tensor, error) {
	if t.DType() == dt {
		return t.Retain(), nil
	}
	c, err := b.Alloc(dt, t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := b.Launch(&op.ConvertKernel{X: t, Out: c}); err != nil {
		c.Release()
		return nil, err
	}
	return c, nil
}

func release(tensors []*tensor.Tensor) {
	for _, t := range tensors {
		t.Release()
	}
}
