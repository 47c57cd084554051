// Heads: the per-head forms of attention's input and output, which exist only while the flags
// use_split_qkv_input, use_attn_in and use_attn_result are set. Kernels: "copy": x strided, out;
// "sum_heads": x, bias, out. The products use the backend's Gemm.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// RepeatHeads copies a residual [batch, pos, d_model] once for each head: [batch, pos, head, d_model].
type RepeatHeads struct{ Heads int }

// Name implements Op.
func (*RepeatHeads) Name() string { return "repeat_heads" }

// Forward implements Op.
func (o *RepeatHeads) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x := in[0]
	if len(x.Shape()) != 3 {
		return nil, shapeError(o, in, "[batch, pos, d_model]")
	}
	s := x.Strides()
	view, err := x.View([]int{x.Dim(0), x.Dim(1), o.Heads, x.Dim(2)}, []int{s[0], s[1], 0, s[2]}, 0)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return produce(b, view.DType(), view.Shape(), func(out *tensor.Tensor) error { return b.Launch("copy", view, out) })
}

// FirstHeads keeps the first Heads of [batch, pos, head, d_model].
type FirstHeads struct{ Heads int }

// Name implements Op.
func (*FirstHeads) Name() string { return "first_heads" }

// Forward implements Op.
func (o *FirstHeads) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x := in[0]
	if len(x.Shape()) != 4 || x.Dim(2) < o.Heads {
		return nil, shapeError(o, in, "[batch, pos, head, d_model] with at least %d heads", o.Heads)
	}
	view, err := x.View([]int{x.Dim(0), x.Dim(1), o.Heads, x.Dim(3)}, x.Strides(), 0)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return produce(b, view.DType(), view.Shape(), func(out *tensor.Tensor) error { return b.Launch("copy", view, out) })
}

// HeadLinear gives each head its own columns of W: x [batch, pos, head, d_model] to [batch, pos, head, d_head],
// W viewed as [d_model, head·d_head].
type HeadLinear struct {
	W, B  *Param // B may be nil
	Heads int
}

// Name implements Op.
func (*HeadLinear) Name() string { return "head_linear" }

// Forward implements Op.
func (o *HeadLinear) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x, w := in[0], o.W.Value
	d, e := w.Dim(0), w.Dim(1)/o.Heads
	if len(x.Shape()) != 4 || x.Dim(2) != o.Heads || x.Dim(3) != d {
		return nil, shapeError(o, in, "[batch, pos, %d, %d]", o.Heads, d)
	}
	rows := x.Dim(0) * x.Dim(1)
	return produce(b, x.DType(), []int{x.Dim(0), x.Dim(1), o.Heads, e}, func(out *tensor.Tensor) error {
		for h := range o.Heads {
			g := backend.Gemm{
				A:   backend.Matrix{T: x, Offset: h * d, Rows: rows, Cols: d, RowStride: o.Heads * d, ColStride: 1},
				B:   backend.Matrix{T: w, Offset: h * e * w.Strides()[1], Rows: d, Cols: e, RowStride: w.Strides()[0], ColStride: w.Strides()[1]},
				Out: backend.Matrix{T: out, Offset: h * e, Rows: rows, Cols: e, RowStride: o.Heads * e, ColStride: 1},
			}
			if o.B != nil {
				g.Bias = backend.Matrix{T: o.B.Value, Offset: h * e, Rows: 1, Cols: e, RowStride: e, ColStride: 1}
			}
			if err := b.Gemm(&g); err != nil {
				return err
			}
		}
		return nil
	})
}

// HeadResult is what each head writes: z [batch, pos, head, d_head] to [batch, pos, head, d_model], W viewed as
// [head·d_head, d_model] (hook_result).
type HeadResult struct{ W *Param }

// Name implements Op.
func (*HeadResult) Name() string { return "head_result" }

// Forward implements Op.
func (o *HeadResult) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	z, w := in[0], o.W.Value
	d := w.Dim(1)
	if len(z.Shape()) != 4 || z.Dim(2)*z.Dim(3) != w.Dim(0) {
		return nil, shapeError(o, in, "z [batch, pos, head, d_head] of %d features", w.Dim(0))
	}
	heads, e, rows := z.Dim(2), z.Dim(3), z.Dim(0)*z.Dim(1)
	return produce(b, z.DType(), []int{z.Dim(0), z.Dim(1), heads, d}, func(out *tensor.Tensor) error {
		for h := range heads {
			g := backend.Gemm{
				A:   backend.Matrix{T: z, Offset: h * e, Rows: rows, Cols: e, RowStride: heads * e, ColStride: 1},
				B:   backend.Matrix{T: w, Offset: h * e * w.Strides()[0], Rows: e, Cols: d, RowStride: w.Strides()[0], ColStride: w.Strides()[1]},
				Out: backend.Matrix{T: out, Offset: h * d, Rows: rows, Cols: d, RowStride: heads * d, ColStride: 1},
			}
			if err := b.Gemm(&g); err != nil {
				return err
			}
		}
		return nil
	})
}

// SumHeads adds up what the heads wrote, [batch, pos, head, d_model] to [batch, pos, d_model], and the bias.
type SumHeads struct{ B *Param }

// Name implements Op.
func (*SumHeads) Name() string { return "sum_heads" }

// Forward implements Op.
func (o *SumHeads) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x := in[0]
	if len(x.Shape()) != 4 {
		return nil, shapeError(o, in, "[batch, pos, head, d_model]")
	}
	return produce(b, x.DType(), []int{x.Dim(0), x.Dim(1), x.Dim(3)}, func(out *tensor.Tensor) error {
		return b.Launch("sum_heads", x, tensorOf(o.B), out)
	})
}
