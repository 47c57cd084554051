// Tests of weights that are stored narrower than what is computed: the bits are those of the widened ones.
package cpu_test

import (
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestGemmOfStoredWeights(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		for _, c := range []struct{ m, k, n int }{{1, 7, 5}, {3, 64, 70}, {70, 33, 65}, {2, 9000, 200}} { // the last in groups of columns
			for _, turned := range []bool{false, true} {
				stored := convert(t, dt, wild(t, c.k+2, c.n+3))
				layout := func(w *tensor.Tensor) backend.Matrix { // a part of it
					if turned {
						return backend.Matrix{T: w, Offset: 1, Rows: c.k, Cols: c.n, RowStride: 1, ColStride: c.k + 2}
					}
					return backend.Matrix{T: w, Offset: 1, Rows: c.k, Cols: c.n, RowStride: c.n + 3, ColStride: 1}
				}
				if turned {
					stored = own(t)(stored.Reshape(c.n+3, c.k+2))
				}
				x, bias, stream := wild(t, c.m, c.k), wild(t, c.n), wild(t, c.m, c.n)
				product := func(w *tensor.Tensor, b, r *tensor.Tensor) []float32 {
					out := own(t)(tensor.New(tensor.Float32, c.m, c.n))
					g := &backend.Gemm{A: backend.MatrixOf(x), B: layout(w), Out: backend.MatrixOf(out), Bias: backend.Vector(b)}
					if r != nil {
						g.Residual = backend.MatrixOf(r)
					}
					if err := (cpu.CPU{}).Gemm(g); err != nil {
						t.Fatal(err)
					}
					return out.Float32s()
				}
				wide := convert(t, tensor.Float32, stored)
				for _, more := range [][2]*tensor.Tensor{{nil, nil}, {bias, nil}, {bias, stream}} {
					if !slices.Equal(product(stored, more[0], more[1]), product(wide, more[0], more[1])) {
						t.Errorf("%s %v, turned %v: other bits than widened", dt, c, turned)
					}
				}
			}
		}
	}
}

func TestGemmOfStrangersIsRefused(t *testing.T) {
	x := wild(t, 3, 3)
	as := func(dt tensor.DType) backend.Matrix { return backend.MatrixOf(convert(t, dt, x)) }
	for name, g := range map[string]*backend.Gemm{
		"a wider B":              {A: as(tensor.Float32), B: as(tensor.Float64), Out: as(tensor.Float32)},
		"float32 B for 16 bits":  {A: as(tensor.BFloat16), B: as(tensor.Float32), Out: as(tensor.BFloat16)},
		"another 16 bits":        {A: as(tensor.BFloat16), B: as(tensor.Float16), Out: as(tensor.BFloat16)},
		"a narrow A":             {A: as(tensor.BFloat16), B: as(tensor.BFloat16), Out: as(tensor.Float32)},
		"a narrow bias":          {A: as(tensor.Float32), B: as(tensor.Float32), Out: as(tensor.Float32), Bias: as(tensor.BFloat16)},
		"narrow for float64":     {A: as(tensor.Float64), B: as(tensor.BFloat16), Out: as(tensor.Float64)},
		"a narrow residual":      {A: as(tensor.Float32), B: as(tensor.Float32), Out: as(tensor.Float32), Residual: as(tensor.Float16)},
		"whole numbers for them": {A: backend.MatrixOf(own(t)(tensor.New(tensor.Int64, 3, 3))), B: as(tensor.Float32), Out: as(tensor.Float32)},
	} {
		if err := (cpu.CPU{}).Gemm(g); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGatherOfStoredTables(t *testing.T) {
	ids := own(t)(tensor.FromInt64s([]int64{4, 0, 4, 2}, 2, 2))
	shared := own(t)(tensor.FromInt64s([]int64{3, 1}, 1, 2))
	for _, dt := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		for _, which := range []*tensor.Tensor{ids, shared} {
			whole := convert(t, dt, wild(t, 5, 9))
			part := func(table *tensor.Tensor) *tensor.Tensor { return own(t)(table.View([]int{5, 7}, []int{9, 1}, 1)) }
			rows := func(table *tensor.Tensor, to tensor.DType) (*tensor.Tensor, error) {
				out := own(t)(tensor.New(to, 2, 2, 7))
				return out, (cpu.CPU{}).Launch(&op.GatherKernel{Table: table, IDs: which, Out: out})
			}
			got, err := rows(part(whole), tensor.Float32)
			if err != nil {
				t.Fatal(err)
			}
			want, err := rows(part(convert(t, tensor.Float32, whole)), tensor.Float32)
			if err != nil || !slices.Equal(got.Float32s(), want.Float32s()) {
				t.Errorf("%s: %v, want %v; %v", dt, got.Float32s(), want.Float32s(), err)
			}
			same, err := rows(part(whole), dt)
			if err != nil || !slices.Equal(convert(t, tensor.Float32, same).Float32s(), want.Float32s()) {
				t.Errorf("%s to itself: other values, %v", dt, err)
			}
			for _, to := range []tensor.DType{tensor.Float64, tensor.Float16 + tensor.BFloat16 - dt} {
				if _, err := rows(part(whole), to); err == nil {
					t.Errorf("%s was gathered to %s", dt, to)
				}
			}
			if _, err := rows(part(convert(t, tensor.Float64, whole)), tensor.Float32); err == nil {
				t.Error("float64 was gathered to float32")
			}
		}
	}
}
