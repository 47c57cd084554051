// Extend: the keys or values of new tokens behind those of earlier ones (a KV cache). It uses the backend's Copy.
package op

import (
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Extend takes past [batch, p, kv_head, d_head] and room [batch, p + n, kv_head, d_head], both optional, and new
// [batch, n, kv_head, d_head], and gives all [batch, p + n, kv_head, d_head].
//
// Without a past it is new itself. With room, memory whose first p positions are the past, new is written behind
// them and all is the room: nothing else is copied. It is the one operation that writes to an input, and only where
// whoever lent the room lets nobody else look. Without room both are copied into memory of their own.
type Extend struct{}

// Inputs of Extend, in order.
const (
	ExtendPast = iota
	ExtendRoom
	ExtendNew
)

// Name implements Op.
func (*Extend) Name() string { return "extend" }

// Alias implements Aliaser.
func (*Extend) Alias(in []Type) []int {
	switch {
	case in[ExtendPast].Absent():
		return []int{ExtendNew}
	case !in[ExtendRoom].Absent():
		return []int{ExtendRoom}
	}
	return []int{-1}
}

// Infer implements Op.
func (o *Extend) Infer(in []Type) ([]Type, error) {
	past, room, added := in[ExtendPast], in[ExtendRoom], in[ExtendNew]
	if past.Absent() {
		return []Type{added}, nil
	}
	fits := past.Rank() == 4 && added.Rank() == 4 && past.DType == added.DType &&
		past.Dim(0) == added.Dim(0) && past.Dim(2) == added.Dim(2) && past.Dim(3) == added.Dim(3)
	if !fits {
		return nil, shapeError(o, in, "past and new keys or values of one dtype, [batch, pos, kv_head, d_head], alike but for pos")
	}
	all := slices.Clone(past.Shape)
	all[1] += added.Dim(1)
	if !room.Absent() && (room.DType != past.DType || !slices.Equal(room.Shape, all)) {
		return nil, shapeError(o, in, "room for %d positions: a hook that changes how many positions there are cannot be combined with a KV cache that grows", all[1])
	}
	return one(past.DType, all)
}

// Run implements Op.
func (*Extend) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	past, room, added := in[ExtendPast], in[ExtendRoom], in[ExtendNew]
	if past == nil {
		return nil
	}
	if room == nil {
		if err := CopyBehind(b, out[0], 0, past); err != nil {
			return err
		}
	}
	return CopyBehind(b, out[0], past.Dim(1), added)
}

// Cost implements Costed.
func (*Extend) Cost(_, _ []Type) Cost { return Cost{} }

// CopyBehind copies t [batch, n, kv_head, d_head] into the positions of all from first on.
func CopyBehind(b backend.Backend, all *tensor.Tensor, first int, t *tensor.Tensor) error {
	if t.Len() == 0 {
		return nil
	}
	at, err := all.View(t.Shape(), all.Strides(), first*all.Strides()[1])
	if err != nil {
		return err
	}
	defer at.Release()
	return b.Copy(at, t)
}
