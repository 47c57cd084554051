// Package op is the operations that graphs are made of: one file each, with its shape rule, what it runs and the
// arguments of the kernels it launches. It knows tensors and the backend, and nothing of graphs, hooks or models.
package op

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrShape is wrapped by every error about inputs that do not fit an operation.
var ErrShape = errors.New("shapes do not fit")

// ErrIndex is wrapped when an id lies outside a table.
var ErrIndex = errors.New("index out of range")

// Op is one operation: its hyper-parameters. All that it reads is an input, weights included; some inputs may be
// absent, as its type says. It never writes to an input, but for what Aliaser says.
type Op interface {
	Name() string
	// Infer is the type of each output for inputs of these types. Its errors wrap ErrShape.
	Infer(in []Type) ([]Type, error)
	// Run computes the outputs, which have the types that Infer gave for these inputs. Absent inputs are nil.
	Run(b backend.Backend, in, out []*tensor.Tensor) error
}

// Aliaser is an operation of which an output may be an input, not memory of its own.
type Aliaser interface {
	// Alias says, by output, which input it is, or -1.
	Alias(in []Type) []int
}

// Costed is an operation that does more than to write its outputs, one rounding an element.
type Costed interface {
	Cost(in, out []Type) Cost
}

// Cost is what an operation asks of the device.
type Cost struct {
	Operations int // of floating point: an addition, a multiplication, a function of one number count one each
	Scratch    int // bytes taken beside the outputs, and let go at its end
}

// CostOf is what an operation costs.
func CostOf(o Op, in, out []Type) Cost {
	if c, ok := o.(Costed); ok {
		return c.Cost(in, out)
	}
	n := 0
	for _, t := range out {
		n += t.Len()
	}
	return Cost{Operations: n}
}

// Type is what is known of a value before it is there.
type Type struct {
	DType tensor.DType
	Shape []int // nil: the value is absent
}

// TypeOf is a tensor's type; nil's is that of an absent value.
func TypeOf(t *tensor.Tensor) Type {
	if t == nil {
		return Type{}
	}
	return Type{t.DType(), t.Shape()}
}

// Absent reports whether the value of an optional input is not there.
func (t Type) Absent() bool { return t.Shape == nil }

// Rank is the number of dimensions.
func (t Type) Rank() int { return len(t.Shape) }

// Dim is the size of dimension i; negative i counts from the end.
func (t Type) Dim(i int) int {
	if i < 0 {
		i += len(t.Shape)
	}
	return t.Shape[i]
}

// Len is the number of elements.
func (t Type) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// String is the shape, as messages show it.
func (t Type) String() string {
	if t.Absent() {
		return "none"
	}
	return fmt.Sprint(t.Shape)
}

// Scratch holds lists that operations are called with, to be used again. It is not safe for concurrent use.
type Scratch struct {
	types []Type
	out   []*tensor.Tensor
}

// Apply infers the types of the outputs, takes memory for those that are not inputs, and runs the operation. The
// caller releases the outputs; the list itself is good until the next call.
func (s *Scratch) Apply(b backend.Backend, o Op, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	s.types = s.types[:0]
	for _, t := range in {
		s.types = append(s.types, TypeOf(t))
	}
	types, err := o.Infer(s.types)
	if err != nil {
		return nil, err
	}
	var alias []int
	if a, ok := o.(Aliaser); ok {
		alias = a.Alias(s.types)
	}
	s.out = s.out[:0]
	for i, t := range types {
		if alias != nil && alias[i] >= 0 {
			s.out = append(s.out, in[alias[i]].Retain())
			continue
		}
		own, err := b.Alloc(t.DType, t.Shape...)
		if err != nil {
			s.drop()
			return nil, fmt.Errorf("%s: %w", o.Name(), err)
		}
		s.out = append(s.out, own)
	}
	if err := o.Run(b, in, s.out); err != nil {
		s.drop()
		return nil, err
	}
	return s.out, nil
}

func (s *Scratch) drop() {
	for _, t := range s.out {
		t.Release()
	}
}

// Apply is Scratch.Apply for one call.
func Apply(b backend.Backend, o Op, in ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	return new(Scratch).Apply(b, o, in)
}

// shapeError names the operation, what it was given and what it wants.
func shapeError(o Op, in []Type, expected string, args ...any) error {
	given := make([]string, len(in))
	for i, t := range in {
		given[i] = t.String()
	}
	return fmt.Errorf("%s: %w: given %s, expected %s", o.Name(), ErrShape, strings.Join(given, " and "), fmt.Sprintf(expected, args...))
}

// one is the list of one type.
func one(dt tensor.DType, shape []int) ([]Type, error) { return []Type{{dt, shape}}, nil }

func sameShape(a, b Type) bool { return slices.Equal(a.Shape, b.Shape) }

// withLast is shape with its last dimension replaced.
func withLast(shape []int, last ...int) []int {
	return append(append(make([]int, 0, len(shape)+1), shape[:len(shape)-1]...), last...)
}
