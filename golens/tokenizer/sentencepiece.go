// Tokenizers from SentencePiece vocabularies, in the forms that transformers gives them: Llama's, T5's,
// XLM-RoBERTa's, and a plain one for folders that name no class.

package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

const spaceMark = "▁"

// extraIDs is the number of T5's sentinels where nothing says how many there are.
const extraIDs = 100

// scoredMerges are the merges that a vocabulary implies: every way to make a token of two others,
// those of the best token first (of the lowest id where there are no scores).
func scoredMerges(tokens []string, vocab map[string]int32, scores map[string]float64) mergeList {
	type scored struct {
		pair    [2]string
		score   float64
		ids     [2]int32
		lengths [2]int
	}
	var all []scored
	for _, s := range tokens {
		score := float64(vocab[s])
		if scores != nil {
			score = -scores[s]
		}
		first := len(all)
		length := utf8.RuneCountInString(s)
		n := 0
		for i := range s {
			if i > 0 {
				a, okA := vocab[s[:i]]
				b, okB := vocab[s[i:]]
				if okA && okB {
					all = append(all, scored{pair: [2]string{s[:i], s[i:]}, score: score, ids: [2]int32{a, b}, lengths: [2]int{n, length - n}})
				}
			}
			n++
		}
		slices.SortStableFunc(all[first:], func(x, y scored) int {
			return cmp.Or(cmp.Compare(x.ids[0], y.ids[0]), cmp.Compare(x.ids[1], y.ids[1]))
		})
	}
	slices.SortStableFunc(all, func(x, y scored) int {
		by := cmp.Compare(x.score, y.score)
		if by == 0 {
			by = cmp.Or(cmp.Compare(x.lengths[0], y.lengths[0]), cmp.Compare(x.lengths[1], y.lengths[1]))
			if scores != nil {
				by = -by // with scores the whole order is turned round
			}
		}
		return by
	})
	out := make(mergeList, len(all))
	for i, m := range all {
		out[i] = m.pair
	}
	return out
}

// bpeFromTokens makes a byte-fallback BPE model; scores are nil to order merges by id.
func bpeFromTokens(tokens []string, scores map[string]float64, unk string, byteFallback bool) (*bpe, error) {
	vocab := make(map[string]int32, len(tokens))
	var once []string // each token where it first is, as its merges come
	for id, s := range tokens {
		if _, ok := vocab[s]; !ok {
			once = append(once, s)
		}
		vocab[s] = int32(id)
	}
	return newBPE(bpeConfig{
		vocab: vocab, merges: scoredMerges(once, vocab, scores), unk: unk, fuseUnk: true, byteFallback: byteFallback,
	})
}

// spaceRules are what a SentencePiece model says about spaces, apart from what its character map does.
type spaceRules struct {
	prefix bool // a text gets one in front
	trim   bool // those at the ends go, and of several one stays
	escape bool // they become marks
	suffix bool // a word ends with its mark
}

// Where a text that is cut by special tokens gets a space in front: each stretch, the first, or none.
const (
	prefixAlways = "always"
	prefixFirst  = "first"
	prefixNever  = "never"
)

