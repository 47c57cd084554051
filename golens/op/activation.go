// Activation: a function of each element, and the same times something else. Kernels "activation" and "gate".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Activation applies the named function (Hugging Face's names: "gelu_new", "silu", …) to every element.
type Activation struct{ Kind string }

// ActivationKernel is Out = f(X), f by its name.
type ActivationKernel struct {
	X, Out *tensor.Tensor
	Kind   string
}

// Name implements Op.
func (o *Activation) Name() string { return o.Kind }

// Infer implements Op.
func (o *Activation) Infer(in []Type) ([]Type, error) { return one(in[0].DType, in[0].Shape) }

// Run implements Op.
func (o *Activation) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&ActivationKernel{in[0], out[0], o.Kind})
}

// Kernel implements backend.Kernel.
func (*ActivationKernel) Kernel() string { return "activation" }

// Operands implements backend.Kernel.
func (k *ActivationKernel) Operands() backend.Operands { return backend.Reads(&k.X).Writes(&k.Out) }

// Gate is act(gate) · up, element by element (Shazeer 2020, https://arxiv.org/abs/2002.05202).
type Gate struct{ Kind string }

// GateKernel is Out = f(Gate) · Up, f by its name.
type GateKernel struct {
	Gate, Up, Out *tensor.Tensor
	Kind          string
}

// Name implements Op.
func (o *Gate) Name() string { return o.Kind + "_gate" }

// Infer implements Op.
func (o *Gate) Infer(in []Type) ([]Type, error) {
	if !sameShape(in[0], in[1]) {
		return nil, shapeError(o, in, "gate and up of one shape")
	}
	return one(in[0].DType, in[0].Shape)
}

// Run implements Op.
func (o *Gate) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&GateKernel{in[0], in[1], out[0], o.Kind})
}

// Cost implements Costed.
func (*Gate) Cost(_, out []Type) Cost { return Cost{Operations: 2 * out[0].Len()} }

// Kernel implements backend.Kernel.
func (*GateKernel) Kernel() string { return "gate" }

// Operands implements backend.Kernel.
func (k *GateKernel) Operands() backend.Operands {
	return backend.Reads(&k.Gate, &k.Up).Writes(&k.Out)
}
