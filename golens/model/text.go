// Text: from text to a batch of ids and back, with BOS and truncation as language models want them.
package model

import (
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrNoTokenizer is returned by Tokens and String where no tokenizer was found beside the weights.
var ErrNoTokenizer = errors.New("model: no tokenizer was found beside the weights")

// Tokens encodes a text as ids [1, pos]: with the BOS token in front when prependBOS, and no longer than the
// context.
func (m *Model) Tokens(text string, prependBOS bool) (*tensor.Tensor, error) {
	if m.tokenizer == nil {
		return nil, m.noTokenizer()
	}
	ids, err := m.tokenizer.Encode(text, false)
	if err != nil {
		return nil, err
	}
	if bos := m.tokenizer.Special().BOS.ID; prependBOS && bos >= 0 {
		ids = append([]int{bos}, ids...)
	}
	if len(ids) > m.Spec.NCtx {
		ids = ids[:m.Spec.NCtx]
	}
	t, err := tensor.New(tensor.Int64, 1, len(ids))
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		t.Int64s()[i] = int64(id)
	}
	return t, nil
}

func (m *Model) noTokenizer() error {
	if m.tokenizerErr != nil {
		return fmt.Errorf("%w that can be read: %w", ErrNoTokenizer, m.tokenizerErr)
	}
	return ErrNoTokenizer
}

// String decodes ids, special tokens included.
func (m *Model) String(ids []int) (string, error) {
	if m.tokenizer == nil {
		return "", m.noTokenizer()
	}
	return m.tokenizer.Decode(ids, false)
}
