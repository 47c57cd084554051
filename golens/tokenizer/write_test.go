package tokenizer

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// storedKinds are the names of the tokenizers in testdata.
func storedKinds(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".json.gz")
		var file map[string]json.RawMessage
		readJSON(t, readGzip(t, name+".json.gz"), &file)
		if file["model"] != nil && file["version"] != nil {
			names = append(names, name)
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d tokenizers are stored", len(names))
	}
	return names
}

// withoutOrder is JSON as values, so that the order of members and spaces do not count. What is null or
// empty is not told apart.
func withoutOrder(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var out map[string]any
	readJSON(t, raw, &out)
	model := out["model"].(map[string]any)
	for key, value := range model {
		if value == nil || value == "" {
			delete(model, key)
		}
	}
	return out
}

func TestWrittenAsRead(t *testing.T) {
	for _, name := range storedKinds(t) {
		t.Run(name, func(t *testing.T) {
			raw := readGzip(t, name+".json.gz")
			tok, err := FromBytes(raw)
			if err != nil {
				t.Fatal(err)
			}
			written, err := tok.JSON(tok.StoredTruncation(), tok.StoredPadding())
			if err != nil {
				t.Fatal(err)
			}
			got, want := withoutOrder(t, written), withoutOrder(t, raw)
			for key := range want {
				if key != "model" && !reflect.DeepEqual(got[key], want[key]) {
					t.Errorf("%s is written as %v\nwant %v", key, got[key], want[key])
				}
			}
			again, err := FromBytes(written)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again.Vocab(), tok.Vocab()) {
				t.Error("the vocabulary is another")
			}
			if u, ok := tok.model.(*unigram); ok && !reflect.DeepEqual(again.model.(*unigram).scores, u.scores) {
				t.Error("the scores are others")
			}
			if b, ok := tok.model.(*bpe); ok && !reflect.DeepEqual(again.model.(*bpe).rankedMerges(), b.rankedMerges()) {
				t.Error("the merges are others")
			}
			twice, err := again.JSON(tok.StoredTruncation(), tok.StoredPadding())
			if err != nil || !bytes.Equal(twice, written) {
				t.Errorf("written again it is other text: %v", err)
			}
		})
	}
}

func TestWrittenWithChanges(t *testing.T) {
	tok := load(t, "gpt2")
	tok, _, err := tok.WithTokens([]AddedToken{{Content: "<new> & \u2028", LStrip: true}, {Content: "<s>", Special: true}})
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = tok.WithTemplate("<s>", "<|endoftext|>"); err != nil {
		t.Fatal(err)
	}
	cut, fill := &Truncation{MaxLength: 7, Stride: 1, Strategy: OnlyFirst, Side: "left"}, &Padding{Length: 9, ID: 3, Token: "x", Side: "left"}
	written, err := tok.JSON(cut, fill)
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromBytes(written)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.StoredTruncation(); got.MaxLength != 7 || got.Stride != 1 || got.Strategy != OnlyFirst || got.Side != "left" {
		t.Errorf("truncation is %+v", got)
	}
	if got := again.StoredPadding(); !reflect.DeepEqual(got, fill) {
		t.Errorf("padding is %+v, want %+v", got, fill)
	}
	for _, text := range []string{"a <new> & \u2028b<s>", "", "the water"} {
		got, errGot := again.EncodePair(text, "b", Options{AddSpecial: true})
		want, errWant := tok.EncodePair(text, "b", Options{AddSpecial: true})
		if errGot != nil || errWant != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v\nwant %+v, %v", text, got, errGot, want, errWant)
		}
	}
}

func TestScoresAreWrittenExactly(t *testing.T) {
	missed := 0
	for i := range 2000 {
		f, err := parseLikeSerde("-" + string("123456789"[i%9]) + ".0987654321234" + string("0123456789"[i%10]) + "e" + []string{"0", "1", "-3"}[i%3])
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseLikeSerde(scoreText(f)); err != nil || back != f {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of 2000 numbers that were read are not read again from what is written", missed)
	}
}
