package cpu

// #include "kernels.h"
// #cgo noescape tlg_attention
// #cgo nocallback tlg_attention
// #cgo noescape tlg_scores
// #cgo nocallback tlg_scores
// #cgo noescape tlg_mix
// #cgo nocallback tlg_mix
// #cgo noescape tlg_softmax
// #cgo nocallback tlg_softmax
import "C"

import (
	"math"
	"unsafe"
)

// Masked is what a masked attention score holds: the most negative finite float32, as in Hugging
// Face's eager attention. Where a row is masked throughout, all its keys get the same probability.
const Masked = -math.MaxFloat32

// Rows says where the vectors of a tensor [batch, pos, head, e] lie: elements from one sequence, one
// position and one head to the next. The vectors themselves are contiguous.
type Rows struct {
	Data             unsafe.Pointer
	Batch, Pos, Head int
}

func (r *Rows) strides() C.tlg_strides {
	return C.tlg_strides{batch: C.long(r.Batch), pos: C.long(r.Pos), head: C.long(r.Head)}
}

// Attention is one attention layer's product of queries, keys and values.
//
//	Q [batch, q_len, heads, head_dim]      K [batch, k_len, kv_heads, head_dim]
//	V [batch, k_len, kv_heads, value_dim]  Z [batch, q_len, heads, value_dim] contiguous
//	Scores and Pattern [batch, heads, q_len, k_len] contiguous
//
// Head h uses key/value head h / (Heads/KVHeads). Query i stands at position i + KLen - QLen among the
// keys. It sees key j if j is not after it (Causal), less than Window positions before it (Window > 0)
// and Mask[batch, k_len] is not zero there (Mask may be nil).
//
// Run gives the bits of RunScores, Softmax and RunMix one after the other. A row does not depend on
// other rows, on keys that it does not see, or on where in the keys the ones it sees begin. Values
// that are inf or NaN at keys of probability 0 change nothing; elsewhere they spread as usual.
type Attention struct {
	Batch, Heads, KVHeads int
	QLen, KLen            int
	HeadDim, ValueDim     int // ValueDim 0 means HeadDim
	Scale                 float32
	Causal                bool
	Window                int
	SoftCap               float32        // scores are SoftCap·tanh(score / SoftCap); 0: as they are
	ZeroMasked            bool           // see Softmax
	Mask                  unsafe.Pointer // uint8 [batch, k_len]: 1 real, 0 padding
	Q, K, V               Rows
	Scores, Pattern       unsafe.Pointer
	Z                     unsafe.Pointer
}

func (a *Attention) shape() C.tlg_attention_shape {
	value := a.ValueDim
	if value == 0 {
		value = a.HeadDim
	}
	return C.tlg_attention_shape{
		batch: C.long(a.Batch), heads: C.long(a.Heads), kv_heads: C.long(a.KVHeads),
		q_len: C.long(a.QLen), k_len: C.long(a.KLen),
		head_dim: C.long(a.HeadDim), value_dim: C.long(value),
		window: C.long(a.Window), causal: boolInt(a.Causal), zero_masked: boolInt(a.ZeroMasked),
		scale: C.float(a.Scale), softcap: C.float(a.SoftCap),
	}
}

// Run computes Z from Q, K and V. Its only error is ErrNoMemory.
func (a *Attention) Run() error {
	s, q, k, v := a.shape(), a.Q.strides(), a.K.strides(), a.V.strides()
	return status(C.tlg_attention(&s, (*C.float)(a.Q.Data), &q, (*C.float)(a.K.Data), &k,
		(*C.float)(a.V.Data), &v, (*C.uint8_t)(a.Mask), (*C.float)(a.Z)))
}

// RunScores computes Scores, the scaled products of Q and K, with Masked where a query does not see a
// key. Its only error is ErrNoMemory.
func (a *Attention) RunScores() error {
	s, q, k := a.shape(), a.Q.strides(), a.K.strides()
	return status(C.tlg_scores(&s, (*C.float)(a.Q.Data), &q, (*C.float)(a.K.Data), &k,
		(*C.uint8_t)(a.Mask), (*C.float)(a.Scores)))
}

// RunMix computes Z, the sums of V weighted with Pattern, whatever it holds: masks play no part. A key
// whose weight is exactly 0 contributes nothing. Its only error is ErrNoMemory.
func (a *Attention) RunMix() error {
	s, v := a.shape(), a.V.strides()
	return status(C.tlg_mix(&s, (*C.float)(a.Pattern), (*C.float)(a.V.Data), &v, (*C.float)(a.Z)))
}

// Softmax turns scores [rows, n] into probabilities; pattern may be scores. Scores of Masked or less
// get 0, but a row of nothing else shares equally among those that are Masked. A row with NaN or +inf,
// or of -inf alone, is NaN throughout. With zeroMasked a row of nothing but Masked is all 0, and -inf
// in it NaN.
func Softmax(pattern, scores unsafe.Pointer, rows, n int, zeroMasked bool) {
	C.tlg_softmax(C.long(rows), C.long(n), boolInt(zeroMasked), (*C.float)(scores), (*C.float)(pattern))
}
