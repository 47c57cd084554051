// Add: the sum of two activations. Kernel "add": a, b, out.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Add sums two tensors of one shape: a residual stream and what is written to it.
type Add struct{}

// Name implements Op.
func (*Add) Name() string { return "add" }

// Forward implements Op.
func (o *Add) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if !sameShape(in[0], in[1]) {
		return nil, shapeError(o, in, "equal shapes")
	}
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("add", in[0], in[1], out) })
}
