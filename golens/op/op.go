// Package op is the operations that graphs are made of: one file each, with its shape rule, its forward and the
// kernels it launches. It knows tensors and the backend, and nothing of graphs, hooks or models.
package op

import (
	"errors"
	"fmt"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrShape is wrapped by every error about inputs that do not fit an operation.
var ErrShape = errors.New("shapes do not fit")

// ErrIndex is wrapped when an id lies outside a table.
var ErrIndex = errors.New("index out of range")

// Op is one operation. Forward borrows its inputs and returns new tensors, one reference each; inputs that are
// optional may be nil. It never writes to an input.
type Op interface {
	Name() string
	Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error)
}

// Param is a weight as operations read it. Value may be a strided view of checkpoint memory; edits through other
// views of that memory are seen by the next run.
type Param struct {
	Name  string
	Value *tensor.Tensor
}

// tensorOf is the parameter's value, or nil for an absent parameter.
func tensorOf(p *Param) *tensor.Tensor {
	if p == nil {
		return nil
	}
	return p.Value
}

// shapeError names the operation, what it was given and what it wants.
func shapeError(o Op, in []*tensor.Tensor, expected string, args ...any) error {
	given := make([]string, len(in))
	for i, t := range in {
		given[i] = "none"
		if t != nil {
			given[i] = fmt.Sprint(t.Shape())
		}
	}
	return fmt.Errorf("%s: %w: given %s, expected %s", o.Name(), ErrShape, strings.Join(given, " and "), fmt.Sprintf(expected, args...))
}

// produce allocates one output, fills it by fill, and returns it as the only output.
func produce(b backend.Backend, dt tensor.DType, shape []int, fill func(out *tensor.Tensor) error) ([]*tensor.Tensor, error) {
	out, err := b.Alloc(dt, shape...)
	if err != nil {
		return nil, err
	}
	if err := fill(out); err != nil {
		out.Release()
		return nil, err
	}
	return []*tensor.Tensor{out}, nil
}

func sameShape(a, b *tensor.Tensor) bool {
	if len(a.Shape()) != len(b.Shape()) {
		return false
	}
	for i, n := range a.Shape() {
		if b.Shape()[i] != n {
			return false
		}
	}
	return true
}

// withLast is shape with its last dimension replaced.
func withLast(shape []int, last ...int) []int {
	return append(append(make([]int, 0, len(shape)+1), shape[:len(shape)-1]...), last...)
}
