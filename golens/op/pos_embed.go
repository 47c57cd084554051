// PosEmbed: learned position embeddings. Kernel "gather".
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// PosEmbed looks positions [1 or batch, pos] up in a table [n_ctx, d_model], which may be stored narrower. Its second
// input, the token embedding [batch, pos, d_model], says for how many batch rows the result is written out, and in
// which dtype.
type PosEmbed struct{ Table string } // what messages call the table

// Name implements Op.
func (*PosEmbed) Name() string { return "pos_embed" }

// Infer implements Op.
func (o *PosEmbed) Infer(in []Type) ([]Type, error) {
	positions, like, table := in[0], in[1], in[2]
	if !isIDs(positions) || like.Rank() != 3 || table.Rank() != 2 {
		return nil, shapeError(o, in, "contiguous int64 positions [1 or batch, pos], an embedding [batch, pos, d_model] and a table [n_ctx, d_model]")
	}
	if n := positions.Dim(0); n != 1 && n != like.Dim(0) {
		return nil, shapeError(o, in, "one row of positions or one for each of %d batch rows", like.Dim(0))
	}
	return one(like.DType, []int{like.Dim(0), positions.Dim(1), table.Dim(1)})
}

// Run implements Op.
func (o *PosEmbed) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return gather(o, o.Table, b, in[2], in[0], out[0])
}
