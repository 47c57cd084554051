// Package tokenizer turns text into token ids and back, exactly as Hugging Face's tokenizers do.
//
// A tokenizer is read from a tokenizer.json, from a model folder or from the metadata of a GGUF file.
// Text runs through added tokens, normalizer, added tokens again, pre-tokenizer, model and
// post-processor; ids run through the decoder. Each kind of component registers itself under the name
// that tokenizer.json gives it; a kind that is not there is an error when the file is read.
//
// The package knows nothing of models and imports nothing else of this module.
package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrUnsupported is wrapped by every error about a component or an option that is known but that
// this package cannot do exactly.
var ErrUnsupported = errors.New("not supported")

// ErrNegativeID is wrapped by the error about an id below 0. Ids beyond the vocabulary are no error.
var ErrNegativeID = errors.New("no token id")

// Tokenizer is immutable once it is loaded, and safe for concurrent use.
type Tokenizer struct {
	added      *addedTokens
	normalizer normalizer
	pre        preTokenizer
	model      model
	post       postProcessor
	decoder    decoder
	special    Special
	truncation *Truncation
	padding    *Padding
	source     sources
	follow     bool // a component needs to know offsets even when the caller does not
	// cutter is what pre-tokenizes. Where reader is not nil it leaves the byte-level spelling out, since
	// that model reads bytes.
	cutter preTokenizer
	reader *bpe
}

// offsetsNeeder is implemented by components that work by the place of a piece in the source text.
type offsetsNeeder interface{ needsOffsets() bool }

func needsOffsets(p preTokenizer) bool {
	if s, ok := p.(preSequence); ok {
		for _, part := range s {
			if needsOffsets(part) {
				return true
			}
		}
	}
	n, ok := p.(offsetsNeeder)
	return ok && n.needsOffsets()
}

// Encode gives the ids of text. addSpecial asks for the tokens that the post-processor puts around
// it (BOS, EOS); special tokens written out in the text are recognised either way. Bytes that are not
// UTF-8 are read as U+FFFD. A truncation or padding stored in the file is not applied.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]int, error) {
	e, err := t.encode(text, addSpecial, detail{})
	return e.IDs, err
}

// EncodeOffsets is Encode together with the range of characters (Unicode code points of text, half
// open) that each token stands for; [0, 0) for tokens that the post-processor added.
func (t *Tokenizer) EncodeOffsets(text string, addSpecial bool) (ids []int, offsets [][2]int, err error) {
	e, err := t.encode(text, addSpecial, detail{texts: true})
	return e.IDs, e.Offsets, err
}

func (t *Tokenizer) encode(text string, addSpecial bool, d detail) (Encoding, error) {
	e, err := t.encodeRaw(text, d, false)
	if err != nil {
		return Encoding{}, err
	}
	return t.finish(d, []Encoding{e}, addSpecial), nil
}

// encodeRaw is a text's own tokens; splitSpecial has special tokens in it read as ordinary text.
func (t *Tokenizer) encodeRaw(text string, d detail, splitSpecial bool) (Encoding, error) {
	if len(text) > math.MaxInt32/4 {
		return Encoding{}, fmt.Errorf("tokenizer: text of %d bytes: at most %d", len(text), math.MaxInt32/4)
	}
	text = lossy(text)
	w := newTokenWriter(t, d, text)
	defer w.release()
	if err := t.cut(newPiece(text, d.texts || t.follow), splitSpecial, w.take); err != nil {
		return Encoding{}, err
	}
	if w.failed != nil {
		return Encoding{}, w.failed
	}
	return w.encoding(d), nil
}

// cut takes a text to the pieces that the model sees and the added tokens between them, and gives them to
// emit in order.
func (t *Tokenizer) cut(text piece, splitSpecial bool, emit func(piece)) error {
	var failed error
	cut := func(p piece) {
		if p.id != noToken || t.cutter == nil {
			emit(p)
		} else if p.text != "" && failed == nil {
			failed = t.cutter.preTokenize(p, emit)
		}
	}
	normalize := cut
	if t.normalizer != nil || t.added.norm != nil {
		normalize = func(p piece) {
			if p.id == noToken && p.text != "" && t.normalizer != nil && failed == nil {
				p, failed = t.normalizer.normalize(p)
			}
			if p.id != noToken || failed != nil {
				cut(p)
				return
			}
			t.added.split(p, t.added.norm, splitSpecial, cut)
		}
	}
	t.added.split(text, t.added.raw, splitSpecial, normalize)
	return failed
}

