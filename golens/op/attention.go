// Attention: softmax(q·k · scale, masked)·v (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) in one kernel,
// for when nobody looks inside; scores.go, softmax.go and mix.go are the same in steps, bit for bit.
// Kernel "attention".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// AttentionShape is what scores and fused attention have in common.
type AttentionShape struct {
	Scale  float64
	Causal bool
	Window int // keys further back than this many positions are not seen; 0 = no limit
	// SoftCap bends scores to SoftCap · tanh(score / SoftCap) (Gemma 2, https://arxiv.org/abs/2408.00118); 0 = not.
	SoftCap float64
	// ZeroMasked: a query that sees no key attends to nothing. Otherwise it shares equally among all keys.
	ZeroMasked bool
}

// Attention takes q [batch, q_pos, head, d_head], k and v [batch, k_pos, kv_head, d_head] and an optional mask
// uint8 [batch, k_pos] (0 = not a token), and gives z [batch, q_pos, head, d_head].
type Attention struct{ AttentionShape }

// AttentionKernel is Out = softmax(Q·K · Scale, capped and masked)·V by head. K and V may have strides; Mask may be nil.
type AttentionKernel struct {
	Q, K, V, Mask, Out *tensor.Tensor
	AttentionShape
}

// Name implements Op.
func (*Attention) Name() string { return "attention" }

// Infer implements Op.
func (o *Attention) Infer(in []Type) ([]Type, error) {
	q, k, v, mask := in[0], in[1], in[2], in[3]
	if err := checkAttention(o, in, q, k, mask); err != nil {
		return nil, err
	}
	if !sameShape(k, v) {
		return nil, shapeError(o, in, "k and v of one shape")
	}
	return one(q.DType, q.Shape)
}

// Run implements Op.
func (o *Attention) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&AttentionKernel{in[0], in[1], in[2], in[3], out[0], o.AttentionShape})
}

// Cost implements Costed.
func (*Attention) Cost(in, out []Type) Cost {
	return Cost{Operations: 2*products(out[0].Len(), in[1].Dim(1)) + 3*in[0].Dim(0)*in[0].Dim(1)*in[0].Dim(2)*in[1].Dim(1)}
}

func checkAttention(o Op, in []Type, q, k, mask Type) error {
	if q.Rank() != 4 || k.Rank() != 4 || q.Dim(0) != k.Dim(0) || q.Dim(3) != k.Dim(3) || k.Dim(2) == 0 || q.Dim(2)%k.Dim(2) != 0 {
		return shapeError(o, in, "q [batch, q_pos, head, d_head] and k [batch, k_pos, kv_head, d_head], kv_head dividing head")
	}
	if !mask.Absent() && (mask.Rank() != 2 || mask.Dim(0) != k.Dim(0) || mask.Dim(1) != k.Dim(1)) {
		return shapeError(o, in, "a mask [%d, %d]", k.Dim(0), k.Dim(1))
	}
	return nil
}

// Kernel implements backend.Kernel.
func (*AttentionKernel) Kernel() string { return "attention" }

// Operands implements backend.Kernel.
func (k *AttentionKernel) Operands() backend.Operands {
	return backend.Reads(&k.Q, &k.K, &k.V, &k.Mask).Writes(&k.Out)
}
