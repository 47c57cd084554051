// A model's tokenizer behind the interfaces of github.com/sugarme/tokenizer.
package gotests_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	sugarme "github.com/sugarme/tokenizer"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
)

// words is a tokenizer of words for the tiny model's 20 ids; "<eot>" is found within words too.
const words = `{
	"added_tokens": [{"id": 0, "content": "<eot>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
	"normalizer": {"type": "Lowercase"},
	"pre_tokenizer": {"type": "Whitespace"},
	"model": {"type": "WordLevel", "unk_token": "?", "vocab": {"<eot>": 0, "?": 1, "the": 2, "capital": 3, "of": 4, "france": 5, "is": 6, "paris": 7}}
}`

// openWithWords is the tiny model with that tokenizer beside its weights.
func openWithWords() (*model.Model, error) {
	dir, err := os.MkdirTemp("", "tiny-model-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := writeModel(dir); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(words), 0o600); err != nil {
		return nil, err
	}
	return model.Open(context.Background(), dir, model.Options{Name: "tiny"})
}

// A function that was written for sugarme's tokenizers is given a model's.
func Example_sugarme() {
	// count is such a function.
	count := func(t *sugarme.Tokenizer, text string) (map[string]int, error) {
		e, err := t.EncodeSingle(text)
		if err != nil {
			return nil, err
		}
		counts := map[string]int{}
		for _, token := range e.Tokens {
			counts[token]++
		}
		return counts, nil
	}
	m, err := openWithWords()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	counts, err := count(m.Tokenizer().Sugarme(), "The capital of the capital<eot>is Paris")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(counts)
	// Output: map[<eot>:1 capital:2 is:1 of:1 paris:1 the:2]
}

func TestSugarmeOfAModel(t *testing.T) {
	m, err := openWithWords()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	own := m.Tokenizer()
	var (
		vocabulary sugarme.Model         = own.SugarmeModel()
		cuts       sugarme.PreTokenizer  = own.SugarmePreTokenizer()
		joins      sugarme.Decoder       = own.SugarmeDecoder()
		frames     sugarme.PostProcessor = own.SugarmePostProcessor()
	)
	parts := sugarme.NewTokenizer(vocabulary)
	parts.WithNormalizer(own.SugarmeNormalizer())
	parts.WithPreTokenizer(cuts)
	parts.WithDecoder(joins)
	parts.WithPostProcessor(frames)
	const text = "The capital of France is"
	whole, err := own.Sugarme().EncodeSingle(text)
	if err != nil {
		t.Fatal(err)
	}
	inParts, err := parts.EncodeSingle(text)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := m.Tokens(text, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Release()
	if want := []int{2, 3, 4, 5, 6}; !slices.Equal(whole.Ids, want) || !slices.Equal(inParts.Ids, want) || len(tokens.Int64s()) != len(want) {
		t.Errorf("whole %v, in parts %v, of the model %v, want %v", whole.Ids, inParts.Ids, tokens.Int64s(), want)
	}

	// what sugarme encoded is what the model runs on
	ids := make([]int64, len(whole.Ids))
	for i, id := range whole.Ids {
		ids[i] = int64(id)
	}
	in, err := ask(ids...)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Tokens.Release()
	r, err := m.Forward(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	next := best(r.Output)
	if token, ok := own.Sugarme().IdToToken(next); ok != (next < 8) {
		t.Errorf("token %d is %q", next, token)
	}
}