// Decode gives the text of ids; skipSpecial leaves special tokens out. Ids that the vocabulary does
// not have are left out too, as Hugging Face does; a negative one is an error. Bytes that do not make
// a character become U+FFFD. The clean-up of spaces that transformers knows is for WordPiece: it does
// not apply it to BPE whatever tokenizer_config.json says, and neither does this.
func (t *Tokenizer) Decode(ids []int, skipSpecial bool) (string, error) {
	tokens := make([]string, 0, len(ids))
	for i, id := range ids {
		if id < 0 {
			return "", fmt.Errorf("tokenizer: id %d at index %d: %w: expected 0 to %d", id, i, ErrNegativeID, t.VocabSize()-1)
		}
		s, ok := t.IDToDecoded(id)
		if ok && !(skipSpecial && t.added.special[s]) {
			tokens = append(tokens, s)
		}
	}
	return t.Join(tokens)
}

// Join gives the text that tokens, as the vocabulary spells them, stand for.
func (t *Tokenizer) Join(tokens []string) (string, error) {
	if t.decoder == nil {
		return strings.Join(tokens, " "), nil
	}
	parts, err := t.decoder.decodeChain(tokens)
	if err != nil {
		return "", err
	}
	return strings.Join(parts, ""), nil
}

// IDToDecoded is the string that the decoder gets for an id. It differs from IDToToken only for added
// tokens that the normalizer spells differently.
func (t *Tokenizer) IDToDecoded(id int) (string, bool) {
	if id < 0 || id > math.MaxInt32 {
		return "", false
	}
	if s, ok := t.added.text(int32(id)); ok {
		return s, true
	}
	return t.model.tokenText(int32(id))
}

// TokenToID is the id of a token as the vocabulary spells it ("Ġworld", not " world").
func (t *Tokenizer) TokenToID(s string) (int, bool) {
	if id, ok := t.added.byText[s]; ok {
		return int(id), true
	}
	id, ok := t.model.tokenID(s)
	return int(id), ok
}

// IDToToken is the token of an id, as the vocabulary spells it.
func (t *Tokenizer) IDToToken(id int) (string, bool) {
	if id < 0 || id > math.MaxInt32 {
		return "", false
	}
	if a, ok := t.added.byID[int32(id)]; ok {
		return a.Content, true
	}
	return t.model.tokenText(int32(id))
}

// VocabSize is the number of tokens, added ones included.
func (t *Tokenizer) VocabSize() int {
	n := t.model.size()
	for s := range t.added.byText {
		if _, ok := t.model.tokenID(s); !ok {
			n++
		}
	}
	return n
}

// ModelVocabSize is the number of tokens of the model's own vocabulary, without tokens added beside it.
func (t *Tokenizer) ModelVocabSize() int { return t.model.size() }

// ModelKind is the kind of the model as tokenizer.json names it: BPE, Unigram, WordPiece or WordLevel.
func (t *Tokenizer) ModelKind() string { return t.model.kind() }

// Vocab is a new map of all tokens, added ones included.
func (t *Tokenizer) Vocab() map[string]int {
	out := t.ModelVocab()
	for s, id := range t.added.byText {
		out[s] = int(id)
	}
	return out
}

// ModelVocab is a new map of the model's own tokens, without those added beside it.
func (t *Tokenizer) ModelVocab() map[string]int {
	out := make(map[string]int, len(t.model.vocabulary()))
	for s, id := range t.model.vocabulary() {
		out[s] = int(id)
	}
	return out
}

// AddedTokens lists the added tokens in the order of their ids.
func (t *Tokenizer) AddedTokens() []AddedToken {
	var out []AddedToken
	for _, id := range t.added.ids() {
		out = append(out, t.added.byID[id])
	}
	return out
}
