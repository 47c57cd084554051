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
	switch {
	case dt == tensor.Float32 && sixteen(stored):
		return widenedGemm(&k, halfOf(stored))
	case dt != stored:
		return fmt.Errorf("cpu: gemm of %s and a matrix of %s", dt, stored)
	case dt == tensor.Float32:
		return k.Run()
	case dt == tensor.Float64:
		return k.RunFloat64()
	case sixteen(dt):
		return narrowGemm(&k, halfOf(dt))
	default:
		return fmt.Errorf("cpu: gemm of %s", dt)
	}
}

func address(m backend.Matrix) unsafe.Pointer {
	if m.T == nil {
		return nil
	}
	return unsafe.Add(m.T.Pointer(), m.T.DType().Bytes(m.Offset))
}
