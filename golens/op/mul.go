// Mul: the product of two activations, element by element. Kernel "mul".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Mul multiplies two tensors of one shape: a gate that is no function of single elements, and what it gates.
type Mul struct{}

// MulKernel is Out = A · B, element by element.
type MulKernel struct{ A, B, Out *tensor.Tensor }

// Name implements Op.
func (*Mul) Name() string { return "mul" }

// Infer implements Op.
func (o *Mul) Infer(in []Type) ([]Type, error) {
	if !sameShape(in[0], in[1]) {
		return nil, shapeError(o, in, "equal shapes")
	}
	return one(in[0].DType, in[0].Shape)
}

// Run implements Op.
func (*Mul) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&MulKernel{in[0], in[1], out[0]})
}

// Kernel implements backend.Kernel.
func (*MulKernel) Kernel() string { return "mul" }

// Operands implements backend.Kernel.
func (k *MulKernel) Operands() backend.Operands { return backend.Reads(&k.A, &k.B).Writes(&k.Out) }
