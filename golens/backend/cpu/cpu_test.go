// Tests of the backend itself: what it refuses, and the kernels that are Go loops. Those of kernels/cpu are tested
// there, and as operations in golens/op.
package cpu_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func floats(t *testing.T, values []float32, shape ...int) *tensor.Tensor {
	t.Helper()
	return own(t)(tensor.FromFloat32s(values, shape...))
}

func own(t *testing.T) func(*tensor.Tensor, error) *tensor.Tensor {
	return func(v *tensor.Tensor, err error) *tensor.Tensor {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Release)
		return v
	}
}

// unknown is a kernel of that name with arguments that no backend knows.
type unknown string

func (u unknown) Kernel() string { return string(u) }

func (unknown) Operands() backend.Operands {
	t, _ := tensor.New(tensor.Float32, 1)
	return backend.Reads(&t)
}

func TestUnknownKernel(t *testing.T) {
	for name, k := range map[string]backend.Kernel{"no such": unknown("convolve"), "other arguments": unknown("add")} {
		if err := (cpu.CPU{}).Launch(k); !errors.Is(err, backend.ErrNoKernel) {
			t.Errorf("%s: error %v, want %v", name, err, backend.ErrNoKernel)
		}
	}
	if name := (cpu.CPU{}).Name(); name != "cpu" {
		t.Errorf("the backend is called %q", name)
	}
}

// TestGemm: every layout and the parts of larger matrices that operations ask for.
func TestGemm(t *testing.T) {
	a := floats(t, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	b := floats(t, []float32{1, 0, 2, 1, 3, -1}, 3, 2)
	bias, stream := floats(t, []float32{10, 20}, 2), floats(t, []float32{100, 200, 300, 400}, 2, 2)
	turned := own(t)(floats(t, []float32{1, 2, 3, 0, 1, -1}, 2, 3).View([]int{3, 2}, []int{1, 3}, 0))
	part := floats(t, []float32{9, 9, 1, 2, 3, 9, 9, 9, 4, 5, 6, 9}, 2, 6)
	zero := floats(t, []float32{0, 0}, 2)
	for name, c := range map[string]struct {
		a, b, bias, residual backend.Matrix
		want                 []float32
	}{
		"plain":    {backend.MatrixOf(a), backend.MatrixOf(b), backend.Matrix{}, backend.Matrix{}, []float32{14, -1, 32, -1}},
		"turned":   {backend.MatrixOf(a), backend.MatrixOf(turned), backend.Vector(nil), backend.Matrix{}, []float32{14, -1, 32, -1}},
		"bias":     {backend.MatrixOf(a), backend.MatrixOf(b), backend.Vector(bias), backend.Matrix{}, []float32{24, 19, 42, 19}},
		"residual": {backend.Rows(a, 3), backend.MatrixOf(b), backend.Vector(bias), backend.Rows(stream, 2), []float32{124, 219, 342, 419}},
		"part": {backend.Matrix{T: part, Offset: 2, Rows: 2, Cols: 3, RowStride: 6, ColStride: 1}, backend.MatrixOf(b),
			backend.Vector(zero), backend.Matrix{}, []float32{14, -1, 32, -1}},
	} {
		out := floats(t, []float32{7, 7, 7, 7}, 2, 2)
		g := &backend.Gemm{A: c.a, B: c.b, Out: backend.MatrixOf(out), Bias: c.bias, Residual: c.residual}
		if err := (cpu.CPU{}).Gemm(g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(out.Float32s(), c.want) {
			t.Errorf("%s: %v, want %v", name, out.Float32s(), c.want)
		}
	}
}

func TestGemmRefuses(t *testing.T) {
	m := func(rows, cols int) backend.Matrix {
		return backend.MatrixOf(floats(t, make([]float32, rows*cols), rows, cols))
	}
	sparse := m(2, 6)
	sparse.Cols, sparse.ColStride = 3, 2
	for name, g := range map[string]*backend.Gemm{
		"inner":         {A: m(2, 3), B: m(4, 2), Out: m(2, 2)},
		"rows":          {A: m(2, 3), B: m(3, 2), Out: m(3, 2)},
		"columns":       {A: m(2, 3), B: m(3, 2), Out: m(2, 3)},
		"bias":          {A: m(2, 3), B: m(3, 2), Out: m(2, 2), Bias: backend.Vector(floats(t, make([]float32, 3), 3))},
		"residual":      {A: m(2, 3), B: m(3, 2), Out: m(2, 2), Residual: m(1, 2)},
		"no dense axis": {A: sparse, B: m(3, 2), Out: m(2, 2)},
	} {
		if err := (cpu.CPU{}).Gemm(g); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	empty := &backend.Gemm{A: m(0, 3), B: m(3, 2), Out: m(0, 2)}
	if err := (cpu.CPU{}).Gemm(empty); err != nil {
		t.Errorf("no rows: %v", err)
	}
}

func TestWiden(t *testing.T) {
	put := func(dt tensor.DType, bytes ...byte) *tensor.Tensor {
		v := own(t)(tensor.New(dt, len(bytes)/dt.Size()))
		copy(v.Storage().Bytes(), bytes)
		return v
	}
	wide := own(t)(tensor.New(tensor.Float64, 2))
	bits := math.Float64bits(-2.5)
	for i := range 8 {
		wide.Storage().Bytes()[8+i] = byte(bits >> (8 * i))
		wide.Storage().Bytes()[i] = 0
	}
	for name, c := range map[string]struct {
		src  *tensor.Tensor
		want []float32
	}{
		"bfloat16": {put(tensor.BFloat16, 0xC0, 0x3F, 0x20, 0xC0), []float32{1.5, -2.5}},
		"float16":  {put(tensor.Float16, 0x00, 0x3E, 0x00, 0xC1), []float32{1.5, -2.5}},
		"float64":  {wide, []float32{0, -2.5}},
	} {
		out := own(t)(tensor.New(tensor.Float32, 2))
		if err := (cpu.CPU{}).Launch(&op.ConvertKernel{X: c.src, Out: out}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.Float32s(), c.want) {
			t.Errorf("%s: %v, want %v", name, out.Float32s(), c.want)
		}
	}
	out := own(t)(tensor.New(tensor.Float32, 2))
	if err := (cpu.CPU{}).Launch(&op.ConvertKernel{X: put(tensor.Uint8, 1, 2), Out: out}); err == nil {
		t.Error("bytes were widened")
	}
}
