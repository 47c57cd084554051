// Mul: the product of two activations, element by element. Kernel "mul": a, b, out.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Mul multiplies two tensors of one shape: a gate that is no function of single elements, and what it gates.
type Mul struct{}

// Name implements Op.
func (*Mul) Name() string { return "mul" }

// Forward implements Op.
func (o *Mul) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if !sameShape(in[0], in[1]) {
		return nil, shapeError(o, in, "equal shapes")
	}
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("mul", in[0], in[1], out) })
}
