// Tests of what a launch does whatever the kernel: its dtypes, whose tensors it leaves in place, and what it costs.
package cpu_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// convert gives a tensor's values in a dtype.
func convert(t *testing.T, dt tensor.DType, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	out := own(t)(tensor.New(dt, x.Shape()...))
	if err := (cpu.CPU{}).Launch(&op.ConvertKernel{X: x, Out: out}); err != nil {
		t.Fatal(err)
	}
	return out
}

// wild is a tensor of numbers of many sizes.
func wild(t *testing.T, shape ...int) *tensor.Tensor {
	t.Helper()
	v := own(t)(tensor.New(tensor.Float32, shape...))
	for i := range v.Float32s() {
		v.Float32s()[i] = float32(math.Sin(float64(i)*1.7) * math.Exp(3*math.Cos(float64(i))))
	}
	return v
}

func TestMixedDTypes(t *testing.T) {
	x := wild(t, 2, 3)
	for _, c := range []struct{ a, b, out tensor.DType }{
		{tensor.Float32, tensor.Float64, tensor.Float64}, {tensor.Float16, tensor.BFloat16, tensor.Float32},
		{tensor.Float64, tensor.BFloat16, tensor.Float64}, {tensor.Float64, tensor.Float32, tensor.BFloat16},
	} {
		k := &op.AddKernel{A: convert(t, c.a, x), B: convert(t, c.b, x), Out: own(t)(tensor.New(c.out, 2, 3))}
		if err := (cpu.CPU{}).Launch(k); err == nil || !strings.Contains(err.Error(), "add of tensors of several dtypes") {
			t.Errorf("%s + %s to %s: error %v", c.a, c.b, c.out, err)
		}
	}
	if err := (cpu.CPU{}).Launch(&op.AddKernel{}); err == nil {
		t.Error("nothing was added")
	}
}

// TestNarrowTensorsStayInPlace: a kernel of 16 bits works on others, which its arguments hold no longer than that.
func TestNarrowTensorsStayInPlace(t *testing.T) {
	x := convert(t, tensor.BFloat16, wild(t, 4, 5))
	out := convert(t, tensor.BFloat16, wild(t, 4, 5))
	before := tensor.Count().Storages
	for kind, fails := range map[string]bool{"relu": false, "mish": true} {
		k := &op.ActivationKernel{X: x, Out: out, Kind: kind}
		if err := (cpu.CPU{}).Launch(k); (err != nil) != fails {
			t.Fatal(err)
		}
		if k.X != x || k.Out != out {
			t.Errorf("%s: other tensors stand in the kernel's arguments", kind)
		}
		if after := tensor.Count().Storages; after != before {
			t.Errorf("%s: %d storages are left", kind, after-before)
		}
	}
}

// TestMaskedScoresAreTheLowestOfTheirDType, and softmax knows them.
func TestMaskedScoresAreTheLowestOfTheirDType(t *testing.T) {
	q := wild(t, 1, 3, 1, 8)
	for _, dt := range []tensor.DType{tensor.BFloat16, tensor.Float16, tensor.Float64, tensor.Float32} {
		narrow := convert(t, dt, q)
		scores, pattern := own(t)(tensor.New(dt, 1, 1, 3, 3)), own(t)(tensor.New(dt, 1, 1, 3, 3))
		shape := op.AttentionShape{Scale: 1, Causal: true}
		if err := (cpu.CPU{}).Launch(&op.ScoresKernel{Q: narrow, K: narrow, Out: scores, AttentionShape: shape}); err != nil {
			t.Fatal(err)
		}
		wide := convert(t, tensor.Float64, scores).Float64s()
		for i, v := range wide {
			if masked := i%3 > i/3; (v == dt.Lowest()) != masked {
				t.Errorf("%s: score %d is %g", dt, i, v)
			}
		}
		if err := (cpu.CPU{}).Launch(&op.SoftmaxKernel{X: scores, Out: pattern}); err != nil {
			t.Fatal(err)
		}
		if p := convert(t, tensor.Float64, pattern).Float64s(); p[0] != 1 || p[1] != 0 || p[2] != 0 || p[4] == 0 {
			t.Errorf("%s: pattern %v", dt, p)
		}
	}
}

