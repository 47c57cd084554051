// Rope: rotary position embedding (Su et al. 2021, https://arxiv.org/abs/2104.09864). Kernels "rope_table" and "rope".
package op

import (
	"cmp"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// RopeTable turns positions [1 or batch, pos] and inverse frequencies float32 [rotary_dim / 2] into cosines and sines
// [1 or batch, pos, rotary_dim] of position · inverse frequency, in float32 as Hugging Face computes them, times
// Scaling. Its third input, of any shape, has the dtype of the tables, to which they are rounded.
type RopeTable struct {
	Divisor  float32 // positions are divided by it; 0: as they are
	Scaling  float32
	Adjacent bool // pairs are neighbours, not halves
}

// RopeTableKernel fills Cos and Sin [1 or batch, pos, rotary_dim]; InvFreq is float32 and Positions int64, on the host.
type RopeTableKernel struct {
	InvFreq, Positions, Cos, Sin *tensor.Tensor
	Divisor, Scaling             float32
	Adjacent                     bool
}

// Name implements Op.
func (*RopeTable) Name() string { return "rope_table" }

// Infer implements Op.
func (o *RopeTable) Infer(in []Type) ([]Type, error) {
	positions, freq, like := in[0], in[1], in[2]
	if !isIDs(positions) {
		return nil, shapeError(o, in, "contiguous int64 positions [1 or batch, pos]")
	}
	table := Type{like.DType, []int{positions.Dim(0), positions.Dim(1), 2 * freq.Len()}}
	return []Type{table, table}, nil
}

// Run implements Op.
func (o *RopeTable) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&RopeTableKernel{in[1], in[0], out[0], out[1], cmp.Or(o.Divisor, 1), o.Scaling, o.Adjacent})
}

// Cost implements Costed.
func (*RopeTable) Cost(_, out []Type) Cost { return Cost{Operations: 2 * out[0].Len()} }

// Rope rotates x [batch, pos, head, d_head] by cos and sin [1 or batch, pos, rotary_dim]; dimensions beyond
// rotary_dim pass unchanged. Its fourth input is optional: earlier keys [batch, p, …], which cos and sin are for too,
// in front of x.
type Rope struct{ Adjacent bool }

// RopeKernel is Out = X rotated; Cos and Sin may have strides along their rows.
type RopeKernel struct {
	X, Cos, Sin, Out *tensor.Tensor
	Adjacent         bool
}

// Name implements Op.
func (*Rope) Name() string { return "rope" }

// pastOf is how many positions of the tables stand in front of x.
func pastOf(in []Type) int {
	if len(in) > 3 && !in[3].Absent() {
		return in[3].Dim(1)
	}
	return 0
}

// Infer implements Op.
func (o *Rope) Infer(in []Type) ([]Type, error) {
	x, cos, sin := in[0], in[1], in[2]
	if x.Rank() != 4 || cos.Rank() != 3 || !sameShape(cos, sin) || cos.Dim(2) > x.Dim(3) {
		return nil, shapeError(o, in, "x [batch, pos, head, d_head], cos and sin [1 or batch, pos, rotary_dim]")
	}
	if n := pastOf(in) + x.Dim(1); cos.Dim(1) != n || (cos.Dim(0) != 1 && cos.Dim(0) != x.Dim(0)) {
		return nil, shapeError(o, in, "cos and sin for %d positions and 1 or %d batch rows", n, x.Dim(0))
	}
	return one(x.DType, x.Shape)
}

// Run implements Op.
func (o *Rope) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	x, cos, sin := in[0], in[1], in[2]
	if past := cos.Dim(1) - x.Dim(1); past > 0 {
		var err error
		if cos, err = behind(cos, past); err != nil {
			return err
		}
		defer cos.Release()
		if sin, err = behind(sin, past); err != nil {
			return err
		}
		defer sin.Release()
	}
	return b.Launch(&RopeKernel{x, cos, sin, out[0], o.Adjacent})
}

// Cost implements Costed.
func (*Rope) Cost(_, out []Type) Cost { return Cost{Operations: 3 * out[0].Len()} }

// behind is a table [rows, pos, width] without its first positions.
func behind(table *tensor.Tensor, first int) (*tensor.Tensor, error) {
	s := table.Shape()
	return table.View([]int{s[0], s[1] - first, s[2]}, table.Strides(), first*table.Strides()[1])
}

// Kernel implements backend.Kernel.
func (*RopeTableKernel) Kernel() string { return "rope_table" }

// Operands implements backend.Kernel.
func (k *RopeTableKernel) Operands() backend.Operands {
	return backend.Reads(&k.InvFreq, &k.Positions).Writes(&k.Cos, &k.Sin)
}

// Kernel implements backend.Kernel.
func (*RopeKernel) Kernel() string { return "rope" }

// Operands implements backend.Kernel.
func (k *RopeKernel) Operands() backend.Operands {
	return backend.Reads(&k.X, &k.Cos, &k.Sin).Writes(&k.Out)
}
