// Tokenizers made of others: with more added tokens, or with other tokens around a text. They share
// the model, whose memory is what counts, and leave the first as it was.

package tokenizer

import (
	"fmt"
	"maps"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// clone is a set that can be added to without changing the first.
func (a *addedTokens) clone() *addedTokens {
	return &addedTokens{
		byText: maps.Clone(a.byText), byID: maps.Clone(a.byID), special: maps.Clone(a.special),
		normalizedText: maps.Clone(a.normalizedText),
	}
}

// WithTokens is the tokenizer with further added tokens, and the number of those that it did not have
// in that form. Their ids are not looked at: a token of the vocabulary keeps its own, others get the
// next free ones.
func (t *Tokenizer) WithTokens(tokens []AddedToken) (*Tokenizer, int, error) {
	next := *t
	next.added = t.added.clone()
	changed, err := next.added.addCounted(tokens, t.model, t.normalizer)
	if err == nil {
		err = next.settle()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("tokenizer: adding tokens: %w", err)
	}
	return &next, changed, nil
}

// WithTemplate is the tokenizer with another post-processor: one that puts bos before each text and
// eos after it; "" for none. Both must be tokens.
func (t *Tokenizer) WithTemplate(bos, eos string) (*Tokenizer, error) {
	for _, s := range []string{bos, eos} {
		if _, ok := t.TokenToID(s); !ok && s != "" {
			return nil, fmt.Errorf("tokenizer: the vocabulary has no token %s, which is put around texts", jsontext.Quote(s))
		}
	}
	next := *t
	next.setPost(t.templateAround(bos, eos))
	if err := next.settle(); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return &next, nil
}

// SpecialTokenCount is how many tokens the post-processor adds to a text, or to a pair.
func (t *Tokenizer) SpecialTokenCount(pair bool) int {
	if t.post == nil {
		return 0
	}
	return t.post.added(pair)
}

// HasPostProcessor says whether anything is done to encodings before they are handed out.
func (t *Tokenizer) HasPostProcessor() bool { return t.post != nil }
