// Package backend is what the engine asks of a device: memory, products, and kernels by name. A new operation
// adds a kernel, never a method here.
package backend

import (
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrNoKernel is wrapped when a backend lacks a kernel that an operation asks for.
var ErrNoKernel = errors.New("backend: no such kernel")

// Backend is a device that can hold tensors and compute on them.
type Backend interface {
	// Name is the device as users write it ("cpu").
	Name() string
	// Alloc makes an uninitialised contiguous tensor.
	Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error)
	// Gemm is a matrix product.
	Gemm(g *Gemm) error
	// Launch runs a named kernel. Arguments are *tensor.Tensor (nil where the kernel allows it), int, float32,
	// float64, bool and string, in the order that the operation's file documents. Tensors of real numbers are of
	// one floating dtype, to which results are rounded; float32 may stand beside one of 16 bits.
	Launch(kernel string, args ...any) error
}

// Gemm is Out = A·B (+ Bias) (+ Residual), every element summed along K in one fixed order, then the bias, then
// the residual, and the whole rounded to the dtype that all operands have. A is [m, k], B is [k, n] (a transposed one is expressed by its strides), Out is [m, n]; the
// trailing or leading axis of each matrix must be dense. Bias is [n], Residual is like Out; both may be nil.
type Gemm struct {
	A, B, Out, Bias, Residual Matrix
}

// Matrix is a 2-D operand of a floating dtype. Strides count elements.
type Matrix struct {
	T                    *tensor.Tensor
	Offset               int // elements behind T's first
	Rows, Cols           int
	RowStride, ColStride int
}

// MatrixOf views a tensor of two dimensions, strided or not.
func MatrixOf(t *tensor.Tensor) Matrix {
	s, d := t.Strides(), t.Shape()
	return Matrix{T: t, Rows: d[0], Cols: d[1], RowStride: s[0], ColStride: s[1]}
}

// Rows views a contiguous tensor as a matrix of that many columns.
func Rows(t *tensor.Tensor, cols int) Matrix {
	rows := 0
	if cols > 0 {
		rows = t.Len() / cols
	}
	return Matrix{T: t, Rows: rows, Cols: cols, RowStride: cols, ColStride: 1}
}

// Vector views a dense one-dimensional tensor as one row; nil gives the zero Matrix.
func Vector(t *tensor.Tensor) Matrix {
	if t == nil {
		return Matrix{}
	}
	return Matrix{T: t, Rows: 1, Cols: t.Len(), RowStride: t.Len(), ColStride: 1}
}

// Check reports operands that do not fit each other.
func (g *Gemm) Check() error {
	if g.A.Cols != g.B.Rows || g.Out.Rows != g.A.Rows || g.Out.Cols != g.B.Cols {
		return fmt.Errorf("backend: gemm [%d, %d] · [%d, %d] -> [%d, %d]", g.A.Rows, g.A.Cols, g.B.Rows, g.B.Cols, g.Out.Rows, g.Out.Cols)
	}
	if g.Bias.T != nil && g.Bias.Cols != g.Out.Cols {
		return fmt.Errorf("backend: gemm bias of %d for %d columns", g.Bias.Cols, g.Out.Cols)
	}
	if g.Residual.T != nil && (g.Residual.Rows != g.Out.Rows || g.Residual.Cols != g.Out.Cols) {
		return fmt.Errorf("backend: gemm residual [%d, %d] for [%d, %d]", g.Residual.Rows, g.Residual.Cols, g.Out.Rows, g.Out.Cols)
	}
	return nil
}
