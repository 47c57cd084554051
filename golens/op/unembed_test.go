// Tests of positions that are wanted.
package op_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestTake(t *testing.T) {
	b := newBench(t)
	x := b.normal(2, 5, 3)
	for _, c := range []struct {
		at   []int64
		rows int
	}{{[]int64{4, 0, 4}, 1}, {[]int64{1, 2, 3, 0, 0, 4}, 2}} {
		b.near(b.run(&op.Take{}, x, b.ids(c.at, c.rows, 3)), []int{2, 3, 3}, 0, func(i []int) float64 {
			return at(x, i[0], int(c.at[i[0]%c.rows*3+i[1]]), i[2])
		})
	}
	placed := b.place(x)
	all, err := op.Apply(current, &op.Take{}, placed, nil)
	if err != nil || all[0] != placed {
		t.Errorf("all positions were copied, %v", err)
	}
	all[0].Release()
	for _, bad := range []int64{-1, 5} {
		if _, err := b.apply(&op.Take{}, x, b.ids([]int64{bad}, 1, 1)); !errors.Is(err, op.ErrIndex) {
			t.Errorf("position %d: error %v", bad, err)
		}
	}
	if _, err := b.apply(&op.Take{}, x, b.ids([]int64{1, 2, 3}, 3, 1)); !errors.Is(err, op.ErrShape) {
		t.Errorf("positions of another batch: error %v", err)
	}
}

// TestUnembedIsItsSteps, bit for bit, in every dtype and for few positions and many.
func TestUnembedIsItsSteps(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16, tensor.Float16} {
		for _, limit := range []float64{0, 1.5} {
			b := newBench(t)
			as := b.as(dt)
			x, w, bias := as(b.normal(2, 70, 24)), as(b.transposed(24, 61)), as(b.normal(61))
			for _, positions := range []*tensor.Tensor{nil, b.ids([]int64{69}, 1, 1), b.ids([]int64{3, 68}, 2, 1), b.ids(make([]int64, 80), 1, 80)} {
				logits := b.run(&op.Linear{}, x, w, bias)
				if limit > 0 {
					logits = b.run(&op.SoftCap{Limit: limit}, logits)
				}
				b.sameBits(fmt.Sprintf("limit %g, at %v", limit, op.TypeOf(positions)),
					b.run(&op.Unembed{SoftCap: limit}, x, w, bias, positions), b.run(&op.Take{}, logits, positions))
			}
		}
	}
}
