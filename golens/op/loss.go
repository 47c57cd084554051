// Loss: the mean negative log likelihood of the next token. Kernels: "cross_entropy": logits, ids, out;
// "convert": from, to.
package op

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// CrossEntropy is −log softmax(logits)[:, :-1] at tokens[:, 1:]. logits are [batch, pos, vocab], tokens int64
// [batch, pos]; a mask int64 [batch, pos] keeps only pairs of which both tokens are real. The result is [] (the
// mean over kept pairs) or, with perToken, [batch, pos-1] with 0 for pairs that are not kept, of the logits' dtype;
// 16-bit logits are widened first, and the result rounded once.
func CrossEntropy(b backend.Backend, logits, tokens, mask *tensor.Tensor, perToken bool) (*tensor.Tensor, error) {
	if len(logits.Shape()) != 3 || len(tokens.Shape()) != 2 || tokens.Dim(0) != logits.Dim(0) || tokens.Dim(1) != logits.Dim(1) {
		return nil, fmt.Errorf("loss: %w: given logits %v and tokens %v, expected [batch, pos, vocab] and [batch, pos]", ErrShape, logits.Shape(), tokens.Shape())
	}
	if !logits.DType().Floating() || logits.Strides()[2] != 1 || !isIDs(tokens) {
		return nil, fmt.Errorf("loss: %w: given %s logits with strides %v and %s tokens with strides %v, expected a floating dtype with a dense last axis and contiguous int64",
			ErrShape, logits.DType(), logits.Strides(), tokens.DType(), tokens.Strides())
	}
	if mask != nil && (!sameShape(mask, tokens) || !isIDs(mask)) {
		return nil, fmt.Errorf("loss: %w: given a mask %s %v, expected contiguous int64 %v", ErrShape, mask.DType(), mask.Shape(), tokens.Shape())
	}
	if dt := logits.DType(); dt == tensor.Float16 || dt == tensor.BFloat16 {
		return narrowLoss(b, logits, tokens, mask, perToken)
	}
	batch, pairs, vocab := tokens.Dim(0), max(tokens.Dim(1)-1, 0), logits.Dim(2)
	targets, err := tensor.New(tensor.Int64, batch, pairs)
	if err != nil {
		return nil, err
	}
	defer targets.Release()
	for i := range batch {
		if pairs > 0 {
			copy(targets.Int64s()[i*pairs:(i+1)*pairs], tokens.Int64s()[i*(pairs+1)+1:])
		}
	}
	for _, id := range targets.Int64s() {
		if id < 0 || id >= int64(vocab) {
			return nil, fmt.Errorf("loss: %w: token id %d, the vocabulary has %d", ErrIndex, id, vocab)
		}
	}
	shifted, err := logits.View([]int{batch, pairs, vocab}, logits.Strides(), 0)
	if err != nil {
		return nil, err
	}
	defer shifted.Release()
	losses, err := b.Alloc(logits.DType(), batch, pairs)
	if err != nil {
		return nil, err
	}
	if err := b.Launch("cross_entropy", shifted, targets, losses); err != nil {
		losses.Release()
		return nil, err
	}
	kept := keepPairs(losses, mask)
	if perToken {
		return losses, nil
	}
	defer losses.Release()
	mean, err := tensor.New(losses.DType())
	if err != nil {
		return nil, err
	}
	sum := 0.0
	if losses.DType() == tensor.Float64 {
		for _, v := range losses.Float64s() {
			sum += v
		}
		mean.Float64s()[0] = sum / float64(kept)
		return mean, nil
	}
	for _, v := range losses.Float32s() {
		sum += float64(v)
	}
	mean.Float32s()[0] = float32(sum / float64(kept))
	return mean, nil
}

// narrowLoss is the loss of 16-bit logits.
func narrowLoss(b backend.Backend, logits, tokens, mask *tensor.Tensor, perToken bool) (*tensor.Tensor, error) {
	wide, err := b.Alloc(tensor.Float32, logits.Shape()...)
	if err != nil {
		return nil, err
	}
	defer wide.Release()
	if err := b.Launch("convert", logits, wide); err != nil {
		return nil, err
	}
	loss, err := CrossEntropy(b, wide, tokens, mask, perToken)
	if err != nil {
		return nil, err
	}
	defer loss.Release()
	rounded, err := b.Alloc(logits.DType(), loss.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := b.Launch("convert", loss, rounded); err != nil {
		rounded.Release()
		return nil, err
	}
	return rounded, nil
}

func zero(losses *tensor.Tensor, i int) {
	if losses.DType() == tensor.Float64 {
		losses.Float64s()[i] = 0
	} else {
		losses.Float32s()[i] = 0
	}
}

// keepPairs zeroes the losses of masked pairs and counts the others.
func keepPairs(losses, mask *tensor.Tensor) int {
	if mask == nil {
		return losses.Len()
	}
	kept, pairs := 0, losses.Dim(1)
	for i := range losses.Dim(0) {
		row := mask.Int64s()[i*(pairs+1):]
		for j := range pairs {
			if row[j] != 0 && row[j+1] != 0 {
				kept++
			} else {
				zero(losses, i*pairs+j)
			}
		}
	}
	return kept
}