func TestTake(t *testing.T) {
	for _, dt := range dtypes {
		length, size := dt.Block()
		v := numbered(t, dt, 2*5*3)
		x := own(t)(v.View([]int{2, 5, 3 * length}, nil, 0))
		for _, c := range []struct {
			at   []int64
			rows int
		}{{[]int64{4, 0}, 1}, {[]int64{2, 2, 0, 3}, 2}} {
			at := own(t)(tensor.FromInt64s(c.at, c.rows, 2))
			out := own(t)(tensor.New(dt, 2, 2, 3*length))
			if err := (cpu.CPU{}).Launch(&op.TakeKernel{X: x, At: at, Out: out}); err != nil {
				t.Fatal(err)
			}
			var want []byte
			for row := range 2 {
				for i := range 2 {
					first := 3 * size * (row*5 + int(c.at[row%c.rows*2+i]))
					want = append(want, x.Bytes()[first:first+3*size]...)
				}
			}
			if !slices.Equal(out.Bytes(), want) {
				t.Errorf("%s at %v: %x, want %x", dt, c.at, out.Bytes(), want)
			}
		}
	}
	x, at := wild(t, 1, 2, 3), own(t)(tensor.FromInt64s([]int64{1}, 1, 1))
	turned := own(t)(x.View([]int{1, 3, 2}, []int{6, 1, 3}, 0))
	for name, k := range map[string]*op.TakeKernel{
		"another dtype": {X: x, At: at, Out: own(t)(tensor.New(tensor.Float64, 1, 1, 3))},
		"strides":       {X: turned, At: at, Out: own(t)(tensor.New(tensor.Float32, 1, 1, 2))},
	} {
		if err := (cpu.CPU{}).Launch(k); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestMeanSumsInFloat64, in order: small numbers behind a large one count.
func TestMeanSumsInFloat64(t *testing.T) {
	values := append([]float32{1 << 25}, slices.Repeat([]float32{1}, 1000)...)
	for dt, want := range map[tensor.DType]float64{tensor.Float32: float64(float32(1<<25+1000) / 4), tensor.Float64: (1<<25 + 1000) / 4.0, tensor.BFloat16: 1 << 23} {
		x, out := convert(t, dt, floats(t, values, len(values))), own(t)(tensor.New(dt))
		if err := (cpu.CPU{}).Launch(&op.MeanKernel{X: x, Out: out, Count: 4}); err != nil {
			t.Fatal(err)
		}
		if got := convert(t, tensor.Float64, out).Float64s()[0]; got != want {
			t.Errorf("%s: %g, want %g", dt, got, want)
		}
	}
	none, out := floats(t, nil, 0), own(t)(tensor.New(tensor.Float32))
	if err := (cpu.CPU{}).Launch(&op.MeanKernel{X: none, Out: out}); err != nil || out.Float32s()[0] == out.Float32s()[0] {
		t.Errorf("the mean of nothing is %g, %v", out.Float32s()[0], err)
	}
}

// launches are small ones, of kernels that runs are made of.
func launches(own func(*tensor.Tensor, error) *tensor.Tensor) map[string]backend.Kernel {
	x := func(shape ...int) *tensor.Tensor { return own(tensor.Zeros(tensor.Float32, shape...)) }
	heads := x(1, 4, 2, 8)
	ids := own(tensor.FromInt64s([]int64{0, 1, 2, 3}, 1, 4))
	shape := op.AttentionShape{Scale: 1, Causal: true}
	return map[string]backend.Kernel{
		"add":       &op.AddKernel{A: x(1, 4, 16), B: x(1, 4, 16), Out: x(1, 4, 16)},
		"layernorm": &op.NormKernel{Kind: op.LayerNorm, X: x(1, 4, 16), W: x(16), B: x(16), Out: x(1, 4, 16), Eps: 1e-5},
		"scale":     &op.NormScaleKernel{Kind: op.RMSNorm, X: x(1, 4, 16), Scale: x(1, 4, 1), Eps: 1e-5},
		"rope":      &op.RopeKernel{X: heads, Cos: x(1, 4, 8), Sin: x(1, 4, 8), Out: x(1, 4, 2, 8)},
		"attention": &op.AttentionKernel{Q: heads, K: heads, V: heads, Out: x(1, 4, 2, 8), AttentionShape: shape},
		"scores":    &op.ScoresKernel{Q: heads, K: heads, Out: x(1, 2, 4, 4), AttentionShape: shape},
		"softmax":   &op.SoftmaxKernel{X: x(1, 2, 4, 4), Out: x(1, 2, 4, 4)},
		"mix":       &op.MixKernel{Pattern: x(1, 2, 4, 4), V: heads, Out: x(1, 4, 2, 8)},
		"gelu":      &op.ActivationKernel{X: x(1, 4, 16), Out: x(1, 4, 16), Kind: "gelu"},
		"gate":      &op.GateKernel{Gate: x(1, 4, 16), Up: x(1, 4, 16), Out: x(1, 4, 16), Kind: "silu"},
		"gather":    &op.GatherKernel{Table: x(4, 16), IDs: ids, Out: x(1, 4, 16)},
		"take":      &op.TakeKernel{X: x(1, 4, 16), At: ids, Out: x(1, 4, 16)},
	}
}

// TestLaunchTakesNoMemory of Go's, when the dtype is float32: a run launches hundreds.
func TestLaunchTakesNoMemory(t *testing.T) {
	for name, k := range launches(own(t)) {
		if n := testing.AllocsPerRun(20, func() {
			if err := (cpu.CPU{}).Launch(k); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

func BenchmarkLaunch(b *testing.B) {
	kernels := launches(func(v *tensor.Tensor, err error) *tensor.Tensor {
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(v.Release)
		return v
	})
	for _, name := range []string{"add", "layernorm", "softmax", "gather"} {
		k := kernels[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := (cpu.CPU{}).Launch(k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestWideKernelsThatAreNot(t *testing.T) {
	x := convert(t, tensor.Float64, wild(t, 1, 2, 1, 4))
	err := (cpu.CPU{}).Launch(&op.AttentionKernel{Q: x, K: x, V: x, Out: x})
	if !errors.Is(err, backend.ErrNoKernel) || !strings.Contains(err.Error(), `"attention" of float64`) {
		t.Errorf("error %v", err)
	}
}
