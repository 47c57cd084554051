// The models WordPiece (Schuster and Nakajima 2012; BERT's) and WordLevel.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() {
	registerModel("WordPiece", newWordPieceFromJSON)
	registerModel("WordLevel", newWordLevelFromJSON)
}

// wordPiece cuts a word into the longest pieces that the vocabulary has, from the left. It is
// immutable but for its cache.
type wordPiece struct {
	vocabTable
	// continuing has the pieces that do not begin a word, without their prefix.
	continuing map[string]int32
	longest    int // bytes of the longest piece
	prefix     string
	unk        string
	maxChars   int
	cache      wordCache
}

// vocabConfig reads the members of a model that is a map of tokens; required are those that must be there.
func vocabConfig(raw json.RawMessage, required map[string]any) (vocabTable, error) {
	fields, err := jsonFields(raw)
	if err != nil {
		return vocabTable{}, err
	}
	for key, to := range required {
		if isNull(fields[key]) {
			return vocabTable{}, fmt.Errorf("expected %s", jsontext.Quote(key))
		}
		if err := jsontext.Unmarshal(fields[key], to); err != nil {
			return vocabTable{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	if isNull(fields["vocab"]) {
		return vocabTable{}, errors.New(`expected "vocab"`)
	}
	vocab, err := scanVocab(fields["vocab"])
	if err != nil {
		return vocabTable{}, err
	}
	return newVocabTable(vocab)
}

func newWordPieceFromJSON(raw json.RawMessage) (model, error) {
	var prefix, unk string
	var maxChars uint
	table, err := vocabConfig(raw, map[string]any{
		"unk_token": &unk, "continuing_subword_prefix": &prefix, "max_input_chars_per_word": &maxChars,
	})
	if err != nil {
		return nil, err
	}
	return newWordPiece(table, prefix, unk, int(min(maxChars, 1<<30))), nil
}

func newWordPiece(table vocabTable, prefix, unk string, maxChars int) *wordPiece {
	m := &wordPiece{vocabTable: table, prefix: prefix, unk: unk, maxChars: maxChars, continuing: map[string]int32{}}
	for s, id := range table.vocab {
		m.longest = max(m.longest, len(s))
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			m.continuing[rest] = id
		}
	}
	return m
}

func (m *wordPiece) tokenize(word string, dst []token) ([]token, error) {
	if found, ok := m.cache.get(word); ok {
		return append(dst, found...), nil
	}
	mark := len(dst)
	dst, ok := m.pieces(word, dst)
	if !ok {
		id, known := m.vocab[m.unk]
		if !known {
			return nil, missingUnknown(m.unk, word)
		}
		dst = append(dst[:mark], token{id, 0, int32(len(word))})
	}
	m.cache.put(word, dst[mark:])
	return dst, nil
}

func missingUnknown(unk, word string) error {
	return fmt.Errorf("tokenizer: unknown token %s is not in the vocabulary, needed for %s", jsontext.Quote(unk), jsontext.Quote(fmt.Sprintf("%.80s", word)))
}

func (m *wordPiece) kind() string { return "WordPiece" }

// pieces appends the pieces of word; ok is false when it cannot be made of pieces.
func (m *wordPiece) pieces(word string, dst []token) (out []token, ok bool) {
	if len(word) > m.maxChars && utf8.RuneCountInString(word) > m.maxChars {
		return dst, false
	}
	table := m.vocab
	for start := 0; start < len(word); table = m.continuing {
		end := min(len(word), start+m.longest)
		for end < len(word) && !utf8.RuneStart(word[end]) {
			end--
		}
		id := int32(noToken)
		for ; end > start; end-- {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			if found, ok := table[word[start:end]]; ok {
				id = found
				break
			}
		}
		if id == noToken {
			return dst, false
		}
		dst = append(dst, token{id, int32(start), int32(end)})
		start = end
	}
	return dst, true
}

// wordLevel has a token for each word that it knows.
type wordLevel struct {
	vocabTable
	unk string
}

func newWordLevelFromJSON(raw json.RawMessage) (model, error) {
	var unk string
	table, err := vocabConfig(raw, map[string]any{"unk_token": &unk})
	if err != nil {
		return nil, err
	}
	return &wordLevel{table, unk}, nil
}

func (m *wordLevel) kind() string { return "WordLevel" }

func (m *wordLevel) tokenize(word string, dst []token) ([]token, error) {
	id, ok := m.vocab[word]
	if !ok {
		if id, ok = m.vocab[m.unk]; !ok {
			return nil, missingUnknown(m.unk, word)
		}
	}
	return append(dst, token{id, 0, int32(len(word))}), nil
}
