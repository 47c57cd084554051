// Scores: masked attention scores. Kernel "scores".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Scores takes q [batch, q_pos, head, d_head], k [batch, k_pos, kv_head, d_head] and an optional mask uint8
// [batch, k_pos], and gives [batch, head, q_pos, k_pos]. Masked entries are the lowest finite number of the dtype.
type Scores struct{ AttentionShape }

// ScoresKernel is Out = Q·K · Scale, capped and masked. K may have strides; Mask may be nil.
type ScoresKernel struct {
	Q, K, Mask, Out *tensor.Tensor
	AttentionShape
}

// Name implements Op.
func (*Scores) Name() string { return "attn_scores" }

// Infer implements Op.
func (o *Scores) Infer(in []Type) ([]Type, error) {
	q, k, mask := in[0], in[1], in[2]
	if err := checkAttention(o, in, q, k, mask); err != nil {
		return nil, err
	}
	return one(q.DType, []int{q.Dim(0), q.Dim(2), q.Dim(1), k.Dim(1)})
}

// Run implements Op.
func (o *Scores) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&ScoresKernel{in[0], in[1], in[2], out[0], o.AttentionShape})
}

// Cost implements Costed.
func (*Scores) Cost(in, out []Type) Cost {
	return Cost{Operations: products(out[0].Len(), in[0].Dim(3))}
}

// Kernel implements backend.Kernel.
func (*ScoresKernel) Kernel() string { return "scores" }

// Operands implements backend.Kernel.
func (k *ScoresKernel) Operands() backend.Operands {
	return backend.Reads(&k.Q, &k.K, &k.Mask).WritesScores(&k.Out)
}
