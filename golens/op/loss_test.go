// Tests of the next-token loss.
package op_test

import (
	"errors"
	"math"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// loss is the operation's result on the host.
func (b *bench) loss(perToken bool, logits, tokens, mask *tensor.Tensor) *tensor.Tensor {
	b.t.Helper()
	return b.run(&op.CrossEntropy{PerToken: perToken}, logits, tokens, mask)
}

// negativeLogLikelihood of token id at logits[i, j].
func negativeLogLikelihood(logits *tensor.Tensor, i, j int, id int64) float64 {
	sum := 0.0
	for v := range logits.Dim(2) {
		sum += math.Exp(at(logits, i, j, v))
	}
	return math.Log(sum) - at(logits, i, j, int(id))
}

func TestCrossEntropy(t *testing.T) {
	b := newBench(t)
	logits := b.normal(2, 4, 9)
	tokens := b.ids([]int64{3, 8, 0, 2, 7, 7, 1, 5}, 2, 4)
	for _, mask := range [][]int64{nil, {1, 1, 1, 1, 1, 1, 1, 1}, {0, 1, 1, 1, 1, 0, 1, 1}, {0, 0, 0, 0, 1, 1, 0, 0}} {
		var m *tensor.Tensor
		if mask != nil {
			m = b.ids(mask, 2, 4)
		}
		sum, kept := 0.0, 0.0
		want := func(i []int) float64 {
			if mask != nil && (mask[i[0]*4+i[1]] == 0 || mask[i[0]*4+i[1]+1] == 0) {
				return 0
			}
			return negativeLogLikelihood(logits, i[0], i[1], tokens.Int64s()[i[0]*4+i[1]+1])
		}
		each := b.loss(true, logits, tokens, m)
		b.near(each, []int{2, 3}, tolerance, func(i []int) float64 {
			v := want(i)
			sum += v
			if v != 0 {
				kept++
			}
			return v
		})
		mean := b.loss(false, logits, tokens, m)
		b.near(mean, []int{}, tolerance, func([]int) float64 { return sum / kept })
	}
}

// TestLossWithoutTheLastLogits: those behind the last token are not looked at.
func TestLossWithoutTheLastLogits(t *testing.T) {
	b := newBench(t)
	logits := b.normal(2, 5, 9)
	tokens := b.ids([]int64{1, 2, 3, 4, 5, 6, 7, 8, 0, 1}, 2, 5)
	fewer := b.run(&op.Take{}, logits, b.ids([]int64{0, 1, 2, 3}, 1, 4))
	for _, perToken := range []bool{false, true} {
		o := &op.CrossEntropy{PerToken: perToken}
		b.sameBits("without the last", b.run(o, fewer, tokens, nil), b.run(o, logits, tokens, nil))
	}
}

func TestLossOfStridedLogits(t *testing.T) {
	b := newBench(t)
	wide := b.normal(2, 3, 12)
	logits := b.own(wide.View([]int{2, 3, 9}, wide.Strides(), 0))
	tokens := b.ids([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
	b.near(b.loss(true, logits, tokens, nil), []int{2, 2}, tolerance, func(i []int) float64 {
		return negativeLogLikelihood(logits, i[0], i[1], tokens.Int64s()[i[0]*3+i[1]+1])
	})
}

func TestLossWithoutPairs(t *testing.T) {
	b := newBench(t)
	one := b.loss(false, b.normal(1, 1, 9), b.ids([]int64{3}, 1, 1), nil)
	if v := one.Float32s()[0]; v == v {
		t.Errorf("the loss of one token is %g, want NaN", v)
	}
	none := b.loss(true, b.normal(1, 0, 9), b.ids(nil, 1, 0), nil)
	if none.Len() != 0 {
		t.Errorf("no token has losses %v", none.Float32s())
	}
}

func TestLossRefusals(t *testing.T) {
	b := newBench(t)
	logits, tokens := b.normal(2, 3, 9), b.ids([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
	turned := b.own(logits.View([]int{2, 3, 9}, []int{1, 2, 6}, 0))
	gaps := b.own(b.ids(make([]int64, 12), 2, 6).View([]int{2, 3}, []int{6, 2}, 0))
	for name, c := range map[string]struct {
		logits, tokens, mask *tensor.Tensor
		is                   error
	}{
		"positions":        {logits, b.ids([]int64{1, 2}, 2, 1), nil, op.ErrShape},
		"rank":             {b.normal(6, 9), tokens, nil, op.ErrShape},
		"strided logits":   {turned, tokens, nil, op.ErrShape},
		"integer logits":   {b.ids(make([]int64, 54), 2, 3, 9), tokens, nil, op.ErrShape},
		"float tokens":     {logits, b.normal(2, 3), nil, op.ErrShape},
		"tokens with gaps": {logits, gaps, nil, op.ErrShape},
		"mask":             {logits, tokens, b.ids([]int64{1, 1}, 1, 2), op.ErrShape},
		"byte mask":        {logits, tokens, b.bytes(nil, 2, 3), op.ErrShape},
		"id":               {logits, b.ids([]int64{1, 9, 3, 4, 5, 6}, 2, 3), nil, op.ErrIndex},
		"negative id":      {logits, b.ids([]int64{1, -100, 3, 4, 5, 6}, 2, 3), nil, op.ErrIndex},
	} {
		if _, err := b.apply(&op.CrossEntropy{}, c.logits, c.tokens, c.mask); !errors.Is(err, c.is) {
			t.Errorf("%s: error %v, want %v", name, err, c.is)
		}
	}
}
