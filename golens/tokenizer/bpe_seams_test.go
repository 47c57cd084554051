package tokenizer

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// TestSeams makes sure that long words give the tokens that merging them in one piece gives.
func TestSeams(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	bits := strings.Split("▁the▁,▁,of,▁▁,and,ing,é,ß,中,文,😀,\u0301,\x00,ab,ba,▁a,1,23,.,'s,\n,Z,<0x41>", ",")
	for _, name := range []string{"llama2", "llama2_first", "gemma", "gpt2", "llama3"} {
		m := load(t, name).model.(*bpe)
		for range 300 {
			var word strings.Builder
			for range 20 + rng.IntN(200) {
				word.WriteString(bits[rng.IntN(len(bits))])
			}
			whole, errWhole := m.mergeCached(word.String(), nil)
			parts, errParts := m.tokenizeLong(word.String(), nil)
			if !reflect.DeepEqual(whole, parts) || (errWhole == nil) != (errParts == nil) {
				t.Fatalf("%s: %q\nin parts %v, %v\nwhole %v, %v", name, word.String(), parts, errParts, whole, errWhole)
			}
		}
		if name == "llama2" && m.seams.touches.has('g', '▁') {
			t.Error("words that end with g do not fall apart from the next")
		}
	}
}

// TestNoSeamsWhereIDsAreShared has a merge whose token is spelled otherwise than what was merged.
func TestNoSeamsWhereIDsAreShared(t *testing.T) {
	m, err := newBPE(bpeConfig{vocab: map[string]int32{"a": 0, "b": 1, "ab": 2, "Z": 2}, merges: mergeList{{"a", "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	word := strings.Repeat("ab", longWord)
	if got, err := m.tokenize(word, nil); err != nil || len(got) != longWord {
		t.Errorf("%d tokens, %v: want %d", len(got), err, longWord)
	}
}
