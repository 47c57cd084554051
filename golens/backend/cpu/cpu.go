// Package cpu is the backend on the processor: memory from golens/tensor, products and kernels from kernels/cpu.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// CPU implements backend.Backend. The zero value is ready.
type CPU struct{}

var _ backend.Backend = CPU{}

// Name implements backend.Backend.
func (CPU) Name() string { return "cpu" }

// Alloc implements backend.Backend.
func (CPU) Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error) {
	return tensor.New(dt, shape...)
}

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
	k := kernels.Gemm{
		M: g.Out.Rows, N: g.Out.Cols, K: g.A.Cols,
		A: address(g.A), LDA: g.A.RowStride, B: address(g.B), LDB: ldb, TransB: trans,
		C: address(g.Out), LDC: g.Out.RowStride, Bias: address(g.Bias), Residual: address(g.Residual), LDR: g.Residual.RowStride,
	}
	return k.Run()
}

func address(m backend.Matrix) unsafe.Pointer {
	if m.T == nil {
		return nil
	}
	return unsafe.Add(m.T.Pointer(), m.Offset*m.T.DType().Size())
}

// Launch implements backend.Backend.
func (CPU) Launch(kernel string, args ...any) error {
	run, ok := table[kernel]
	if !ok {
		return fmt.Errorf("%w: cpu has no %q", backend.ErrNoKernel, kernel)
	}
	return run(arguments{kernel, args})
}

// arguments reads what an operation passed to Launch.
type arguments struct {
	kernel string
	list   []any
}

func (a arguments) tensor(i int) *tensor.Tensor {
	t, _ := a.list[i].(*tensor.Tensor)
	return t
}

// pointer is a tensor's address, nil for an absent one.
func (a arguments) pointer(i int) unsafe.Pointer {
	if t := a.tensor(i); t != nil {
		return t.Pointer()
	}
	return nil
}

func (a arguments) float(i int) float32 { return a.list[i].(float32) }
func (a arguments) int(i int) int       { return a.list[i].(int) }
func (a arguments) bool(i int) bool     { return a.list[i].(bool) }
func (a arguments) string(i int) string { return a.list[i].(string) }
