// SoftCap: values bent into a range, limit · tanh(x / limit) (Gemma 2, https://arxiv.org/abs/2408.00118).
// Kernel "softcap".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// SoftCap applies limit · tanh(x / limit) to every element; Limit is positive.
type SoftCap struct{ Limit float64 }

// SoftCapKernel is Out = Limit · tanh(X / Limit); Out may be X.
type SoftCapKernel struct {
	X, Out *tensor.Tensor
	Limit  float64
}

// Name implements Op.
func (*SoftCap) Name() string { return "softcap" }

// Infer implements Op.
func (*SoftCap) Infer(in []Type) ([]Type, error) { return one(in[0].DType, in[0].Shape) }

// Run implements Op.
func (o *SoftCap) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&SoftCapKernel{in[0], out[0], o.Limit})
}

// Kernel implements backend.Kernel.
func (*SoftCapKernel) Kernel() string { return "softcap" }

// Operands implements backend.Kernel.
func (k *SoftCapKernel) Operands() backend.Operands { return backend.Reads(&k.X).Writes(&k.Out) }
