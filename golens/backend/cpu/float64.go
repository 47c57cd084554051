// Float64: the kernels of models that run in float64, to check others by. Products are in kernels/cpu (gemm_f64.c);
// the rest are loops here; attention's are in
// float64_attention.go.
package cpu

import (
	"fmt"
	"math"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func addWide(k *op.AddKernel) error {
	x, y, out := k.A.Float64s(), k.B.Float64s(), k.Out.Float64s()
	for i := range out {
		out[i] = x[i] + y[i]
	}
	return nil
}

func mulWide(k *op.MulKernel) error {
	x, y, out := k.A.Float64s(), k.B.Float64s(), k.Out.Float64s()
	for i := range out {
		out[i] = x[i] * y[i]
	}
	return nil
}

func softCapWide(k *op.SoftCapKernel) error {
	x, out, limit := k.X.Float64s(), k.Out.Float64s(), k.Limit
	for i := range out {
		out[i] = limit * math.Tanh(x[i]/limit)
	}
	return nil
}

func soluWide(k *op.SoLUKernel) error {
	n, out := k.X.Dim(-1), k.Out.Float64s()
	eachRow(n, k.X.Float64s(), func(r int, row []float64) {
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

func normWide(k *op.NormKernel) error {
	w, bias, out, n, rms := optional(k.W), optional(k.B), k.Out.Float64s(), k.X.Dim(-1), k.Kind == op.RMSNorm
	eachRow(n, k.X.Float64s(), func(r int, row []float64) {
		to, mean := out[r*n:(r+1)*n], meanOf(row, rms)
		normalizeRow(to, row, mean, scaleOf(row, mean, k.Eps))
		affineRow(to, to, w, bias)
	})
	return nil
}

func normScaleWide(k *op.NormScaleKernel) error {
	scale, rms := k.Scale.Float64s(), k.Kind == op.RMSNorm
	eachRow(k.X.Dim(-1), k.X.Float64s(), func(r int, row []float64) {
		scale[r] = scaleOf(row, meanOf(row, rms), k.Eps)
	})
	return nil
}

func normalizeWide(k *op.NormalizeKernel) error {
	scale, out, n, rms := k.Scale.Float64s(), k.Out.Float64s(), k.X.Dim(-1), k.Kind == op.RMSNorm
	eachRow(n, k.X.Float64s(), func(r int, row []float64) {
		normalizeRow(out[r*n:], row, meanOf(row, rms), scale[r])
	})
	return nil
}

func affineWide(k *op.AffineKernel) error {
	w, bias, out, n := k.W.Float64s(), optional(k.B), k.Out.Float64s(), k.X.Dim(-1)
	eachRow(n, k.X.Float64s(), func(r int, row []float64) { affineRow(out[r*n:], row, w, bias) })
	return nil
}

func ropeWide(k *op.RopeKernel) error {
	var dense [3]*tensor.Tensor // keys of a KV cache, and tables for the positions behind it, have strides
	for i, given := range []*tensor.Tensor{k.X, k.Cos, k.Sin} {
		t, err := inRows(given)
		if err != nil {
			return err
		}
		defer t.Release()
		dense[i] = t
	}
	x, cos, sin := dense[0], dense[1], dense[2]
	heads, dim, rotary, pos := x.Dim(2), x.Dim(3), cos.Dim(2), x.Dim(1)
	in, out := x.Float64s(), k.Out.Float64s()
	half, step := rotary/2, 1
	if k.Adjacent { // pairs are neighbours
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

func activationWide(k *op.ActivationKernel) error {
	f, ok := widest[k.Kind]
	if !ok {
		return fmt.Errorf("cpu: no activation function %q of float64", k.Kind)
	}
	x, out := k.X.Float64s(), k.Out.Float64s()
	for i, v := range x {
		out[i] = f(v)
	}
	return nil
}

func gateWide(k *op.GateKernel) error {
	f, ok := widest[k.Kind]
	if !ok {
		return fmt.Errorf("cpu: no activation function %q of float64", k.Kind)
	}
	gate, up, out := k.Gate.Float64s(), k.Up.Float64s(), k.Out.Float64s()
	for i, v := range gate {
		out[i] = f(v) * up[i]
	}
	return nil
}

func crossEntropyWide(k *op.CrossEntropyKernel) error {
	logits, targets, out := k.Logits, k.Targets.Int64s(), k.Out.Float64s()
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
	dropPairs(out, k.Kept)
	return nil
}
