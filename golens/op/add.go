// Add: the sum of two activations. Kernel "add".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Add sums two tensors of one shape: a residual stream and what is written to it.
type Add struct{}

// AddKernel is Out = A + B, element by element.
type AddKernel struct{ A, B, Out *tensor.Tensor }

// Name implements Op.
func (*Add) Name() string { return "add" }

// Infer implements Op.
func (o *Add) Infer(in []Type) ([]Type, error) {
	if !sameShape(in[0], in[1]) {
		return nil, shapeError(o, in, "equal shapes")
	}
	return one(in[0].DType, in[0].Shape)
}

// Run implements Op.
func (*Add) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&AddKernel{in[0], in[1], out[0]})
}

// Kernel implements backend.Kernel.
func (*AddKernel) Kernel() string { return "add" }

// Operands implements backend.Kernel.
func (k *AddKernel) Operands() backend.Operands { return backend.Reads(&k.A, &k.B).Writes(&k.Out) }
