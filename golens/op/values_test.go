// Tests of what each operation computes.
package op_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

const tolerance = 2e-5

func TestEmbed(t *testing.T) {
	b := newBench(t)
	table := b.normal(7, 5)
	ids := b.ids([]int64{6, 0, 3, 3, 1, 2}, 2, 3)
	b.near(b.run(&op.Embed{}, ids, table, table), []int{2, 3, 5}, 0, func(i []int) float64 {
		return at(table, int(ids.Int64s()[i[0]*3+i[1]]), i[2])
	})
}

func TestPosEmbed(t *testing.T) {
	b := newBench(t)
	table := b.normal(9, 4)
	like := b.normal(3, 2, 4)
	for _, rows := range []int{1, 3} {
		positions := b.ids([]int64{8, 1, 0, 5, 2, 2}[:2*rows], rows, 2)
		b.near(b.run(&op.PosEmbed{}, positions, like, table), []int{3, 2, 4}, 0, func(i []int) float64 {
			return at(table, int(positions.Int64s()[(i[0]%rows)*2+i[1]]), i[2])
		})
	}
}

func TestLinear(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name   string
		w      *tensor.Tensor
		bias   *tensor.Tensor
		x      *tensor.Tensor
		heads  int
		stream bool
		shape  []int
	}{
		{"in-out, bias", b.normal(6, 8), b.normal(8), b.normal(2, 3, 6), 0, false, []int{2, 3, 8}},
		{"out-in, no bias", b.transposed(6, 8), nil, b.normal(2, 3, 6), 0, false, []int{2, 3, 8}},
		{"to heads", b.transposed(6, 8), b.normal(8), b.normal(1, 3, 6), 4, false, []int{1, 3, 4, 2}},
		{"from heads", b.normal(6, 8), b.normal(8), b.normal(2, 5, 3, 2), 0, false, []int{2, 5, 8}},
		{"added to a stream", b.normal(6, 8), b.normal(8), b.normal(2, 3, 6), 0, true, []int{2, 3, 8}},
		{"many rows", b.transposed(6, 8), b.normal(8), b.normal(3, 50, 6), 0, true, []int{3, 50, 8}},
	} {
		in := []*tensor.Tensor{c.x, c.w, c.bias}
		if c.stream {
			in = append(in, b.normal(c.shape...))
		}
		out := b.run(&op.Linear{Heads: c.heads}, in...)
		width := 8
		flat := b.own(out.Reshape(out.Len()/width, width))
		rows := b.own(c.x.Reshape(out.Len()/width, 6))
		b.near(flat, flat.Shape(), tolerance, func(i []int) float64 {
			v := dot(6, func(k int) float64 { return at(rows, i[0], k) }, func(k int) float64 { return at(c.w, k, i[1]) })
			if c.bias != nil {
				v += at(c.bias, i[1])
			}
			if c.stream {
				v += float64(in[op.LinearResidual].Float32s()[i[0]*width+i[1]])
			}
			return v
		})
		if got := fmt.Sprint(out.Shape()); got != fmt.Sprint(c.shape) {
			t.Errorf("%s: shape %s, want %v", c.name, got, c.shape)
		}
	}
}

func TestNormSteps(t *testing.T) {
	b := newBench(t)
	const d, eps = 7, 1e-3
	x, w, bias := b.normal(2, 3, d), b.normal(d), b.normal(d)
	mean := func(i []int) float64 { return dot(d, func(k int) float64 { return at(x, i[0], i[1], k) / d }, one) }
	for kind, centre := range map[op.NormKind]func([]int) float64{op.LayerNorm: mean, op.RMSNorm: func([]int) float64 { return 0 }} {
		scale := b.run(&op.NormScale{Kind: kind, Eps: eps}, x)
		b.near(scale, []int{2, 3, 1}, tolerance, func(i []int) float64 {
			return math.Sqrt(eps + dot(d, func(k int) float64 { return math.Pow(at(x, i[0], i[1], k)-centre(i), 2) / d }, one))
		})
		edited := b.normal(2, 3, 1) // a hook may give any scale
		normalized := b.run(&op.Normalize{Kind: kind}, x, edited)
		b.near(normalized, []int{2, 3, d}, 1e-4, func(i []int) float64 {
			return (at(x, i[0], i[1], i[2]) - centre(i)) / at(edited, i[0], i[1], 0)
		})
	}
	b.near(b.run(&op.Affine{}, x, w, bias), []int{2, 3, d}, tolerance, func(i []int) float64 {
		return at(x, i...)*at(w, i[2]) + at(bias, i[2])
	})
	b.near(b.run(&op.Affine{}, x, w, nil), []int{2, 3, d}, tolerance, func(i []int) float64 { return at(x, i...) * at(w, i[2]) })
}

func one(int) float64 { return 1 }

func TestRope(t *testing.T) {
	b := newBench(t)
	freq := b.own(tensor.FromFloat32s([]float32{1, 0.25}, 2))
	positions := b.ids([]int64{0, 1, 40, 3, 3, 9}, 2, 3)
	x := b.normal(2, 3, 5, 6) // the last two of six dimensions are not rotated
	for _, adjacent := range []bool{false, true} {
		table := &op.RopeTable{Scaling: 1.5, Adjacent: adjacent}
		cs := b.runAll(table, positions, freq, x)
		pair := func(d int) (freq, partner int, sign float64) {
			switch {
			case adjacent && d%2 == 0:
				return d / 2, d + 1, -1
			case adjacent:
				return d / 2, d - 1, 1
			case d < 2:
				return d, d + 2, -1
			}
			return d - 2, d - 2, 1
		}
		angle := func(i []int, f int) float64 {
			return float64(positions.Int64s()[i[0]*3+i[1]]) * float64(freq.Float32s()[f])
		}
		b.near(cs[0], []int{2, 3, 4}, tolerance, func(i []int) float64 {
			f, _, _ := pair(i[2])
			return 1.5 * math.Cos(angle(i, f))
		})
		b.near(cs[1], []int{2, 3, 4}, tolerance, func(i []int) float64 {
			f, _, _ := pair(i[2])
			return 1.5 * math.Sin(angle(i, f))
		})
		b.near(b.run(&op.Rope{Adjacent: adjacent}, x, cs[0], cs[1]), x.Shape(), tolerance, func(i []int) float64 {
			if i[3] >= 4 {
				return at(x, i...)
			}
			f, partner, sign := pair(i[3])
			return 1.5 * (at(x, i...)*math.Cos(angle(i, f)) + sign*at(x, i[0], i[1], i[2], partner)*math.Sin(angle(i, f)))
		})
	}
}

