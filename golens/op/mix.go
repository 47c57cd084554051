// Mix: values weighted by an attention pattern. Kernel "mix".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Mix takes a pattern [batch, head, q_pos, k_pos] and v [batch, k_pos, kv_head, d_head], and gives
// z [batch, q_pos, head, d_head].
type Mix struct{}

// MixKernel is Out = Pattern·V by head; a key whose weight is exactly 0 adds nothing. V may have strides.
type MixKernel struct{ Pattern, V, Out *tensor.Tensor }

// Name implements Op.
func (*Mix) Name() string { return "attn_mix" }

// Infer implements Op.
func (o *Mix) Infer(in []Type) ([]Type, error) {
	p, v := in[0], in[1]
	if p.Rank() != 4 || v.Rank() != 4 || p.Dim(0) != v.Dim(0) || p.Dim(3) != v.Dim(1) || v.Dim(2) == 0 || p.Dim(1)%v.Dim(2) != 0 {
		return nil, shapeError(o, in, "a pattern [batch, head, q_pos, k_pos] and v [batch, k_pos, kv_head, d_head]")
	}
	return one(p.DType, []int{p.Dim(0), p.Dim(2), p.Dim(1), v.Dim(3)})
}

// Run implements Op.
func (*Mix) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&MixKernel{in[0], in[1], out[0]})
}

// Cost implements Costed.
func (*Mix) Cost(in, out []Type) Cost { return Cost{Operations: products(out[0].Len(), in[0].Dim(3))} }

// Kernel implements backend.Kernel.
func (*MixKernel) Kernel() string { return "mix" }

// Operands implements backend.Kernel.
func (k *MixKernel) Operands() backend.Operands {
	return backend.Reads(&k.Pattern, &k.V).Writes(&k.Out)
}
