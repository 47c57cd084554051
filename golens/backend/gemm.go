// Gemm: the arguments of a matrix product.
package backend

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Gemm is Out = A·B (+ Bias) (+ Residual), every element summed along K in one fixed order, then the bias, then
// the residual, and the whole rounded to the dtype of Out, which A, Bias and Residual have too. B may be stored
// narrower, and is widened as it is read: the bits are those of the widened matrix. A is [m, k], B is [k, n] (a
// transposed one is expressed by its strides), Out is [m, n]; the trailing or leading axis of each matrix must be
// dense. Bias is [n], Residual is like Out; both may be nil.
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
