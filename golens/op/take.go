// Take: some positions of what a model computed for all. Kernel "take".
package op

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Take gives the positions at [1 or batch, n] (optional: int64, from 0 on) of x [batch, pos, width]: [batch, n, width].
// Without them it is x itself.
type Take struct{}

// TakeKernel is Out[i, j] = X[i, At[i, j]]; one row of At serves every row of the batch.
type TakeKernel struct {
	X, At, Out *tensor.Tensor // At is int64 on the host
}

// Name implements Op.
func (*Take) Name() string { return "take" }

// Alias implements Aliaser.
func (*Take) Alias(in []Type) []int {
	if in[1].Absent() {
		return []int{0}
	}
	return []int{-1}
}

// Infer implements Op.
func (o *Take) Infer(in []Type) ([]Type, error) {
	x, at := in[0], in[1]
	if at.Absent() {
		return []Type{x}, nil
	}
	if x.Rank() != 3 || !isIDs(at) || (at.Dim(0) != 1 && at.Dim(0) != x.Dim(0)) {
		return nil, shapeError(o, in, "x [batch, pos, width] and int64 positions [1 or batch, n]")
	}
	return one(x.DType, []int{x.Dim(0), at.Dim(1), x.Dim(2)})
}

// Run implements Op.
func (o *Take) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	if in[1] == nil {
		return nil
	}
	return take(o, b, in[0], in[1], out[0])
}

// Cost implements Costed.
func (*Take) Cost(_, _ []Type) Cost { return Cost{} }

func take(o Op, b backend.Backend, x, at, out *tensor.Tensor) error {
	for _, i := range at.Int64s() {
		if i < 0 || i >= int64(x.Dim(1)) {
			return fmt.Errorf("%s: %w: position %d was asked for, there are %d", o.Name(), ErrIndex, i, x.Dim(1))
		}
	}
	return b.Launch(&TakeKernel{x, at, out})
}

// Kernel implements backend.Kernel.
func (*TakeKernel) Kernel() string { return "take" }

// Operands implements backend.Kernel.
func (k *TakeKernel) Operands() backend.Operands { return backend.Reads(&k.X, &k.At).Writes(&k.Out) }
