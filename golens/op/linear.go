// Linear: x·W + b, and the same added to a residual stream. It uses the backend's Gemm.
package op

import (
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Linear multiplies x [batch, pos, in] (or [batch, pos, head, d_head] with in = head·d_head) by W [in, out], whatever
// its strides, and adds b [out] (optional). The result is [batch, pos, out], or [batch, pos, Heads, out/Heads] when
// Heads is not 0. A fourth input, if there is one, is added last.
type Linear struct{ Heads int }

// Inputs of Linear, in order.
const (
	LinearX = iota
	LinearW
	LinearB
	LinearResidual
)

// Name implements Op.
func (o *Linear) Name() string { return "linear" }

// Infer implements Op.
func (o *Linear) Infer(in []Type) ([]Type, error) {
	x, w := in[LinearX], in[LinearW]
	k, n := w.Dim(0), w.Dim(1)
	if x.Rank() == 0 {
		return nil, shapeError(o, in, "%d features", k)
	}
	width, lead := x.Dim(-1), x.Shape[:x.Rank()-1]
	if x.Rank() == 4 {
		width, lead = x.Dim(2)*x.Dim(3), x.Shape[:2]
	}
	if width != k {
		return nil, shapeError(o, in, "%d features", k)
	}
	out := append(make([]int, 0, 4), lead...)
	if o.Heads > 0 {
		out = append(out, o.Heads, n/o.Heads)
	} else {
		out = append(out, n)
	}
	if len(in) > LinearResidual && !slices.Equal(in[LinearResidual].Shape, out) {
		return nil, shapeError(o, in, "a stream of shape %v to add to", out)
	}
	return one(x.DType, out)
}

// Run implements Op.
func (o *Linear) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	w := in[LinearW]
	k, n := w.Dim(0), w.Dim(1)
	g := backend.Gemm{A: backend.Rows(in[LinearX], k), B: backend.MatrixOf(w), Bias: backend.Vector(in[LinearB]), Out: backend.Rows(out[0], n)}
	if len(in) > LinearResidual {
		g.Residual = backend.Rows(in[LinearResidual], n)
	}
	return b.Gemm(&g)
}

// Cost implements Costed.
func (*Linear) Cost(in, out []Type) Cost {
	return Cost{Operations: products(out[0].Len(), in[LinearW].Dim(0))}
}

// products is what a matrix product of that many elements costs, each a sum of k.
func products(elements, k int) int { return 2 * elements * k }
