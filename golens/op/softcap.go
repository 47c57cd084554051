// SoftCap: values bent into a range, limit · tanh(x / limit) (Gemma 2, https://arxiv.org/abs/2408.00118).
// Kernel "softcap": x, out, limit.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// SoftCap applies limit · tanh(x / limit) to every element; Limit is positive.
type SoftCap struct{ Limit float64 }

// Name implements Op.
func (*SoftCap) Name() string { return "softcap" }

// Forward implements Op.
func (o *SoftCap) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("softcap", in[0], out, o.Limit) })
}
