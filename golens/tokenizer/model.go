// Models turn a word into tokens. This file has the interface and the kinds' registry; each kind is a
// file of its own that registers itself.

package tokenizer

import (
	"bytes"
	"encoding/json"
)

// token is one token of a word: its id and the bytes of the word that it covers.
type token struct {
	id         int32
	start, end int32
}

// model turns words into tokens. It must be safe for concurrent use.
type model interface {
	// tokenize appends the tokens of word to dst.
	tokenize(word string, dst []token) ([]token, error)
	tokenID(s string) (int32, bool)
	tokenText(id int32) (string, bool)
	// vocabulary is the model's own map; callers must not write to it.
	vocabulary() map[string]int32
	// size is the number of entries of the vocabulary, one that is there twice counted twice.
	size() int
	kind() string // as tokenizer.json names it
	// write writes the model as tokenizer.json has it.
	write(to *bytes.Buffer)
}

// surfaceTexter is implemented by models whose tokens may read differently than their vocabulary: an
// unknown token stands for the text itself.
type surfaceTexter interface {
	surfaceText(tok token, word string) string
}

var models = map[string]func(json.RawMessage) (model, error){}

func registerModel(kind string, build func(json.RawMessage) (model, error)) {
	models[kind] = build
}
