package tokenizer

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	sugarme "github.com/sugarme/tokenizer"
)

// TestBehindSugarme runs our components inside sugarme's own tokenizer.
func TestBehindSugarme(t *testing.T) {
	for _, name := range []string{"gpt2", "smollm", "llama3", "qwen2", "bert", "bert_cased", "words", "roberta", "t5", "t5_nfkc"} {
		tok := load(t, name)
		theirs := sugarme.NewTokenizer(tok.SugarmeModel())
		theirs.WithNormalizer(tok.SugarmeNormalizer())
		theirs.WithPreTokenizer(tok.SugarmePreTokenizer())
		theirs.WithDecoder(tok.SugarmeDecoder())
		theirs.WithPostProcessor(tok.SugarmePostProcessor())
		for _, text := range []string{"Hello world's  x\n\n 123", "naïve café", "e\u0301 a\u030a!", "def f(x):\n    return x", "中文 한국어 Привет", "don't DON'T  \t stop"} {
			want, err := tok.Encode(text, true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := theirs.EncodeSingle(text, true)
			if err != nil {
				t.Fatalf("%s: %q: %v", name, text, err)
			}
			if !reflect.DeepEqual(got.Ids, want) {
				t.Errorf("%s: %q: %v, want %v", name, text, got.Ids, want)
			}
			plain, _ := tok.Decode(want, false)
			if name == "llama3" {
				plain, _ = tok.Decode(want, true) // its BOS is beside the model, where sugarme does not look
			}
			if text := theirs.Decode(got.Ids, false); text != plain {
				t.Errorf("%s: decoded %q, want %q", name, text, plain)
			}
		}
	}
}

func TestSugarmeModel(t *testing.T) {
	m := load(t, "gpt2").SugarmeModel()
	if n := m.GetVocabSize(); n != len(m.GetVocab()) || n == 0 {
		t.Errorf("%d tokens, map of %d", n, len(m.GetVocab()))
	}
	if _, ok := m.IdToToken(-1); ok {
		t.Error("IdToToken(-1)")
	}
	id, ok := m.TokenToId("a")
	if back, _ := m.IdToToken(id); !ok || back != "a" {
		t.Errorf("a is %d is %q", id, back)
	}
	dir := t.TempDir()
	if err := m.Save(dir, "x"); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "x-vocab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vocab map[string]int
	readJSON(t, raw, &vocab)
	if !reflect.DeepEqual(vocab, m.GetVocab()) {
		t.Error("the saved vocabulary differs")
	}
	if err := m.Save(filepath.Join(dir, "missing")); err == nil {
		t.Error("saving into a folder that is not there")
	}
}
