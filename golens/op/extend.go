// Extend: the keys or values of new tokens behind those of earlier ones (a KV cache). Kernel "copy": src, dst.
package op

import (
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

// Forward implements Op.
func (o *Extend) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	past, room, added := in[ExtendPast], in[ExtendRoom], in[ExtendNew]
	if past == nil {
		return []*tensor.Tensor{added.Retain()}, nil
	}
	if err := o.check(in); err != nil {
		return nil, err
	}
	if room != nil {
		if err := putBehind(b, room, past.Dim(1), added); err != nil {
			return nil, err
		}
		return []*tensor.Tensor{room.Retain()}, nil
	}
	all, err := Joined(b, past, added)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{all}, nil
}

func (o *Extend) check(in []*tensor.Tensor) error {
	past, room, added := in[ExtendPast], in[ExtendRoom], in[ExtendNew]
	fits := len(past.Shape()) == 4 && len(added.Shape()) == 4 && past.DType() == added.DType() &&
		past.Dim(0) == added.Dim(0) && past.Dim(2) == added.Dim(2) && past.Dim(3) == added.Dim(3)
	if !fits {
		return shapeError(o, in, "past and new keys or values of one dtype, [batch, pos, kv_head, d_head], alike but for pos")
	}
	if room != nil && (room.DType() != past.DType() || len(room.Shape()) != 4 || room.Dim(1) != past.Dim(1)+added.Dim(1) || room.Dim(0) != past.Dim(0)) {
		return shapeError(o, in, "room for %d positions: a hook that changes how many positions there are cannot be combined with a KV cache that grows", past.Dim(1)+added.Dim(1))
	}
	return nil
}

// Joined copies past and added [batch, pos, kv_head, d_head] into one new tensor.
func Joined(b backend.Backend, past, added *tensor.Tensor) (*tensor.Tensor, error) {
	shape := past.Shape()
	all, err := b.Alloc(past.DType(), shape[0], shape[1]+added.Dim(1), shape[2], shape[3])
	if err != nil {
		return nil, err
	}
	if err = putBehind(b, all, 0, past); err == nil {
		err = putBehind(b, all, shape[1], added)
	}
	if err != nil {
		all.Release()
		return nil, err
	}
	return all, nil
}

// putBehind copies t into the positions of all from first on.
func putBehind(b backend.Backend, all *tensor.Tensor, first int, t *tensor.Tensor) error {
	if t.Len() == 0 {
		return nil
	}
	at, err := all.View(t.Shape(), all.Strides(), first*all.Strides()[1])
	if err != nil {
		return err
	}
	defer at.Release()
	return b.Launch("copy", t, at)
}

// Copied copies a tensor [batch, pos, kv_head, d_head] to the front of another that has as many positions or more.
func Copied(b backend.Backend, to, from *tensor.Tensor) error { return putBehind(b, to, 0, from) }
