// Softmax over the last axis. Kernel "softmax": x, out, zero masked.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Softmax turns scores [batch, head, q_pos, k_pos] into a pattern of the same shape. ZeroMasked is
// AttentionShape's.
type Softmax struct{ ZeroMasked bool }

// Name implements Op.
func (*Softmax) Name() string { return "softmax" }

// Forward implements Op.
func (o *Softmax) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if len(in[0].Shape()) == 0 {
		return nil, shapeError(o, in, "at least one dimension")
	}
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("softmax", in[0], out, o.ZeroMasked) })
}
