package gotests_test

import (
	"math"
	"testing"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/checkpoint"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// TestBlocksMeanTheSameEverywhere: what the kernels read in a file's blocks is what the checkpoint widens them to, bit for
// bit, for a whole tensor, rows of it, and products with it.
func TestBlocksMeanTheSameEverywhere(t *testing.T) {
	file, err := checkpoint.OpenGGUF("../../golens/checkpoint/testdata/quants.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, form := range map[string]kernels.Form{"Q8_0": kernels.Q8_0, "Q4_1": kernels.Q4_1} {
		raw, err := file.LoadRaw(name)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Release()
		wide, err := file.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		defer wide.Release()
		if !raw.DType().Blocked() {
			t.Fatalf("%s is held as %s", name, raw.DType())
		}
		own, err := tensor.New(tensor.Float32, wide.Shape()...)
		if err != nil {
			t.Fatal(err)
		}
		defer own.Release()
		kernels.Widen(form, own.Pointer(), raw.Pointer(), raw.Len())
		equalBits(t, name+" widened", own.Float32s(), wide.Float32s())

		rows, width := wide.Dim(0), wide.Dim(1)
		ids := []int64{int64(rows - 1), 0}
		gathered := make([]float32, len(ids)*width)
		g := kernels.Gather{Rows: len(ids), N: width, Form: form, Table: raw.Pointer(), LDTable: width,
			IDs: unsafe.Pointer(&ids[0]), Out: unsafe.Pointer(&gathered[0]), LDOut: width}
		g.Run()
		equalBits(t, name+" gathered", gathered, append(append([]float32{}, wide.Float32s()[(rows-1)*width:]...), wide.Float32s()[:width]...))

		for _, m := range []int{1, 5} {
			x, got, want := make([]float32, m*width), make([]float32, m*rows), make([]float32, m*rows)
			for i := range x {
				x[i] = float32(i%11) - 5
			}
			p := kernels.Gemm{M: m, N: rows, K: width, A: unsafe.Pointer(&x[0]), LDA: width, Form: form, B: raw.Pointer(), LDB: width,
				TransB: true, C: unsafe.Pointer(&got[0]), LDC: rows}
			q := p
			q.Form, q.B, q.C = kernels.Float32, wide.Pointer(), unsafe.Pointer(&want[0])
			for _, product := range []*kernels.Gemm{&p, &q} {
				if err := product.Run(); err != nil {
					t.Fatal(err)
				}
			}
			equalBits(t, name+" multiplied", got, want)
		}
	}
}

func equalBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: value %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}
