// Unembed: logits at the positions that are wanted, for when nobody looks at the others; linear.go, softcap.go and
// take.go are the same in steps, bit for bit, as no row depends on the others.
package op

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Unembed takes x [batch, pos, d_model], W [d_model, vocab], b [vocab] (optional) and positions [1 or batch, n]
// (optional: all), and gives x·W + b there, [batch, n, vocab], bent into ±SoftCap if that is not 0.
type Unembed struct{ SoftCap float64 }

// Name implements Op.
func (*Unembed) Name() string { return "unembed" }

// Infer implements Op.
func (o *Unembed) Infer(in []Type) ([]Type, error) {
	rows, err := (&Take{}).Infer([]Type{in[0], in[3]})
	if err != nil {
		return nil, err
	}
	return (&Linear{}).Infer([]Type{rows[0], in[1], in[2]})
}

// Run implements Op.
func (o *Unembed) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	x, at := in[0], in[3]
	if at != nil {
		rows, err := b.Alloc(x.DType(), x.Dim(0), at.Dim(1), x.Dim(2))
		if err != nil {
			return err
		}
		defer rows.Release()
		if err := take(o, b, x, at, rows); err != nil {
			return err
		}
		x = rows
	}
	if err := (&Linear{}).Run(b, []*tensor.Tensor{x, in[1], in[2]}, out); err != nil || o.SoftCap == 0 {
		return err
	}
	return b.Launch(&SoftCapKernel{out[0], out[0], o.SoftCap})
}

// Cost implements Costed.
func (o *Unembed) Cost(in, out []Type) Cost {
	c := (&Linear{}).Cost(in, out)
	if o.SoftCap > 0 {
		c.Operations += out[0].Len()
	}
	if !in[3].Absent() {
		c.Scratch = in[0].DType.Size() * out[0].Dim(0) * out[0].Dim(1) * in[0].Dim(2)
	}
	return c
}
