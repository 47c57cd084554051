// Embed: rows of a table by token id. Kernel "gather".
package op

import (
	"cmp"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Embed takes ids [batch, pos], a table [vocab, d_model], which may be stored narrower, and a tensor of the dtype that
// the result is to have, of any shape. It gives [batch, pos, d_model].
type Embed struct{ Table string } // what messages call the table

// GatherKernel is Out[..., :] = Table[IDs, :]; one row of IDs serves every row of Out's batch.
type GatherKernel struct {
	Table, IDs, Out *tensor.Tensor // IDs are int64 on the host
}

// Name implements Op.
func (*Embed) Name() string { return "embed" }

// Infer implements Op.
func (o *Embed) Infer(in []Type) ([]Type, error) {
	ids, table, like := in[0], in[1], in[2]
	if !isIDs(ids) || table.Rank() != 2 {
		return nil, shapeError(o, in, "contiguous int64 ids [batch, pos] and a table [vocab, d_model]")
	}
	return one(like.DType, []int{ids.Dim(0), ids.Dim(1), table.Dim(1)})
}

// Run implements Op.
func (o *Embed) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return gather(o, o.Table, b, in[1], in[0], out[0])
}

// gather looks ids up in a table.
func gather(o Op, name string, b backend.Backend, table, ids, out *tensor.Tensor) error {
	if err := checkIDs(o, name, table, ids); err != nil {
		return err
	}
	return b.Launch(&GatherKernel{table, ids, out})
}

// isIDs: ids, positions and masks of tokens.
func isIDs(t Type) bool { return t.DType == tensor.Int64 && t.Rank() == 2 }

func checkIDs(o Op, name string, table, ids *tensor.Tensor) error {
	if !ids.Contiguous() { // there are gaps where Int64s would read
		return fmt.Errorf("%s: %w: given ids %v with strides %v, expected contiguous int64 ids", o.Name(), ErrShape, ids.Shape(), ids.Strides())
	}
	rows := int64(table.Dim(0))
	for _, id := range ids.Int64s() {
		if id < 0 || id >= rows {
			return fmt.Errorf("%s: %w: %s has rows 0 to %d, %d was asked for", o.Name(), ErrIndex, cmp.Or(name, "the table"), rows-1, id)
		}
	}
	return nil
}

// Kernel implements backend.Kernel.
func (*GatherKernel) Kernel() string { return "gather" }

// Operands implements backend.Kernel.
func (k *GatherKernel) Operands() backend.Operands {
	return backend.Reads(&k.Table, &k.IDs).Writes(&k.Out)
}