func TestActivations(t *testing.T) {
	b := newBench(t)
	x := b.own(tensor.FromFloat32s([]float32{-20, -3, -1, -0.1, 0, 0.1, 1, 3, 20, 0.5}, 2, 5))
	up := b.normal(2, 5)
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for kind, f := range map[string]func(float64) float64{
		"gelu":       func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) },
		"gelu_tanh":  func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
		"quick_gelu": func(x float64) float64 { return x * sigmoid(1.702*x) },
		"silu":       func(x float64) float64 { return x * sigmoid(x) },
		"relu":       func(x float64) float64 { return math.Max(x, 0) },
		"relu2":      func(x float64) float64 { return math.Max(x, 0) * math.Max(x, 0) },
		"tanh":       math.Tanh,
	} {
		b.near(b.run(&op.Activation{Kind: kind}, x), x.Shape(), tolerance, func(i []int) float64 { return f(at(x, i...)) })
		b.near(b.run(&op.Gate{Kind: kind}, x, up), x.Shape(), tolerance, func(i []int) float64 { return f(at(x, i...)) * at(up, i...) })
	}
	for _, o := range []op.Op{&op.Activation{Kind: "mish"}, &op.Gate{Kind: "mish"}} {
		if _, err := b.apply(o, x, up); err == nil {
			t.Errorf("%s: an activation function that does not exist was applied", o.Name())
		}
	}
}

func TestAdd(t *testing.T) {
	b := newBench(t)
	x, y := b.normal(2, 3, 4), b.normal(2, 3, 4)
	b.near(b.run(&op.Add{}, x, y), x.Shape(), 1e-7, func(i []int) float64 { return at(x, i...) + at(y, i...) })
}

func TestMul(t *testing.T) {
	b := newBench(t)
	x, y := b.normal(2, 3, 4), b.normal(2, 3, 4)
	b.near(b.run(&op.Mul{}, x, y), x.Shape(), 1e-7, func(i []int) float64 { return at(x, i...) * at(y, i...) })
}

func TestSoftCap(t *testing.T) {
	b := newBench(t)
	x := b.normal(2, 3, 40)
	b.near(b.run(&op.SoftCap{Limit: 0.8}, x), x.Shape(), tolerance, func(i []int) float64 { return 0.8 * math.Tanh(at(x, i...)/0.8) })
}

func TestSoLU(t *testing.T) {
	b := newBench(t)
	const n = 21
	x := b.normal(2, 3, n)
	b.near(b.run(&op.SoLU{}, x), x.Shape(), tolerance, func(i []int) float64 {
		sum := dot(n, func(k int) float64 { return math.Exp(at(x, i[0], i[1], k)) }, one)
		return at(x, i...) * math.Exp(at(x, i...)) / sum
	})
}

func TestHeads(t *testing.T) {
	b := newBench(t)
	const d, heads, e = 6, 4, 3
	x := b.normal(2, 5, d)
	repeated := b.run(&op.RepeatHeads{Heads: heads}, x)
	b.near(repeated, []int{2, 5, heads, d}, 0, func(i []int) float64 { return at(x, i[0], i[1], i[3]) })

	per := b.normal(2, 5, heads, d)
	b.near(b.run(&op.FirstHeads{Heads: 2}, per), []int{2, 5, 2, d}, 0, func(i []int) float64 { return at(per, i...) })

	for _, w := range []*tensor.Tensor{b.normal(d, heads*e), b.transposed(d, heads*e)} {
		bias := b.normal(heads * e)
		b.near(b.run(&op.HeadLinear{Heads: heads}, per, w, bias), []int{2, 5, heads, e}, tolerance, func(i []int) float64 {
			column := i[2]*e + i[3]
			return at(bias, column) + dot(d, func(k int) float64 { return at(per, i[0], i[1], i[2], k) }, func(k int) float64 { return at(w, k, column) })
		})
	}
	for _, w := range []*tensor.Tensor{b.normal(heads*e, d), b.transposed(heads*e, d)} {
		z, bias := b.normal(2, 5, heads, e), b.normal(d)
		result := b.run(&op.HeadResult{}, z, w)
		b.near(result, []int{2, 5, heads, d}, tolerance, func(i []int) float64 {
			return dot(e, func(k int) float64 { return at(z, i[0], i[1], i[2], k) }, func(k int) float64 { return at(w, i[2]*e+k, i[3]) })
		})
		sum := func(i []int) float64 {
			return dot(heads, func(h int) float64 { return at(result, i[0], i[1], h, i[2]) }, one)
		}
		b.near(b.run(&op.SumHeads{}, result, nil), []int{2, 5, d}, tolerance, sum)
		b.near(b.run(&op.SumHeads{}, result, bias), []int{2, 5, d}, tolerance, func(i []int) float64 { return sum(i) + at(bias, i[2]) })
	}
}
