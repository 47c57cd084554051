// Tests of attention: its steps against loops, and each operation that stands for several against those.
package op_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// attentionCase is one way of attending. A row of the mask that is 0 throughout has queries that see nothing.
type attentionCase struct {
	shape                     op.AttentionShape
	queries, keys, heads, kvs int
	mask                      []byte // [2, keys]
}

func (c *attentionCase) sees(batch, query, key int) bool {
	at := query + c.keys - c.queries
	return !(c.shape.Causal && key > at) && !(c.shape.Window > 0 && key <= at-c.shape.Window) &&
		(c.mask == nil || c.mask[batch*c.keys+key] != 0)
}

var attentionCases = []attentionCase{
	{op.AttentionShape{Scale: 0.5, Causal: true}, 6, 6, 2, 2, nil},
	{op.AttentionShape{Scale: 0.3}, 5, 5, 4, 2, nil},
	{op.AttentionShape{Scale: 0.3, Causal: true}, 2, 6, 4, 1, nil},
	{op.AttentionShape{Scale: 1, Causal: true, Window: 3}, 7, 7, 2, 1, nil},
	{op.AttentionShape{Scale: 1, Causal: true, Window: 3}, 5, 5, 2, 1, []byte{0, 0, 1, 1, 1, 1, 1, 1, 0, 1}},
	{op.AttentionShape{Scale: 0.5, Causal: true}, 5, 5, 2, 2, []byte{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}},
	{op.AttentionShape{Scale: 0.25, Causal: true}, 40, 40, 3, 3, nil},
	{op.AttentionShape{Scale: 0.9, Causal: true, SoftCap: 0.7}, 9, 9, 2, 1, nil},
	{op.AttentionShape{Scale: 0.9, SoftCap: 2, ZeroMasked: true}, 5, 5, 2, 2, []byte{0, 0, 0, 0, 0, 0, 1, 1, 1, 0}},
	{op.AttentionShape{Scale: 0.5, Causal: true, ZeroMasked: true}, 5, 5, 2, 2, []byte{0, 0, 1, 1, 1, 1, 1, 1, 1, 1}},
}

func TestAttention(t *testing.T) {
	const d = 5
	for i := range attentionCases {
		c := &attentionCases[i]
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := newBench(t)
			q, k, v := b.normal(2, c.queries, c.heads, d), b.normal(2, c.keys, c.kvs, d), b.normal(2, c.keys, c.kvs, d)
			var mask *tensor.Tensor
			if c.mask != nil {
				mask = b.bytes(c.mask, 2, c.keys)
			}
			group := c.heads / c.kvs
			scores := b.run(&op.Scores{AttentionShape: c.shape}, q, k, mask)
			b.near(scores, []int{2, c.heads, c.queries, c.keys}, tolerance, func(i []int) float64 {
				if !c.sees(i[0], i[2], i[3]) {
					return -math.MaxFloat32
				}
				score := float64(c.shape.Scale) * dot(d, func(e int) float64 { return at(q, i[0], i[2], i[1], e) }, func(e int) float64 { return at(k, i[0], i[3], i[1]/group, e) })
				if limit := float64(c.shape.SoftCap); limit > 0 {
					score = limit * math.Tanh(score/limit)
				}
				return score
			})
			pattern := b.run(&op.Softmax{ZeroMasked: c.shape.ZeroMasked}, scores)
			b.near(pattern, scores.Shape(), tolerance, func(i []int) float64 {
				if c.shape.ZeroMasked && !c.sees(i[0], i[2], i[3]) {
					return 0
				}
				return softmaxAt(scores, i, c.keys)
			})
			z := b.run(&op.Mix{}, pattern, v)
			b.near(z, []int{2, c.queries, c.heads, d}, tolerance, func(i []int) float64 {
				return dot(c.keys, func(key int) float64 { return at(pattern, i[0], i[2], i[1], key) }, func(key int) float64 { return at(v, i[0], key, i[2]/group, i[3]) })
			})
			b.sameBits("fused attention", b.run(&op.Attention{AttentionShape: c.shape}, q, k, v, mask), z)
		})
	}
}

// softmaxAt is element i of the softmax of its row. A row that is masked throughout is uniform.
func softmaxAt(scores *tensor.Tensor, i []int, keys int) float64 {
	most, sum := math.Inf(-1), 0.0
	row := func(key int) float64 { return at(scores, i[0], i[1], i[2], key) }
	for key := range keys {
		most = math.Max(most, row(key))
	}
	for key := range keys {
		sum += math.Exp(row(key) - most)
	}
	return math.Exp(row(i[3])-most) / sum
}

