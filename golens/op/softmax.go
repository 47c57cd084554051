// Softmax over the last axis. Kernel "softmax".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Softmax turns scores [batch, head, q_pos, k_pos] into a pattern of the same shape. ZeroMasked is
// AttentionShape's.
type Softmax struct{ ZeroMasked bool }

// SoftmaxKernel is Out = softmax(X) along the last axis.
type SoftmaxKernel struct {
	X, Out     *tensor.Tensor
	ZeroMasked bool
}

// Name implements Op.
func (*Softmax) Name() string { return "softmax" }

// Infer implements Op.
func (o *Softmax) Infer(in []Type) ([]Type, error) {
	if in[0].Rank() == 0 {
		return nil, shapeError(o, in, "at least one dimension")
	}
	return one(in[0].DType, in[0].Shape)
}

// Run implements Op.
func (o *Softmax) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&SoftmaxKernel{in[0], out[0], o.ZeroMasked})
}

// Cost implements Costed.
func (*Softmax) Cost(_, out []Type) Cost { return Cost{Operations: 3 * out[0].Len()} }

// Kernel implements backend.Kernel.
func (*SoftmaxKernel) Kernel() string { return "softmax" }

// Operands implements backend.Kernel.
func (k *SoftmaxKernel) Operands() backend.Operands {
	return backend.Operands{}.ReadsScores(&k.X).Writes(&k.Out)
}
