// Float64: the kernels of models that run in float64, to check others by. Products are in kernels/cpu (gemm_f64.c);
// the rest are loops here. Arguments are those of the float32 kernels of the same names; attention's are in
// float64_attention.go.
package cpu

import (
	"fmt"
	"math"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func addWide(a arguments) error {
	x, y, out := a.tensor(0).Float64s(), a.tensor(1).Float64s(), a.tensor(2).Float64s()
	for i := range out {
		out[i] = x[i] + y[i]
	}
	return nil
}

func mulWide(a arguments) error {
	x, y, out := a.tensor(0).Float64s(), a.tensor(1).Float64s(), a.tensor(2).Float64s()
	for i := range out {
		out[i] = x[i] * y[i]
	}
	return nil
}

func softCapWide(a arguments) error {
	x, out, limit := a.tensor(0).Float64s(), a.tensor(1).Float64s(), a.wide(2)
	for i := range out {
		out[i] = limit * math.Tanh(x[i]/limit)
	}
	return nil
}

func soluWide(a arguments) error {
	n, out := a.tensor(0).Dim(-1), a.tensor(1).Float64s()
	eachRow(n, a.tensor(0).Float64s(), func(r int, row []float64) {
		to := out[r*n : (r+1)*n]
		softmaxRow(to, row)
		for i, v := range row {
			to[i] *= v
		}
	})
	return nil
}

// eachRow calls f with the rows of the last axis.
func eachRow(n int, x []float64, f func(r int, row []float64)) {
	if n == 0 {
		return
	}
	for r := range len(x) / n {
		f(r, x[r*n:(r+1)*n])
	}
}

// meanOf is 0 for root mean squares: they are not centred.
func meanOf(row []float64, rms bool) float64 {
	sum := 0.0
	if rms {
		return 0
	}
	for _, v := range row {
		sum += v
	}
	return sum / float64(len(row))
}

func scaleOf(row []float64, mean, eps float64) float64 {
	sum := 0.0
	for _, v := range row {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum/float64(len(row)) + eps)
}

func normalizeRow(out, row []float64, mean, scale float64) {
	for i, v := range row {
		out[i] = (v - mean) / scale
	}
}

// affineRow allows out to be row; w and bias may be nil.
func affineRow(out, row, w, bias []float64) {
	for i, v := range row {
		out[i] = v
		if w != nil {
			out[i] *= w[i]
		}
		if bias != nil {
			out[i] += bias[i]
		}
	}
}

func optional(t *tensor.Tensor) []float64 {
	if t == nil {
		return nil
	}
	return t.Float64s()
}

func normWide(a arguments, rms bool) error {
	w, bias, out, eps, n := optional(a.tensor(1)), optional(a.tensor(2)), a.tensor(3).Float64s(), a.wide(4), a.tensor(0).Dim(-1)
	eachRow(n, a.tensor(0).Float64s(), func(r int, row []float64) {
		to, mean := out[r*n:(r+1)*n], meanOf(row, rms)
		normalizeRow(to, row, mean, scaleOf(row, mean, eps))
		affineRow(to, to, w, bias)
	})
	return nil
}

func normScaleWide(a arguments, rms bool) error {
	scale, eps := a.tensor(1).Float64s(), a.wide(2)
	eachRow(a.tensor(0).Dim(-1), a.tensor(0).Float64s(), func(r int, row []float64) {
		scale[r] = scaleOf(row, meanOf(row, rms), eps)
	})
	return nil
}

func normalizeWide(a arguments, rms bool) error {
	scale, out, n := a.tensor(1).Float64s(), a.tensor(2).Float64s(), a.tensor(0).Dim(-1)
	eachRow(n, a.tensor(0).Float64s(), func(r int, row []float64) {
		normalizeRow(out[r*n:], row, meanOf(row, rms), scale[r])
	})
	return nil
}

func affineWide(a arguments) error {
	w, bias, out, n := a.tensor(1).Float64s(), optional(a.tensor(2)), a.tensor(3).Float64s(), a.tensor(0).Dim(-1)
	eachRow(n, a.tensor(0).Float64s(), func(r int, row []float64) { affineRow(out[r*n:], row, w, bias) })
	return nil
}

func ropeWide(a arguments) error {
	var dense [3]*tensor.Tensor // keys of a KV cache, and tables for the positions behind it, have strides
	for i := range dense {
		t, err := inRows(a.tensor(i))
		if err != nil {
			return err
		}
		defer t.Release()
		dense[i] = t
	}
	x, cos, sin := dense[0], dense[1], dense[2]
	heads, dim, rotary, pos := x.Dim(2), x.Dim(3), cos.Dim(2), x.Dim(1)
	in, out := x.Float64s(), a.tensor(3).Float64s()
	half, step := rotary/2, 1
	if a.bool(4) { // pairs are neighbours
		step = 2
	}
	for row := range x.Dim(0) * pos {
		table := row % pos
		if cos.Dim(0) > 1 {
			table = row
		}
		c, s := cos.Float64s()[table*rotary:], sin.Float64s()[table*rotary:]
		for h := range heads {
			from, to := in[(row*heads+h)*dim:][:dim], out[(row*heads+h)*dim:][:dim]
			copy(to[rotary:], from[rotary:])
			for i := range half {
				p, q := i, i+half
				if step == 2 {
					p, q = 2*i, 2*i+1
				}
				to[p] = from[p]*c[p] - from[q]*s[p]
				to[q] = from[q]*c[q] + from[p]*s[q]
			}
		}
	}
	return nil
}

// widest are the activation functions by the names of the float32 ones.
var widest = map[string]func(float64) float64{
	"gelu_tanh": func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	"gelu":       func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	"silu":       func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"relu":       reluWide,
	"relu2":      func(x float64) float64 { return reluWide(x) * reluWide(x) },
	"tanh":       math.Tanh,
	"sigmoid":    func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"quick_gelu": func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) },
}

// reluWide lets NaN pass.
func reluWide(x float64) float64 {
	if x < 0 {
		return 0
	}
	return x
}

func activationWide(a arguments) error {
	f, ok := widest[a.string(2)]
	if !ok {
		return fmt.Errorf("cpu: no activation function %q of float64", a.string(2))
	}
	x, out := a.tensor(0).Float64s(), a.tensor(1).Float64s()
	for i, v := range x {
		out[i] = f(v)
	}
	return nil
}

func gateWide(a arguments) error {
	f, ok := widest[a.string(3)]
	if !ok {
		return fmt.Errorf("cpu: no activation function %q of float64", a.string(3))
	}
	gate, up, out := a.tensor(0).Float64s(), a.tensor(1).Float64s(), a.tensor(2).Float64s()
	for i, v := range gate {
		out[i] = f(v) * up[i]
	}
	return nil
}

func crossEntropyWide(a arguments) error {
	logits, targets, out := a.tensor(0), a.tensor(1).Int64s(), a.tensor(2).Float64s()
	pairs, vocab := logits.Dim(1), logits.Dim(2)
	for i := range out {
		row, err := logits.View([]int{vocab}, nil, i/pairs*logits.Strides()[0]+i%pairs*logits.Strides()[1])
		if err != nil {
			return err
		}
		x := row.Float64s()
		most, sum := math.Inf(-1), 0.0
		for _, v := range x {
			most = math.Max(most, v)
		}
		for _, v := range x {
			sum += math.Exp(v - most)
		}
		out[i] = math.Log(sum) - (x[targets[i]] - most)
		row.Release()
	}
	return nil
}
