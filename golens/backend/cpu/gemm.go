// Gemm: matrix products by kernels/cpu, whatever the dtype.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// Gemm implements backend.Backend.
func (CPU) Gemm(g *backend.Gemm) error {
	if err := g.Check(); err != nil {
		return err
	}
	if g.Out.Rows == 0 || g.Out.Cols == 0 {
		return nil
	}
	ldb, trans := g.B.RowStride, false
	if g.B.ColStride != 1 {
		ldb, trans = g.B.ColStride, true
	}
	if g.A.ColStride != 1 || g.Out.ColStride != 1 || (trans && g.B.RowStride != 1) {
		return fmt.Errorf("cpu: gemm of matrices without a dense axis")
	}
	dt, stored := g.Out.T.DType(), g.B.T.DType()
	for _, m := range [...]backend.Matrix{g.A, g.Bias, g.Residual} {
		if m.T != nil && m.T.DType() != dt {
			return fmt.Errorf("cpu: gemm of %s and %s", m.T.DType(), dt)
		}
	}
	k := kernels.Gemm{
		M: g.Out.Rows, N: g.Out.Cols, K: g.A.Cols,
		A: address(g.A), LDA: g.A.RowStride, B: address(g.B), LDB: ldb, TransB: trans,
		C: address(g.Out), LDC: g.Out.RowStride, Bias: address(g.Bias), Residual: address(g.Residual), LDR: g.Residual.RowStride,
	}
	form, known := forms[stored]
	switch {
	case dt == tensor.Float64 && stored == dt:
		return k.RunFloat64()
	case dt == tensor.Float32 && known:
		k.Form = form
		if stored.Blocked() && !wholeBlocks(g, stored) {
			return partOfBlocks(&k, g)
		}
		return k.Run()
	case sixteen(dt) && stored == dt:
		return narrowGemm(&k, form)
	default:
		return fmt.Errorf("cpu: gemm of %s and a matrix of %s", dt, stored)
	}
}

// forms are the kernels' words for how matrices can be stored.
var forms = map[tensor.DType]kernels.Form{
	tensor.Float32: kernels.Float32, tensor.BFloat16: kernels.BFloat16, tensor.Float16: kernels.Float16,
	tensor.Q8_0: kernels.Q8_0, tensor.Q4_1: kernels.Q4_1,
}

// wholeBlocks reports whether the kernels can read B where it lies: [n, k], each row whole blocks.
func wholeBlocks(g *backend.Gemm, stored tensor.DType) bool {
	length, _ := stored.Block()
	return g.B.RowStride == 1 && g.B.Rows%length == 0 && g.B.ColStride%length == 0 && g.B.Offset%length == 0
}

// partOfBlocks is a product by part of each row of blocks, such as one head's: the rows are widened whole first.
func partOfBlocks(k *kernels.Gemm, g *backend.Gemm) error {
	row := g.B.ColStride
	if length, _ := g.B.T.DType().Block(); !k.TransB || row%length != 0 {
		return fmt.Errorf("cpu: gemm of blocks of %s that lie across the sums", g.B.T.DType())
	}
	wide, err := tensor.New(tensor.Float32, k.N, row)
	if err != nil {
		return err
	}
	defer wide.Release()
	first := g.B.Offset / row * row
	kernels.Widen(k.Form, wide.Pointer(), unsafe.Add(g.B.T.Pointer(), g.B.T.DType().Bytes(first)), wide.Len())
	k.Form, k.B, k.LDB = kernels.Float32, unsafe.Add(wide.Pointer(), 4*(g.B.Offset-first)), row
	return k.Run()
}

func address(m backend.Matrix) unsafe.Pointer {
	if m.T == nil {
		return nil
	}
	return unsafe.Add(m.T.Pointer(), m.T.DType().Bytes(m.Offset))
}
