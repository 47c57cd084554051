// Activation: a function of each element. Kernel "activation": x, out, kind; "gate": gate, up, out, kind.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Activation applies the named function (Hugging Face's names: "gelu_new", "silu", …) to every element.
type Activation struct{ Kind string }

// Name implements Op.
func (o *Activation) Name() string { return o.Kind }

// Forward implements Op.
func (o *Activation) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("activation", in[0], out, o.Kind) })
}

// Gate is act(gate) · up, element by element (Shazeer 2020, https://arxiv.org/abs/2002.05202).
type Gate struct{ Kind string }

// Name implements Op.
func (o *Gate) Name() string { return o.Kind + "_gate" }

// Forward implements Op.
func (o *Gate) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if !sameShape(in[0], in[1]) {
		return nil, shapeError(o, in, "gate and up of one shape")
	}
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error { return b.Launch("gate", in[0], in[1], out, o.Kind) })
}
