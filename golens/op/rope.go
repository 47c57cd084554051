// Rope: rotary position embedding (Su et al. 2021, https://arxiv.org/abs/2104.09864).
// Kernels: "rope_table": inv_freq, positions, cos, sin, divisor, scaling, adjacent; "rope": x, cos, sin, out, adjacent.
package op

import (
	"cmp"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// RopeTable turns positions [1 or batch, pos] into cosines and sines [1 or batch, pos, rotary_dim] of
// position · inverse frequency, in float32 as Hugging Face computes them, times Scaling.
type RopeTable struct {
	InvFreq  *Param  // [rotary_dim / 2]
	Divisor  float32 // positions are divided by it; 0: as they are
	Scaling  float32
	Adjacent bool         // pairs are neighbours, not halves
	DType    tensor.DType // of the tables, whose float32 values are rounded to it
}

// Name implements Op.
func (*RopeTable) Name() string { return "rope_table" }

// Forward implements Op.
func (o *RopeTable) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	positions := in[0]
	if !isIDs(positions) {
		return nil, shapeError(o, in, "contiguous int64 positions [1 or batch, pos]")
	}
	shape := []int{positions.Dim(0), positions.Dim(1), 2 * o.InvFreq.Value.Len()}
	cos, err := b.Alloc(o.DType, shape...)
	if err != nil {
		return nil, err
	}
	sin, err := b.Alloc(o.DType, shape...)
	if err == nil {
		err = b.Launch("rope_table", o.InvFreq.Value, positions, cos, sin, cmp.Or(o.Divisor, 1), o.Scaling, o.Adjacent)
	}
	if err != nil {
		cos.Release()
		sin.Release()
		return nil, err
	}
	return []*tensor.Tensor{cos, sin}, nil
}

// Rope rotates x [batch, pos, head, d_head] by cos and sin [1 or batch, pos, rotary_dim]; dimensions beyond
// rotary_dim pass unchanged. Its fourth input is optional: earlier keys [batch, p, …], which cos and sin are for too,
// in front of x.
type Rope struct{ Adjacent bool }

// Name implements Op.
func (*Rope) Name() string { return "rope" }

// Forward implements Op.
func (o *Rope) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x, cos, sin := in[0], in[1], in[2]
	if len(x.Shape()) != 4 || len(cos.Shape()) != 3 || !sameShape(cos, sin) || cos.Dim(2) > x.Dim(3) {
		return nil, shapeError(o, in, "x [batch, pos, head, d_head], cos and sin [1 or batch, pos, rotary_dim]")
	}
	past := 0
	if len(in) > 3 && in[3] != nil {
		past = in[3].Dim(1)
	}
	if cos.Dim(1) != past+x.Dim(1) || (cos.Dim(0) != 1 && cos.Dim(0) != x.Dim(0)) {
		return nil, shapeError(o, in, "cos and sin for %d positions and 1 or %d batch rows", past+x.Dim(1), x.Dim(0))
	}
	if past > 0 {
		var err error
		if cos, err = behind(cos, past); err != nil {
			return nil, err
		}
		defer cos.Release()
		if sin, err = behind(sin, past); err != nil {
			return nil, err
		}
		defer sin.Release()
	}
	return produce(b, x.DType(), x.Shape(), func(out *tensor.Tensor) error { return b.Launch("rope", x, cos, sin, out, o.Adjacent) })
}

// behind is a table [rows, pos, width] without its first positions.
func behind(table *tensor.Tensor, first int) (*tensor.Tensor, error) {
	s := table.Shape()
	return table.View([]int{s[0], s[1] - first, s[2]}, table.Strides(), first*table.Strides()[1])
}
