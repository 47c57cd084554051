// Tests of the operations in every floating dtype, against what they compute in float32: float64 agrees with it, and
// 16 bits are float32's result on the same values, rounded once.
package op_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// dtyped is an operation on inputs of one dtype; make gives it with its parameters and inputs in another.
type dtyped struct {
	name string
	make func(as func(*tensor.Tensor) *tensor.Tensor) (op.Op, []*tensor.Tensor)
}

// as gives tensors of floats in a dtype, with their strides.
func (b *bench) as(dt tensor.DType) func(*tensor.Tensor) *tensor.Tensor {
	return func(t *tensor.Tensor) *tensor.Tensor {
		if t == nil || !t.DType().Floating() {
			return t
		}
		whole := b.own(tensor.FromStorage(t.Storage(), 0, t.DType(), []int{t.Storage().Len() / t.DType().Size()}, nil))
		other := b.own(tensor.New(dt, whole.Shape()...))
		if err := (cpu.CPU{}).Launch(&op.ConvertKernel{X: whole, Out: other}); err != nil {
			b.t.Fatal(err)
		}
		for i, v := range floats(whole) { // a masked score is the lowest number of its dtype
			if v == t.DType().Lowest() {
				set(other, i, dt.Lowest())
			}
		}
		return b.own(other.View(t.Shape(), t.Strides(), 0))
	}
}

// floats are the values of a contiguous tensor of any floating dtype.
func floats(t *tensor.Tensor) []float64 {
	values := make([]float64, t.Len())
	for i := range values {
		switch t.DType() {
		case tensor.Float64:
			values[i] = t.Float64s()[i]
		case tensor.Float32:
			values[i] = float64(t.Float32s()[i])
		case tensor.BFloat16:
			values[i] = float64(math.Float32frombits(uint32(t.Uint16s()[i]) << 16))
		default:
			if t.Uint16s()[i] == 0xfbff {
				values[i] = tensor.Float16.Lowest()
			}
		}
	}
	return values
}

func set(t *tensor.Tensor, i int, v float64) {
	switch t.DType() {
	case tensor.Float64:
		t.Float64s()[i] = v
	case tensor.Float32:
		t.Float32s()[i] = float32(v)
	case tensor.BFloat16:
		t.Uint16s()[i] = uint16(math.Float32bits(float32(v)) >> 16)
	default:
		t.Uint16s()[i] = 0xfbff // only used for the lowest
	}
}