// markedForm is SentencePiece's handling of spaces: they become marks, and one comes in front where scheme
// says so, also of a text that begins with spaces. Metaspace leaves those without (transformers'
// LlamaTokenizer so loses a space); here it is asked for a space that the text cannot begin with any more,
// and a second one makes it the mark.
func markedForm(charsmap []byte, trim bool, scheme string) form {
	var rules []component
	if len(charsmap) > 0 {
		rules = append(rules, precompiledOf(charsmap))
	}
	f := form{decoder: markedDecoder()}
	if scheme != prefixNever {
		f.pre = sequence(preTokenizersOf, metaspaceOf(" ", scheme, false), metaspaceOf(spaceMark, prefixNever, false))
		f.decoder = markedDecoder(component{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	switch {
	case !trim:
		rules = append(rules, replaceAll(" ", spaceMark))
	case scheme == prefixNever:
		rules = append(rules, replaceMatches(`\A +| +\z`, ""), replaceMatches(` {2,}`, " "), replaceAll(" ", spaceMark))
	default: // one space in front of the text is as good as the one that would be put there
		rules = append(rules, replaceMatches(` +\z`, ""), replaceMatches(` {2,}`, " "))
	}
	f.normalizer = sequence(normalizersOf, rules...)
	return f
}

// unigramForm is T5Tokenizer's and XLMRobertaTokenizer's.
func unigramForm(charsmap []byte) form {
	space := metaspaceOf(spaceMark, prefixAlways, true)
	return form{
		normalizer: precompiledOf(charsmap),
		pre:        sequence(preTokenizersOf, ofType("WhitespaceSplit"), space),
		decoder:    space,
	}
}

// specialPart is a part of a template: the token of a text, which the vocabulary must have.
func (t *Tokenizer) specialPart(text string, typeID int) (templatePart, error) {
	id, ok := t.TokenToID(text)
	if !ok {
		return templatePart{}, fmt.Errorf("tokenizer: the vocabulary has no token %s, which is put around texts", jsontext.Quote(text))
	}
	return templatePart{text: noText, ids: []int{id}, names: []string{text}, typeID: typeID}, nil
}

// setTextTemplate puts tokens around texts: before is "" for none. A second text is of type pairType
// and comes after between.
func (t *Tokenizer) setTextTemplate(before, after string, between []string, pairType int) error {
	var tp template
	add := func(to *[]templatePart, typeID int, texts ...string) error {
		for _, s := range texts {
			if s == "" {
				continue
			}
			part, err := t.specialPart(s, typeID)
			if err != nil {
				return err
			}
			*to = append(*to, part)
		}
		return nil
	}
	if err := add(&tp.single, 0, before); err != nil {
		return err
	}
	tp.single = append(tp.single, templatePart{text: 0})
	if err := add(&tp.single, 0, after); err != nil {
		return err
	}
	tp.pair = slices.Clone(tp.single)
	if err := add(&tp.pair, 0, between...); err != nil {
		return err
	}
	tp.pair = append(tp.pair, templatePart{text: 1, typeID: pairType})
	if err := add(&tp.pair, pairType, after); err != nil {
		return err
	}
	t.setPost(tp)
	return nil
}

// addPieces makes added tokens of control pieces and of those that users defined.
func (t *Tokenizer) addPieces(m *sentencePieceModel) error {
	var tokens []AddedToken
	for _, p := range m.pieces {
		if p.kind == pieceControl || p.kind == pieceUserDefined {
			tokens = append(tokens, AddedToken{Content: p.text, Special: p.kind == pieceControl})
			t.special.Extra = append(t.special.Extra, p.text) // of whichever kind: so transformers has it
		}
	}
	return t.added.add(tokens, t.model, t.normalizer)
}

// scoredPieces are the pieces from an index on.
func (m *sentencePieceModel) scoredPieces(from int) []scoredToken {
	var out []scoredToken
	for _, p := range m.pieces[min(from, len(m.pieces)):] {
		out = append(out, p.scoredToken)
	}
	return out
}

func (m *sentencePieceModel) texts() []string {
	out := make([]string, len(m.pieces))
	for i, p := range m.pieces {
		out[i] = p.text
	}
	return out
}

// form is what the model itself says of spaces and characters, with another scheme for the space in front
// where the files beside it want that ("" for the model's own).
func (m *sentencePieceModel) form(scheme string) (form, error) {
	if !m.spaces.escape || m.spaces.suffix {
		return form{}, fmt.Errorf("SentencePiece model whose words end with their space, or that keeps spaces as they are: %w", ErrUnsupported)
	}
	if scheme == "" {
		scheme = prefixFirst
		if !m.spaces.prefix {
			scheme = prefixNever
		}
	}
	return markedForm(m.charsmap, m.spaces.trim, scheme), nil
}

// plain is the form for folders whose class says nothing: SentencePiece's own.
func (m *sentencePieceModel) plain() (*Tokenizer, error) {
	f, err := m.form("")
	if err != nil {
		return nil, err
	}
	var model model
	switch m.kind {
	case sentencePieceUnigram:
		pieces := m.scoredPieces(0)
		for i := range pieces { // transformers copies a tokenizer of no class of its own by way of JSON
			pieces[i].score = throughJSON(pieces[i].score)
		}
		model, err = newUnigram(pieces, m.unk, m.byteFallback)
	case sentencePieceBPE:
		model, err = bpeFromTokens(m.texts(), nil, m.unkPiece, m.byteFallback)
	default:
		err = fmt.Errorf("SentencePiece model type %d: %w (known: 1 unigram, 2 bpe)", m.kind, ErrUnsupported)
	}
	if err != nil {
		return nil, err
	}
	return f.around(model)
}
