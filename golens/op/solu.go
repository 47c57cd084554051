// SoLU: softmax linear unit (Elhage et al. 2022, https://transformer-circuits.pub/2022/solu/index.html).
// Kernel "solu".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// SoLU is x · softmax(x) along the last axis.
type SoLU struct{}

// SoLUKernel is Out = X · softmax(X) along the last axis.
type SoLUKernel struct{ X, Out *tensor.Tensor }

// Name implements Op.
func (*SoLU) Name() string { return "solu" }

// Infer implements Op.
func (o *SoLU) Infer(in []Type) ([]Type, error) {
	if in[0].Rank() == 0 {
		return nil, shapeError(o, in, "at least one dimension")
	}
	return one(in[0].DType, in[0].Shape)
}

// Run implements Op.
func (*SoLU) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&SoLUKernel{in[0], out[0]})
}

// Cost implements Costed.
func (*SoLU) Cost(_, out []Type) Cost { return Cost{Operations: 4 * out[0].Len()} }

// Kernel implements backend.Kernel.
func (*SoLUKernel) Kernel() string { return "solu" }

// Operands implements backend.Kernel.
func (k *SoLUKernel) Operands() backend.Operands { return backend.Reads(&k.X).Writes(&k.Out) }