func (b *bench) dtyped() []dtyped {
	x, wide, q, kv := b.normal(2, 5, 12), b.normal(2, 5, 4, 12), b.normal(2, 5, 4, 6), b.normal(2, 5, 2, 6)
	w, turned, bias := b.normal(12, 24), b.transposed(12, 24), b.normal(24)
	o, twelve, table := b.normal(24, 12), b.normal(12), b.normal(9, 12)
	ids := b.ids([]int64{8, 0, 3, 3, 1, 2, 7, 5, 0, 8}, 2, 5)
	mask := b.bytes([]byte{0, 0, 1, 1, 1, 1, 1, 1, 1, 0}, 2, 5)
	tokenMask := b.ids([]int64{0, 0, 1, 1, 1, 1, 1, 1, 1, 0}, 2, 5)
	positions := b.ids([]int64{0, 1, 2, 3, 4}, 1, 5)
	freq := b.own(tensor.FromFloat32s([]float32{1, 0.25}, 2))
	angles := b.runAll(&op.RopeTable{Scaling: 1}, positions, freq, x)
	shape := op.AttentionShape{Scale: 0.4, Causal: true, Window: 3}
	scores := b.run(&op.Scores{AttentionShape: shape}, q, kv, mask)
	pattern := b.run(&op.Softmax{}, scores)
	scale := b.run(&op.NormScale{Kind: op.LayerNorm, Eps: 1e-5}, x)
	type as = func(*tensor.Tensor) *tensor.Tensor
	list := func(as as, in ...*tensor.Tensor) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(in))
		for i, t := range in {
			out[i] = as(t)
		}
		return out
	}
	plain := func(o op.Op, in ...*tensor.Tensor) func(as) (op.Op, []*tensor.Tensor) {
		return func(as as) (op.Op, []*tensor.Tensor) { return o, list(as, in...) }
	}
	return []dtyped{
		{"add", plain(&op.Add{}, x, b.normal(2, 5, 12))},
		{"linear", plain(&op.Linear{}, x, w, bias)},
		{"linear, [out, in]", plain(&op.Linear{Heads: 4}, x, turned, nil)},
		{"head linear", plain(&op.HeadLinear{Heads: 4}, wide, turned, bias)},
		{"head result", plain(&op.HeadResult{}, q, o)},
		{"sum heads", plain(&op.SumHeads{}, wide, twelve)},
		{"repeat heads", plain(&op.RepeatHeads{Heads: 3}, x)},
		{"first heads", plain(&op.FirstHeads{Heads: 2}, wide)},
		{"embed", plain(&op.Embed{}, ids, table, table)},
		{"positions", plain(&op.PosEmbed{}, positions, x, table)},
		{"layer norm scale", plain(&op.NormScale{Kind: op.LayerNorm, Eps: 1e-5}, x)},
		{"rms norm scale", plain(&op.NormScale{Kind: op.RMSNorm, Eps: 1e-5}, x)},
		{"layer normalize", plain(&op.Normalize{Kind: op.LayerNorm}, x, scale)},
		{"rms normalize", plain(&op.Normalize{Kind: op.RMSNorm}, x, scale)},
		{"plain rms", plain(&op.Normalize{Kind: op.RMSNorm, Whole: true}, x, scale)},
		{"softcap", plain(&op.SoftCap{Limit: 1.5}, x)},
		{"solu", plain(&op.SoLU{}, x)},
		{"mul", plain(&op.Mul{}, x, b.normal(2, 5, 12))},
		{"layer norm", plain(&op.Norm{Kind: op.LayerNorm, Eps: 1e-5}, x, twelve, twelve)},
		{"rms norm with a bias", plain(&op.Norm{Kind: op.RMSNorm, Eps: 1e-5}, x, twelve, twelve)},
		{"rms norm without weights", plain(&op.Norm{Kind: op.RMSNorm, Eps: 1e-5}, x, nil, nil)},
		{"extend", plain(&op.Extend{}, kv, nil, b.normal(2, 2, 2, 6))},
		{"loss", plain(&op.CrossEntropy{}, x, ids, nil)},
		{"loss of each token", plain(&op.CrossEntropy{PerToken: true}, x, ids, tokenMask)},
		{"affine", plain(&op.Affine{}, x, twelve, twelve)},
		{"rope", plain(&op.Rope{}, q, angles[0], angles[1])},
		{"rope of neighbours", plain(&op.Rope{Adjacent: true}, q, angles[0], angles[1])},
		{"scores", plain(&op.Scores{AttentionShape: shape}, q, kv, mask)},
		{"softmax", plain(&op.Softmax{}, scores)},
		{"mix", plain(&op.Mix{}, pattern, kv)},
		{"silu", plain(&op.Activation{Kind: "silu"}, x)},
		{"relu", plain(&op.Activation{Kind: "relu"}, x)},
		{"relu2", plain(&op.Activation{Kind: "relu2"}, x)},
		{"gelu", plain(&op.Activation{Kind: "gelu"}, x)},
		{"gelu_tanh", plain(&op.Activation{Kind: "gelu_tanh"}, x)},
		{"quick_gelu", plain(&op.Activation{Kind: "quick_gelu"}, x)},
		{"tanh", plain(&op.Activation{Kind: "tanh"}, x)},
		{"sigmoid", plain(&op.Activation{Kind: "sigmoid"}, x)},
		{"unembed", plain(&op.Unembed{}, x, w, bias, b.ids([]int64{4, 0}, 1, 2))},
		{"take", plain(&op.Take{}, x, b.ids([]int64{1, 1, 3, 0}, 2, 2))},
		{"gate", plain(&op.Gate{Kind: "silu"}, x, b.normal(2, 5, 12))},
	}
}

// moving are operations that compute nothing: their float64 results are the float32 ones.
var moving = []string{"repeat heads", "first heads", "embed", "positions", "take", "relu", "extend"}

func TestFloat64AgreesWithFloat32(t *testing.T) {
	b := newBench(t)
	for _, c := range b.dtyped() {
		o, in := c.make(b.as(tensor.Float32))
		want := b.run(o, in...)
		o, in = c.make(b.as(tensor.Float64))
		got := b.run(o, in...)
		if got.DType() != tensor.Float64 {
			t.Fatalf("%s gave %s", c.name, got.DType())
		}
		exact := false
		for i, g := range got.Float64s() {
			w := float64(want.Float32s()[i])
			if w == tensor.Float32.Lowest() && g == tensor.Float64.Lowest() {
				continue
			}
			if !(math.Abs(g-w) <= tolerance*math.Max(1, math.Abs(w))) {
				t.Fatalf("%s: value %d is %g, want %g", c.name, i, g, w)
			}
			exact = exact || g != w
		}
		if moves := slices.Contains(moving, c.name); exact == moves {
			t.Errorf("%s: float64 differs from float32: %v", c.name, exact)
		}
	}
}

