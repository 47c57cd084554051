// Embed: rows of a table by token id. Kernel "gather": table, ids, out.
package op

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Embed looks ids [batch, pos] up in a table [vocab, d_model] and gives [batch, pos, d_model].
type Embed struct{ Table *Param }

// Name implements Op.
func (*Embed) Name() string { return "embed" }

// Forward implements Op.
func (o *Embed) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	ids := in[0]
	if !isIDs(ids) {
		return nil, shapeError(o, in, "contiguous int64 ids [batch, pos]")
	}
	if err := checkIDs(o, o.Table, ids); err != nil {
		return nil, err
	}
	shape := []int{ids.Dim(0), ids.Dim(1), o.Table.Value.Dim(1)}
	return produce(b, o.Table.Value.DType(), shape, func(out *tensor.Tensor) error { return b.Launch("gather", o.Table.Value, ids, out) })
}

// isIDs: the values of a tensor of another dtype, or with gaps, are not where Int64s reads them.
func isIDs(t *tensor.Tensor) bool {
	return t.DType() == tensor.Int64 && len(t.Shape()) == 2 && t.Contiguous()
}

func checkIDs(o Op, table *Param, ids *tensor.Tensor) error {
	rows := int64(table.Value.Dim(0))
	for _, id := range ids.Int64s() {
		if id < 0 || id >= rows {
			return fmt.Errorf("%s: %w: %s has rows 0 to %d, %d was asked for", o.Name(), ErrIndex, table.Name, rows-1, id)
		}
	}
	return nil
}