func TestNormIsItsSteps(t *testing.T) {
	for _, d := range []int{1, 5, 32, 100} {
		for _, kind := range []op.NormKind{op.LayerNorm, op.RMSNorm} {
			b := newBench(t)
			x, w, bias := b.normal(3, 9, d), b.normal(d), b.normal(d)
			x.Float32s()[2] = 1e20 // an outlier, as residual streams have them
			for _, bias := range []*tensor.Tensor{nil, bias} {
				scale := b.run(&op.NormScale{Kind: kind, Eps: 1e-5}, x)
				normalized := b.run(&op.Normalize{Kind: kind}, x, scale)
				b.sameBits("without weights", b.run(&op.Norm{Kind: kind, Eps: 1e-5}, x, nil, nil), normalized)
				steps := b.run(&op.Affine{}, normalized, w, bias)
				b.sameBits(fmt.Sprintf("%s of %d", kind, d), b.run(&op.Norm{Kind: kind, Eps: 1e-5}, x, w, bias), steps)
			}
		}
	}
}

// TestLinearIsItsSteps: adding to the stream inside the product gives the bits of adding afterwards, for every
// number of rows (the backend may choose another kernel by it) and both layouts.
func TestLinearIsItsSteps(t *testing.T) {
	b := newBench(t)
	const k, n = 70, 33
	for _, w := range []*tensor.Tensor{b.normal(k, n), b.transposed(k, n)} {
		for _, bias := range []*tensor.Tensor{nil, b.normal(n)} {
			for _, rows := range []int{1, 2, 3, 15, 16, 17, 64, 129} {
				x, stream := b.normal(1, rows, k), b.normal(1, rows, n)
				linear := &op.Linear{}
				b.sameBits(fmt.Sprint(rows, " rows"), b.run(linear, x, w, bias, stream), b.run(&op.Add{}, stream, b.run(linear, x, w, bias)))
			}
		}
	}
}

// TestHeadsAreLinear: with the same input for every head, the per-head forms are the plain projections.
func TestHeadsAreLinear(t *testing.T) {
	b := newBench(t)
	const d, heads, e = 48, 4, 12
	x, w, bias := b.normal(2, 9, d), b.transposed(d, heads*e), b.normal(heads*e)
	plain := b.run(&op.Linear{Heads: heads}, x, w, bias)
	split := b.run(&op.HeadLinear{Heads: heads}, b.run(&op.RepeatHeads{Heads: heads}, x), w, bias)
	b.near(split, plain.Shape(), tolerance, func(i []int) float64 { return at(plain, i...) })

	z, o, ob := b.normal(2, 9, heads, e), b.transposed(heads*e, d), b.normal(d)
	whole := b.run(&op.Linear{}, z, o, ob)
	summed := b.run(&op.SumHeads{}, b.run(&op.HeadResult{}, z, o), ob)
	b.near(summed, whole.Shape(), tolerance, func(i []int) float64 { return at(whole, i...) })
}

// TestRowsStandAlone: what an operation makes of one sequence does not depend on the others in the batch.
func TestRowsStandAlone(t *testing.T) {
	b := newBench(t)
	const d = 48
	w, wide := b.normal(d), b.transposed(d, 96)
	ops := []struct {
		op.Op
		weights []*tensor.Tensor
	}{
		{&op.Norm{Kind: op.LayerNorm, Eps: 1e-5}, in(w, nil)}, {&op.Norm{Kind: op.RMSNorm, Eps: 1e-5}, in(w, nil)},
		{&op.Linear{}, in(wide, nil)}, {&op.Activation{Kind: "gelu"}, nil}, {&op.Softmax{}, nil}, {&op.Affine{}, in(w, nil)},
		{&op.SoLU{}, nil}, {&op.SoftCap{Limit: 2}, nil}, {&op.Norm{Kind: op.RMSNorm, Eps: 1e-5}, in(nil, nil)},
		{&op.Unembed{SoftCap: 3}, in(wide, nil, nil)},
	}
	for _, batch := range []int{2, 7, 40} {
		x := b.normal(batch, 3, d)
		first := b.own(x.View([]int{1, 3, d}, nil, 0))
		for _, o := range ops {
			all := b.run(o, append(in(x), o.weights...)...)
			b.sameBits(fmt.Sprint(o.Name(), " in a batch of ", batch), b.own(all.View([]int{1, 3, all.Dim(2)}, nil, 0)), b.run(o, append(in(first), o.weights...)...))
		}
	}
}
