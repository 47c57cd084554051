// Tokenizers from SentencePiece vocabularies, in the forms that transformers gives them: Llama's, T5's,
// XLM-RoBERTa's, and a plain one for folders that name no class.

package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

const spaceMark = "▁"

// extraIDs is the number of T5's sentinels.
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

// llamaForm is LlamaTokenizer's: spaces become marks, and one comes first where scheme says so.
func llamaForm(scheme string) form {
	f := form{pre: metaspaceOf(scheme, false), decoder: markedDecoder()}
	if scheme != "never" {
		f.decoder = markedDecoder(component{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	return f
}

// unigramForm is T5Tokenizer's and XLMRobertaTokenizer's.
func unigramForm(charsmap []byte) form {
	space := metaspaceOf("always", true)
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
		return templatePart{}, fmt.Errorf("tokenizer: the vocabulary has no token %q, which is put around texts", text)
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

// plain is the form for folders whose class says nothing.
func (m *sentencePieceModel) plain() (*Tokenizer, error) {
	marked := replaceAll(" ", spaceMark)
	f := form{normalizer: sequence(normalizersOf, marked), decoder: sequence(decodersOf, replaceAll(spaceMark, " "))}
	if len(m.charsmap) > 0 {
		f.normalizer = sequence(normalizersOf, precompiledOf(m.charsmap), marked)
	}
	if m.byteFallback {
		f.decoder = markedDecoder()
	}
	var model model
	var err error
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
