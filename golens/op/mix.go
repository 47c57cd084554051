// Mix: values weighted by an attention pattern. Kernel "mix": pattern, v, out.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Mix takes a pattern [batch, head, q_pos, k_pos] and v [batch, k_pos, kv_head, d_head], and gives
// z [batch, q_pos, head, d_head].
type Mix struct{}

// Name implements Op.
func (*Mix) Name() string { return "attn_mix" }

// Forward implements Op.
func (o *Mix) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	p, v := in[0], in[1]
	if len(p.Shape()) != 4 || len(v.Shape()) != 4 || p.Dim(0) != v.Dim(0) || p.Dim(3) != v.Dim(1) || v.Dim(2) == 0 || p.Dim(1)%v.Dim(2) != 0 {
		return nil, shapeError(o, in, "a pattern [batch, head, q_pos, k_pos] and v [batch, k_pos, kv_head, d_head]")
	}
	shape := []int{p.Dim(0), p.Dim(2), p.Dim(1), v.Dim(3)}
	return produce(b, p.DType(), shape, func(out *tensor.Tensor) error { return b.Launch("mix", p, v, out) })
}
