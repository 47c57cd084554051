// Linear: x·W + b, and the same added to a residual stream. It uses the backend's Gemm.
package op

import (
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Linear multiplies x [batch, pos, in] (or [batch, pos, head, d_head] with in = head·d_head) by W, which is
// viewed as [in, out] whatever its layout in the checkpoint, and adds B. The result is [batch, pos, out], or
// [batch, pos, Heads, out/Heads] when Heads is not 0. A second input, if there is one, is added last.
type Linear struct {
	W, B  *Param // B may be nil
	Heads int
}

// Name implements Op.
func (o *Linear) Name() string { return "linear" }

// Forward implements Op.
func (o *Linear) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x, w := in[0], o.W.Value
	k, n := w.Dim(0), w.Dim(1)
	shape := x.Shape()
	if len(shape) == 0 {
		return nil, shapeError(o, in, "%d features (%s is [%d, %d])", k, o.W.Name, k, n)
	}
	width, lead := x.Dim(-1), shape[:len(shape)-1]
	if len(shape) == 4 {
		width, lead = shape[2]*shape[3], shape[:2]
	}
	if width != k {
		return nil, shapeError(o, in, "%d features (%s is [%d, %d])", k, o.W.Name, k, n)
	}
	out := append(make([]int, 0, 4), lead...)
	if o.Heads > 0 {
		out = append(out, o.Heads, n/o.Heads)
	} else {
		out = append(out, n)
	}
	g := backend.Gemm{A: backend.Rows(x, k), B: backend.MatrixOf(w), Bias: backend.Vector(tensorOf(o.B))}
	if len(in) > 1 {
		if !slices.Equal(in[1].Shape(), out) {
			return nil, shapeError(o, in, "a stream of shape %v to add to", out)
		}
		g.Residual = backend.Rows(in[1], n)
	}
	return produce(b, x.DType(), out, func(y *tensor.Tensor) error {
		g.Out = backend.Rows(y, n)
		return b.Gemm(&g)
	})
}
