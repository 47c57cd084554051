// The vocabulary of a model: tokens by text and by id. Used by the models, touches nothing else.

package tokenizer

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// maxTokenID bounds the tables that ids index; the largest vocabularies have some 2^18 tokens.
const maxTokenID = 1 << 24

// vocabTable is read-only once it is built.
type vocabTable struct {
	vocab map[string]int32
	texts []string // by id
	known []bool   // by id
}

// newVocabTable takes over the map.
func newVocabTable(vocab map[string]int32) (vocabTable, error) {
	top := int32(-1)
	for s, id := range vocab {
		if id < 0 || id >= maxTokenID {
			return vocabTable{}, fmt.Errorf("token %s has id %d: expected 0 to %d", jsontext.Quote(s), id, maxTokenID-1)
		}
		top = max(top, id)
	}
	v := vocabTable{vocab: vocab, texts: make([]string, top+1), known: make([]bool, top+1)}
	for s, id := range vocab {
		if v.known[id] && v.texts[id] < s {
			continue // two tokens with one id: which of them decoding gives must not depend on map order
		}
		v.texts[id] = s
		v.known[id] = true
	}
	return v, nil
}

func (v *vocabTable) idOr(s string, otherwise int32) int32 {
	if id, ok := v.vocab[s]; ok {
		return id
	}
	return otherwise
}

func (v *vocabTable) tokenID(s string) (int32, bool) {
	id, ok := v.vocab[s]
	return id, ok
}

func (v *vocabTable) tokenText(id int32) (string, bool) {
	if id < 0 || int(id) >= len(v.texts) || !v.known[id] {
		return "", false
	}
	return v.texts[id], true
}

func (v *vocabTable) vocabulary() map[string]int32 { return v.vocab }

func (v *vocabTable) size() int { return len(v.vocab) }

// uniqueIDs says whether no two tokens have one id.
func (v *vocabTable) uniqueIDs() bool {
	n := 0
	for _, known := range v.known {
		if known {
			n++
		}
	}
	return n == len(v.vocab)
}
