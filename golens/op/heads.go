// Heads: the per-head forms of attention's input and output, which exist only while the flags
// use_split_qkv_input, use_attn_in and use_attn_result are set. Kernel "sum_heads"; the products use the backend's
// Gemm, and repetition its Copy.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// RepeatHeads copies a residual [batch, pos, d_model] once for each head: [batch, pos, head, d_model].
type RepeatHeads struct{ Heads int }

// Name implements Op.
func (*RepeatHeads) Name() string { return "repeat_heads" }

// Infer implements Op.
func (o *RepeatHeads) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if x.Rank() != 3 {
		return nil, shapeError(o, in, "[batch, pos, d_model]")
	}
	return one(x.DType, []int{x.Dim(0), x.Dim(1), o.Heads, x.Dim(2)})
}

// Run implements Op.
func (*RepeatHeads) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	s := in[0].Strides()
	return copyView(b, out[0], in[0], []int{s[0], s[1], 0, s[2]})
}

// Cost implements Costed.
func (*RepeatHeads) Cost(_, _ []Type) Cost { return Cost{} }

// copyView fills out from x as those strides show it in out's shape.
func copyView(b backend.Backend, out, x *tensor.Tensor, strides []int) error {
	view, err := x.View(out.Shape(), strides, 0)
	if err != nil {
		return err
	}
	defer view.Release()
	return b.Copy(out, view)
}

// FirstHeads keeps the first Heads of [batch, pos, head, d_model].
type FirstHeads struct{ Heads int }

// Name implements Op.
func (*FirstHeads) Name() string { return "first_heads" }

// Infer implements Op.
func (o *FirstHeads) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if x.Rank() != 4 || x.Dim(2) < o.Heads {
		return nil, shapeError(o, in, "[batch, pos, head, d_model] with at least %d heads", o.Heads)
	}
	return one(x.DType, []int{x.Dim(0), x.Dim(1), o.Heads, x.Dim(3)})
}

// Run implements Op.
func (*FirstHeads) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return copyView(b, out[0], in[0], in[0].Strides())
}

// Cost implements Costed.
func (*FirstHeads) Cost(_, _ []Type) Cost { return Cost{} }

// HeadLinear gives each head its own columns of W [d_model, head·d_head] and of b [head·d_head] (optional):
// x [batch, pos, head, d_model] to [batch, pos, head, d_head].
type HeadLinear struct{ Heads int }

// Name implements Op.
func (*HeadLinear) Name() string { return "head_linear" }

// Infer implements Op.
func (o *HeadLinear) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	d, e := w.Dim(0), w.Dim(1)/o.Heads
	if x.Rank() != 4 || x.Dim(2) != o.Heads || x.Dim(3) != d {
		return nil, shapeError(o, in, "[batch, pos, %d, %d]", o.Heads, d)
	}
	return one(x.DType, []int{x.Dim(0), x.Dim(1), o.Heads, e})
}

// Run implements Op.
func (o *HeadLinear) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	x, w := in[0], in[1]
	d, e, rows := w.Dim(0), w.Dim(1)/o.Heads, x.Dim(0)*x.Dim(1)
	for h := range o.Heads {
		g := backend.Gemm{
			A:   backend.Matrix{T: x, Offset: h * d, Rows: rows, Cols: d, RowStride: o.Heads * d, ColStride: 1},
			B:   backend.Matrix{T: w, Offset: h * e * w.Strides()[1], Rows: d, Cols: e, RowStride: w.Strides()[0], ColStride: w.Strides()[1]},
			Out: backend.Matrix{T: out[0], Offset: h * e, Rows: rows, Cols: e, RowStride: o.Heads * e, ColStride: 1},
		}
		if in[2] != nil {
			g.Bias = backend.Matrix{T: in[2], Offset: h * e, Rows: 1, Cols: e, RowStride: e, ColStride: 1}
		}
		if err := b.Gemm(&g); err != nil {
			return err
		}
	}
	return nil
}

// Cost implements Costed.
func (*HeadLinear) Cost(in, out []Type) Cost {
	return Cost{Operations: products(out[0].Len(), in[1].Dim(0))}
}

// HeadResult is what each head writes: z [batch, pos, head, d_head] by W [head·d_head, d_model] to
// [batch, pos, head, d_model] (hook_result).
type HeadResult struct{}

// Name implements Op.
func (*HeadResult) Name() string { return "head_result" }

// Infer implements Op.
func (o *HeadResult) Infer(in []Type) ([]Type, error) {
	z, w := in[0], in[1]
	if z.Rank() != 4 || z.Dim(2)*z.Dim(3) != w.Dim(0) {
		return nil, shapeError(o, in, "z [batch, pos, head, d_head] of %d features", w.Dim(0))
	}
	return one(z.DType, []int{z.Dim(0), z.Dim(1), z.Dim(2), w.Dim(1)})
}

// Run implements Op.
func (*HeadResult) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	z, w := in[0], in[1]
	d, heads, e, rows := w.Dim(1), z.Dim(2), z.Dim(3), z.Dim(0)*z.Dim(1)
	for h := range heads {
		g := backend.Gemm{
			A:   backend.Matrix{T: z, Offset: h * e, Rows: rows, Cols: e, RowStride: heads * e, ColStride: 1},
			B:   backend.Matrix{T: w, Offset: h * e * w.Strides()[0], Rows: e, Cols: d, RowStride: w.Strides()[0], ColStride: w.Strides()[1]},
			Out: backend.Matrix{T: out[0], Offset: h * d, Rows: rows, Cols: d, RowStride: heads * d, ColStride: 1},
		}
		if err := b.Gemm(&g); err != nil {
			return err
		}
	}
	return nil
}

// Cost implements Costed.
func (*HeadResult) Cost(in, out []Type) Cost {
	return Cost{Operations: products(out[0].Len(), in[0].Dim(3))}
}

// SumHeads adds up what the heads wrote, [batch, pos, head, d_model] to [batch, pos, d_model], and b [d_model]
// (optional).
type SumHeads struct{}

// SumHeadsKernel is Out = the sum of X over its heads, in order, + Bias; Bias may be nil.
type SumHeadsKernel struct{ X, Bias, Out *tensor.Tensor }

// Name implements Op.
func (*SumHeads) Name() string { return "sum_heads" }

// Infer implements Op.
func (o *SumHeads) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if x.Rank() != 4 {
		return nil, shapeError(o, in, "[batch, pos, head, d_model]")
	}
	return one(x.DType, []int{x.Dim(0), x.Dim(1), x.Dim(3)})
}

// Run implements Op.
func (*SumHeads) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&SumHeadsKernel{in[0], in[1], out[0]})
}

// Cost implements Costed.
func (*SumHeads) Cost(in, _ []Type) Cost { return Cost{Operations: in[0].Len()} }

// Kernel implements backend.Kernel.
func (*SumHeadsKernel) Kernel() string { return "sum_heads" }

// Operands implements backend.Kernel.
func (k *SumHeadsKernel) Operands() backend.Operands {
	return backend.Reads(&k.X, &k.Bias).Writes(&k.Out)
}
