// PosEmbed: learned position embeddings. Kernel "gather": table, ids, out.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// PosEmbed looks positions [1 or batch, pos] up in a table [n_ctx, d_model]. Its second input, the token
// embedding [batch, pos, d_model], says for how many batch rows the result is written out.
type PosEmbed struct{ Table *Param }

// Name implements Op.
func (*PosEmbed) Name() string { return "pos_embed" }

// Forward implements Op.
func (o *PosEmbed) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	positions, like := in[0], in[1]
	if !isIDs(positions) || len(like.Shape()) != 3 {
		return nil, shapeError(o, in, "contiguous int64 positions [1 or batch, pos] and an embedding [batch, pos, d_model]")
	}
	if n := positions.Dim(0); n != 1 && n != like.Dim(0) {
		return nil, shapeError(o, in, "one row of positions or one for each of %d batch rows", like.Dim(0))
	}
	if err := checkIDs(o, o.Table, positions); err != nil {
		return nil, err
	}
	shape := []int{like.Dim(0), positions.Dim(1), o.Table.Value.Dim(1)}
	return produce(b, o.Table.Value.DType(), shape, func(out *tensor.Tensor) error { return b.Launch("gather", o.Table.Value, positions, out) })
}
