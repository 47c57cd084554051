// Scores: masked attention scores. Kernel "scores": q, k, mask, out, scale, causal, window, soft cap.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Scores takes q [batch, q_pos, head, d_head], k [batch, k_pos, kv_head, d_head] and an optional mask uint8
// [batch, k_pos], and gives [batch, head, q_pos, k_pos]. Masked entries are the lowest finite number of the dtype.
type Scores struct{ AttentionShape }

// Name implements Op.
func (*Scores) Name() string { return "attn_scores" }

// Forward implements Op.
func (o *Scores) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	q, k, mask := in[0], in[1], in[2]
	if err := checkAttention(o, in, q, k, mask); err != nil {
		return nil, err
	}
	shape := []int{q.Dim(0), q.Dim(2), q.Dim(1), k.Dim(1)}
	return produce(b, q.DType(), shape, func(out *tensor.Tensor) error {
		return b.Launch("scores", q, k, mask, out, o.Scale, o.Causal, o.Window, o.SoftCap)
	})
}
