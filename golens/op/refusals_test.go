// Tests of what operations refuse: an error that says what was given and what would do, and nothing left behind.
package op_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestRefusals(t *testing.T) {
	b := newBench(t)
	w, table, vector, freq := b.normal(6, 8), b.normal(7, 6), b.normal(6), b.normal(2)
	x3, x4, scalar := b.normal(2, 3, 6), b.normal(2, 3, 4, 6), b.own(tensor.FromFloat32s([]float32{1}))
	ids := b.ids([]int64{0, 1, 2, 3, 4, 5}, 2, 3)
	every2nd := b.own(ids.View([]int{1, 3}, []int{6, 2}, 0))
	cos := b.normal(1, 3, 4)
	attention := op.AttentionShape{Scale: 1, Causal: true}
	for _, c := range []struct {
		name string
		op   op.Op
		in   []*tensor.Tensor
		says string
	}{
		{"activation pair", &op.Gate{Kind: "silu"}, in(x3, x4), "one shape"},
		{"add", &op.Add{}, in(x3, b.normal(2, 4, 6)), "given [2 3 6] and [2 4 6]"},
		{"mul", &op.Mul{}, in(x3, x4), "equal shapes"},
		{"solu scalar", &op.SoLU{}, in(scalar), "at least one dimension"},
		{"bare norm scalar", &op.Norm{Kind: op.LayerNorm}, in(scalar, nil, nil), "at least one dimension"},
		{"add ranks", &op.Add{}, in(x3, x4), "equal shapes"},
		{"embed floats", &op.Embed{}, in(x3, table, x3), "int64"},
		{"embed gaps", &op.Embed{}, in(every2nd, table, x3), "contiguous"},
		{"embed rank", &op.Embed{}, in(b.ids([]int64{1}, 1), table, x3), "[batch, pos]"},
		{"positions floats", &op.PosEmbed{}, in(x3, x3, table), "int64"},
		{"positions batch", &op.PosEmbed{}, in(ids, b.normal(3, 3, 6), table), "each of 3 batch rows"},
		{"positions without embedding", &op.PosEmbed{}, in(ids, x4, table), "an embedding"},
		{"linear width", &op.Linear{}, in(b.normal(2, 3, 5), w, nil), "given [2 3 5] and [6 8] and none, expected 6 features"},
		{"linear head width", &op.Linear{}, in(x4, w, nil), "6 features"},
		{"linear scalar", &op.Linear{}, in(scalar, w, nil), "6 features"},
		{"linear stream", &op.Linear{}, in(x3, w, nil, b.normal(1, 6, 8)), "[2 3 8]"},
		{"norm width", &op.Norm{Kind: op.RMSNorm}, in(b.normal(2, 3, 5), vector, nil), "last dimension of 6"},
		{"norm scalar", &op.Norm{Kind: op.LayerNorm}, in(scalar, vector, nil), "at least one dimension"},
		{"scale scalar", &op.NormScale{Kind: op.LayerNorm}, in(scalar), "at least one dimension"},
		{"normalize", &op.Normalize{Kind: op.LayerNorm}, in(x3, b.normal(2, 2, 1)), "scale [batch, pos, 1]"},
		{"normalize with a turned scale", &op.Normalize{Kind: op.LayerNorm}, in(x3, b.normal(3, 2, 1)), "scale [batch, pos, 1]"},
		{"affine width", &op.Affine{}, in(b.normal(2, 3, 5), vector, nil), "last dimension of 6"},
		{"rope table", &op.RopeTable{}, in(x3, freq, x3), "int64 positions"},
		{"rope rank", &op.Rope{}, in(x3, cos, cos), "x [batch, pos, head, d_head]"},
		{"rope sin", &op.Rope{}, in(x4, cos, b.normal(1, 3, 2)), "cos and sin"},
		{"rope too wide", &op.Rope{}, in(x4, b.normal(1, 3, 8), b.normal(1, 3, 8)), "cos and sin"},
		{"rope positions", &op.Rope{}, in(x4, b.normal(1, 5, 4), b.normal(1, 5, 4)), "3 positions and 1 or 2 batch rows"},
		{"scores rank", &op.Scores{AttentionShape: attention}, in(x3, x4, nil), "q [batch, q_pos, head, d_head]"},
		{"scores heads", &op.Scores{AttentionShape: attention}, in(x4, b.normal(2, 3, 3, 6), nil), "kv_head dividing head"},
		{"scores batch", &op.Scores{AttentionShape: attention}, in(x4, b.normal(1, 3, 4, 6), nil), "k [batch, k_pos"},
		{"scores mask", &op.Scores{AttentionShape: attention}, in(x4, x4, b.bytes(nil, 2, 4)), "a mask [2, 3]"},
		{"attention v", &op.Attention{AttentionShape: attention}, in(x4, x4, b.normal(2, 4, 4, 6), nil), "k and v of one shape"},
		{"attention mask", &op.Attention{AttentionShape: attention}, in(x4, x4, x4, b.bytes(nil, 1, 3)), "given [2 3 4 6] and [2 3 4 6] and [2 3 4 6] and [1 3]"},
		{"softmax", &op.Softmax{}, in(scalar), "at least one dimension"},
		{"mix", &op.Mix{}, in(b.normal(2, 4, 3, 5), x4), "a pattern [batch, head, q_pos, k_pos]"},
		{"repeat", &op.RepeatHeads{Heads: 2}, in(x4), "[batch, pos, d_model]"},
		{"first", &op.FirstHeads{Heads: 5}, in(x4), "at least 5 heads"},
		{"head linear", &op.HeadLinear{Heads: 2}, in(x4, w, nil), "[batch, pos, 2, 6]"},
		{"head result", &op.HeadResult{}, in(x4, w), "of 6 features"},
		{"sum heads", &op.SumHeads{}, in(x3, nil), "[batch, pos, head, d_model]"},
	} {
		out, err := b.apply(c.op, c.in...)
		if !errors.Is(err, op.ErrShape) || out != nil {
			t.Errorf("%s: gave %v, error %v", c.name, out, err)
			continue
		}
		for _, words := range []string{c.op.Name(), "given ", c.says} {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q does not say %q", c.name, err, words)
			}
		}
	}
}

func in(tensors ...*tensor.Tensor) []*tensor.Tensor { return tensors }

func TestIDsOutsideTheTable(t *testing.T) {
	b := newBench(t)
	table, like := b.normal(7, 6), b.normal(1, 2, 6)
	for _, id := range []int64{-1, 7, 1 << 40} {
		ids := b.ids([]int64{0, id}, 1, 2)
		_, of := b.apply(&op.Embed{Table: "embed.weight"}, ids, table, like)
		_, at := b.apply(&op.PosEmbed{Table: "embed.weight"}, ids, like, table)
		for _, err := range []error{of, at} {
			if !errors.Is(err, op.ErrIndex) || !strings.Contains(err.Error(), "embed.weight has rows 0 to 6") {
				t.Errorf("%d: %v", id, err)
			}
		}
	}
}