func TestSixteenBitsAreFloat32Rounded(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		b := newBench(t)
		for _, c := range b.dtyped() {
			narrow := b.as(dt)
			o, in := c.make(narrow)
			got := b.run(o, in...)
			widen := b.as(tensor.Float32)
			o, in = c.make(func(t *tensor.Tensor) *tensor.Tensor { return widen(narrow(t)) })
			want := b.run(o, in...)
			if inner := strings.Contains(c.name, "scale") || strings.Contains(c.name, "normalize"); inner {
				b.sameBits(c.name, got, want) // a norm's inner values stay float32
				continue
			}
			b.sameBits(c.name, got, narrow(want))
		}
	}
}

// TestNarrowNormIsItsSteps: the whole rounds where its steps do, so that a hook between them changes no bit.
func TestNarrowNormIsItsSteps(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BFloat16, tensor.Float16, tensor.Float64} {
		b := newBench(t)
		x, w := b.as(dt)(b.normal(3, 7, 40)), b.as(dt)(b.normal(40))
		for _, kind := range []op.NormKind{op.LayerNorm, op.RMSNorm} {
			whole := b.run(&op.Norm{Kind: kind, Eps: 1e-6}, x, w, w)
			scale := b.run(&op.NormScale{Kind: kind, Eps: 1e-6}, x)
			steps := b.run(&op.Affine{}, b.run(&op.Normalize{Kind: kind}, x, scale), w, w)
			b.sameBits(string(kind), whole, steps)
		}
	}
}

func TestMixedDTypesAreRefused(t *testing.T) {
	b := newBench(t)
	x, w, bias := b.normal(2, 3, 4), b.normal(4, 4), b.normal(4)
	wide, bf16, f16 := b.as(tensor.Float64), b.as(tensor.BFloat16), b.as(tensor.Float16)
	for name, c := range map[string]struct {
		op op.Op
		in []*tensor.Tensor
	}{
		"linear by float64":             {&op.Linear{}, in(x, wide(w), nil)},
		"add float64":                   {&op.Add{}, in(x, wide(x))},
		"affine of float64":             {&op.Affine{}, in(x, wide(bias), nil)},
		"add two of 16 bits":            {&op.Add{}, in(bf16(x), f16(x))},
		"linear of two of 16 bits":      {&op.Linear{}, in(bf16(x), f16(w), nil)},
		"linear by wider weights":       {&op.Linear{}, in(bf16(x), w, nil)},
		"linear with a narrower bias":   {&op.Linear{}, in(x, w, f16(bias))},
		"linear on a narrower stream":   {&op.Linear{}, in(x, w, nil, f16(x))},
		"embed a wider table's rows":    {&op.Embed{}, in(b.ids([]int64{1}, 1, 1), w, bf16(x))},
		"embed float64 as the narrower": {&op.Embed{}, in(b.ids([]int64{1}, 1, 1), wide(w), x)},
	} {
		if _, err := b.apply(c.op, c.in...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestStoredWeights: matrices and tables that are stored in 16 bits give float32 the bits of the widened ones.
func TestStoredWeights(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		b := newBench(t)
		narrow, widen := b.as(dt), b.as(tensor.Float32)
		ids, x := b.ids([]int64{4, 0, 11, 4, 1, 1, 7, 2}, 2, 4), b.normal(2, 4, 24)
		heads, z := b.normal(2, 4, 3, 24), b.normal(2, 4, 3, 8)
		for _, w := range []*tensor.Tensor{b.normal(24, 24), b.transposed(24, 24)} {
			for name, of := range map[string]func(w *tensor.Tensor) (op.Op, []*tensor.Tensor){
				"linear": func(w *tensor.Tensor) (op.Op, []*tensor.Tensor) { return &op.Linear{}, in(x, w, nil, x) },
				"unembed": func(w *tensor.Tensor) (op.Op, []*tensor.Tensor) {
					return &op.Unembed{SoftCap: 2}, in(x, w, nil, b.ids([]int64{3}, 1, 1))
				},
				"head linear": func(w *tensor.Tensor) (op.Op, []*tensor.Tensor) { return &op.HeadLinear{Heads: 3}, in(heads, w, nil) },
				"head result": func(w *tensor.Tensor) (op.Op, []*tensor.Tensor) { return &op.HeadResult{}, in(z, w) },
				"embed":       func(w *tensor.Tensor) (op.Op, []*tensor.Tensor) { return &op.Embed{}, in(ids, w, x) },
				"positions":   func(w *tensor.Tensor) (op.Op, []*tensor.Tensor) { return &op.PosEmbed{}, in(ids, x, w) },
			} {
				if w.Strides()[1] != 1 && (name == "embed" || name == "positions") {
					continue // tables have their rows together
				}
				stored := narrow(w)
				o, inputs := of(stored)
				got := b.run(o, inputs...)
				o, inputs = of(widen(stored))
				b.sameBits(name+" of "+dt.String(), got, b.run(o, inputs...))
			}
		}
	}
}
