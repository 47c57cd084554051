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
	dt := g.Out.T.DType()
	for _, m := range []backend.Matrix{g.A, g.B, g.Bias, g.Residual} {
		if m.T != nil && m.T.DType() != dt {
			return fmt.Errorf("cpu: gemm of %s and %s", m.T.DType(), dt)
		}
	}
	k := kernels.Gemm{
		M: g.Out.Rows, N: g.Out.Cols, K: g.A.Cols,
		A: address(g.A), LDA: g.A.RowStride, B: address(g.B), LDB: ldb, TransB: trans,
		C: address(g.Out), LDC: g.Out.RowStride, Bias: address(g.Bias), Residual: address(g.Residual), LDR: g.Residual.RowStride,
	}
	switch dt {
	case tensor.Float32:
		return k.Run()
	case tensor.Float64:
		return k.RunFloat64()
	case tensor.Float16, tensor.BFloat16:
		return narrowGemm(&k, halfOf(dt))
	default:
		return fmt.Errorf("cpu: gemm of %s", dt)
	}
}

func address(m backend.Matrix) unsafe.Pointer {
	if m.T == nil {
		return nil
	}
	return unsafe.Add(m.T.Pointer(), m.Offset*m.T.DType().Size())
}

// Launch implements backend.Backend.
func (CPU) Launch(kernel string, args ...any) error {
	k, ok := table[kernel]
	if !ok {
		return fmt.Errorf("%w: cpu has no %q", backend.ErrNoKernel, kernel)
	}
	a := arguments{kernel, args}
	if k.any {
		return k.float32(a)
	}
	dt, err := a.dtype()
	switch {
	case err != nil:
		return err
	case dt == tensor.Float32:
		return k.float32(a)
	case dt == tensor.Float64 && k.float64 != nil:
		return k.float64(a)
	case dt == tensor.Float16 || dt == tensor.BFloat16:
		return k.narrow(a, dt)
	default:
		return fmt.Errorf("%w: cpu has no %q of %s", backend.ErrNoKernel, kernel, dt)
	}
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

// dtype is what the floating arguments have; float32 may stand beside one of 16 bits.
func (a arguments) dtype() (tensor.DType, error) {
	var found [tensor.BFloat16 + 1]bool
	for i := range a.list {
		if t := a.tensor(i); t != nil && t.DType().Floating() {
			found[t.DType()] = true
		}
	}
	switch found {
	case [...]bool{tensor.Float64: true, tensor.BFloat16: false}:
		return tensor.Float64, nil
	case [...]bool{tensor.Float16: true, tensor.BFloat16: false}, [...]bool{tensor.Float32: true, tensor.Float16: true, tensor.BFloat16: false}:
		return tensor.Float16, nil
	case [...]bool{tensor.BFloat16: true}, [...]bool{tensor.Float32: true, tensor.BFloat16: true}:
		return tensor.BFloat16, nil
	case [...]bool{tensor.Float32: true, tensor.BFloat16: false}:
		return tensor.Float32, nil
	}
	return 0, fmt.Errorf("cpu: %s of tensors of several dtypes", a.kernel)
}

// float is a number as float32 kernels take it, wide as float64 ones do.
func (a arguments) float(i int) float32 { return float32(a.wide(i)) }

func (a arguments) wide(i int) float64 {
	if v, ok := a.list[i].(float32); ok {
		return float64(v)
	}
	return a.list[i].(float64)
}

func (a arguments) int(i int) int       { return a.list[i].(int) }
func (a arguments) bool(i int) bool     { return a.list[i].(bool) }
func (a arguments) string(i int) string { return a.list[i].(string) }
