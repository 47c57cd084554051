// Loss: the mean negative log likelihood of the next token. Kernels "cross_entropy", "mean" and "convert".
package op

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// CrossEntropy is −log softmax(logits)[:, :-1] at tokens[:, 1:]. logits are [batch, pos, vocab], or [batch, pos-1, vocab]
// without those behind the last token, which predict nothing that is known; tokens are int64 [batch, pos]; a mask int64 [batch, pos] (optional) keeps only pairs of which both tokens are real. The result is []
// (the mean over kept pairs) or, with PerToken, [batch, pos-1] with 0 for pairs that are not kept, of the logits'
// dtype; 16-bit logits are widened first, and the result rounded once.
type CrossEntropy struct{ PerToken bool }

// CrossEntropyKernel is Out[i, j] = −log softmax(Logits[i, j])[Targets[i, j]], or 0 where Kept[i, j] is. Logits
// [batch, pairs, vocab] may have strides; Targets int64 and Kept uint8 [batch, pairs] (nil: all) are on the host.
type CrossEntropyKernel struct{ Logits, Targets, Kept, Out *tensor.Tensor }

// MeanKernel is Out = the sum of X, in order and in float64, divided by Count.
type MeanKernel struct {
	X, Out *tensor.Tensor
	Count  int
}

// ConvertKernel is Out = X in Out's floating dtype, rounded to nearest, ties to even; X may have strides.
type ConvertKernel struct{ X, Out *tensor.Tensor }

// Name implements Op.
func (*CrossEntropy) Name() string { return "loss" }

// Infer implements Op.
func (o *CrossEntropy) Infer(in []Type) ([]Type, error) {
	logits, tokens, mask := in[0], in[1], in[2]
	fits := logits.Rank() == 3 && logits.DType.Floating() && isIDs(tokens) && tokens.Dim(0) == logits.Dim(0) &&
		(tokens.Dim(1) == logits.Dim(1) || tokens.Dim(1) == logits.Dim(1)+1)
	if !fits {
		return nil, shapeError(o, in, "logits [batch, pos or pos-1, vocab] of a floating dtype, and contiguous int64 tokens [batch, pos]")
	}
	if !mask.Absent() && (!sameShape(mask, tokens) || !isIDs(mask)) {
		return nil, shapeError(o, in, "a contiguous int64 mask %v", tokens.Shape)
	}
	if o.PerToken {
		return one(logits.DType, []int{tokens.Dim(0), max(tokens.Dim(1)-1, 0)})
	}
	return one(logits.DType, []int{})
}

// Run implements Op.
func (o *CrossEntropy) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	logits, tokens, mask := in[0], in[1], in[2]
	if logits.Strides()[2] != 1 || !tokens.Contiguous() || (mask != nil && !mask.Contiguous()) {
		return fmt.Errorf("loss: %w: given logits with strides %v and tokens with strides %v, expected a dense last axis and contiguous ids (and mask)",
			ErrShape, logits.Strides(), tokens.Strides())
	}
	if dt := logits.DType(); dt == tensor.Float16 || dt == tensor.BFloat16 {
		return o.narrow(b, in, out[0])
	}
	targets, kept, count, err := pairs(tokens, mask, logits.Dim(2))
	if err != nil {
		return err
	}
	defer targets.Release()
	defer kept.Release()
	shifted, err := logits.View([]int{logits.Dim(0), targets.Dim(1), logits.Dim(2)}, logits.Strides(), 0)
	if err != nil {
		return err
	}
	defer shifted.Release()
	if o.PerToken {
		return b.Launch(&CrossEntropyKernel{shifted, targets, kept, out[0]})
	}
	losses, err := b.Alloc(logits.DType(), targets.Shape()...)
	if err != nil {
		return err
	}
	defer losses.Release()
	if err := b.Launch(&CrossEntropyKernel{shifted, targets, kept, losses}); err != nil {
		return err
	}
	return b.Launch(&MeanKernel{losses, out[0], count})
}

// narrow is the loss of 16-bit logits.
func (o *CrossEntropy) narrow(b backend.Backend, in []*tensor.Tensor, out *tensor.Tensor) error {
	logits, err := b.Alloc(tensor.Float32, in[0].Shape()...)
	if err != nil {
		return err
	}
	defer logits.Release()
	if err := b.Launch(&ConvertKernel{in[0], logits}); err != nil {
		return err
	}
	loss, err := b.Alloc(tensor.Float32, out.Shape()...)
	if err != nil {
		return err
	}
	defer loss.Release()
	if err := o.Run(b, []*tensor.Tensor{logits, in[1], in[2]}, []*tensor.Tensor{loss}); err != nil {
		return err
	}
	return b.Launch(&ConvertKernel{loss, out})
}

// Cost implements Costed.
func (o *CrossEntropy) Cost(in, out []Type) Cost {
	logits, tokens := in[0], in[1]
	c, size := Cost{Operations: 3 * logits.Len()}, logits.DType.Size()
	if size == 2 { // logits and loss in float32
		size = 4
		c.Scratch = size * (logits.Len() + out[0].Len())
	}
	if !o.PerToken {
		c.Scratch += size * tokens.Dim(0) * max(tokens.Dim(1)-1, 0)
	}
	return c
}

// pairs are the targets [batch, pairs], which of them are kept (nil: all) and how many.
func pairs(tokens, mask *tensor.Tensor, vocab int) (targets, kept *tensor.Tensor, count int, err error) {
	batch, n := tokens.Dim(0), max(tokens.Dim(1)-1, 0)
	if targets, err = tensor.New(tensor.Int64, batch, n); err != nil {
		return nil, nil, 0, err
	}
	for i := range batch {
		if n > 0 {
			copy(targets.Int64s()[i*n:(i+1)*n], tokens.Int64s()[i*(n+1)+1:])
		}
	}
	for _, id := range targets.Int64s() {
		if id < 0 || id >= int64(vocab) {
			targets.Release()
			return nil, nil, 0, fmt.Errorf("loss: %w: token id %d, the vocabulary has %d", ErrIndex, id, vocab)
		}
	}
	if mask == nil {
		return targets, nil, batch * n, nil
	}
	if kept, err = tensor.New(tensor.Uint8, batch, n); err != nil {
		targets.Release()
		return nil, nil, 0, err
	}
	for i := range batch {
		row, out := mask.Int64s()[i*(n+1):], kept.Uint8s()[i*n:(i+1)*n]
		for j := range out {
			if out[j] = 0; row[j] != 0 && row[j+1] != 0 {
				out[j] = 1
				count++
			}
		}
	}
	return targets, kept, count, nil
}

// Kernel implements backend.Kernel.
func (*CrossEntropyKernel) Kernel() string { return "cross_entropy" }

// Operands implements backend.Kernel.
func (k *CrossEntropyKernel) Operands() backend.Operands {
	return backend.Reads(&k.Logits, &k.Targets, &k.Kept).Writes(&k.Out)
}

// Kernel implements backend.Kernel.
func (*MeanKernel) Kernel() string { return "mean" }

// Operands implements backend.Kernel.
func (k *MeanKernel) Operands() backend.Operands { return backend.Reads(&k.X).Writes(&k.Out) }

// Kernel implements backend.Kernel.
func (*ConvertKernel) Kernel() string { return "convert" }

// Operands implements backend.Kernel.
func (k *ConvertKernel) Operands() backend.Operands { return backend.Reads(&k.X).Writes(&k.Out) }
