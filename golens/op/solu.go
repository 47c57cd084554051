// SoLU: softmax linear unit (Elhage et al. 2022, https://transformer-circuits.pub/2022/solu/index.html).
// Kernel "solu": x, out.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// SoLU is x · softmax(x) along the last axis.
type SoLU struct{}

// Name implements Op.
func (*SoLU) Name() string { return "solu" }

// Forward implements Op.
func (o *SoLU) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if len(in[0].Shape()) == 0 {
		return nil, shapeError(o, in, "at least one dimension")
	}
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("solu", in[0], out) })
}
