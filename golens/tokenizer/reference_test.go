package tokenizer

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fullAnswer is an encoding of Hugging Face's with everything in it.
type fullAnswer struct {
	IDs         []int
	TypeIDs     []int `json:"type_ids"`
	Tokens      []string
	Offsets     []int
	Words       []int
	Attention   []int
	Special     []int
	Overflowing []fullAnswer
}

// batchAnswer is a batch with options; Encodings is nil where Hugging Face refuses it.
type batchAnswer struct {
	Truncation *Truncation
	Padding    *Padding
	Inputs     []json.RawMessage
	Special    bool
	Encodings  []fullAnswer
}

func (b batchAnswer) input(t *testing.T) []Input {
	var out []Input
	for _, raw := range b.Inputs {
		var in Input
		if raw[0] == '"' {
			readJSON(t, raw, &in.Text)
		} else {
			var pair [2]string
			readJSON(t, raw, &pair)
			in = Input{Text: pair[0], Pair: &pair[1]}
		}
		out = append(out, in)
	}
	return out
}

func asAnswer(e Encoding) fullAnswer {
	a := fullAnswer{IDs: e.IDs, TypeIDs: e.TypeIDs, Tokens: e.Tokens, Offsets: []int{}, Words: e.WordIDs, Attention: e.AttentionMask, Special: e.SpecialTokensMask}
	for _, o := range e.Offsets {
		a.Offsets = append(a.Offsets, o[0], o[1])
	}
	for _, o := range e.Overflowing {
		a.Overflowing = append(a.Overflowing, asAnswer(o))
	}
	return a
}

func sameAnswer(a, b fullAnswer) bool {
	if len(a.Overflowing) != len(b.Overflowing) {
		return false
	}
	for i := range a.Overflowing {
		if !sameAnswer(a.Overflowing[i], b.Overflowing[i]) {
			return false
		}
	}
	return equalIDs(a.IDs, b.IDs) && equalIDs(a.TypeIDs, b.TypeIDs) && equalIDs(a.Offsets, b.Offsets) && equalIDs(a.Words, b.Words) &&
		equalIDs(a.Attention, b.Attention) && equalIDs(a.Special, b.Special) && (len(a.Tokens) == 0 && len(b.Tokens) == 0 || reflect.DeepEqual(a.Tokens, b.Tokens))
}

func checkBatch(t *testing.T, tok *Tokenizer, b batchAnswer) {
	t.Helper()
	o := Options{AddSpecial: b.Special, Truncation: b.Truncation, Padding: b.Padding}
	got, err := tok.EncodeBatch(b.input(t), o)
	if b.Encodings == nil {
		if err == nil {
			t.Errorf("%s with %+v: no error", b.Inputs, b.Truncation)
		}
		return
	}
	if err != nil || len(got) != len(b.Encodings) {
		t.Errorf("%s with %+v: %d encodings, %v", b.Inputs, b.Truncation, len(got), err)
		return
	}
	for i := range got {
		if a := asAnswer(got[i]); !sameAnswer(a, b.Encodings[i]) {
			t.Errorf("%s with special %v, %+v, %+v:\n got %+v\nwant %+v", b.Inputs[i], b.Special, b.Truncation, b.Padding, a, b.Encodings[i])
			return
		}
	}
	o.IDsOnly = true
	lean, err := tok.EncodeBatch(b.input(t), o)
	for i := range lean {
		if !equalIDs(lean[i].IDs, got[i].IDs) || !equalIDs(lean[i].SpecialTokensMask, got[i].SpecialTokensMask) || lean[i].Tokens != nil {
			t.Errorf("%s: ids alone are %v, %v; with all else they are %v", b.Inputs[i], lean[i].IDs, err, got[i].IDs)
		}
	}
}

// TestReferenceFolder compares with what tests/py/parity/tokenizers_live.py wrote into the folder that
// TOKENIZER_REFERENCE names.
func TestReferenceFolder(t *testing.T) {
	dir := os.Getenv("TOKENIZER_REFERENCE")
	if dir == "" {
		t.Skip("TOKENIZER_REFERENCE names no folder; make parity runs this test")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.cases.gz"))
	if len(files) == 0 {
		t.Fatalf("%s has no cases", dir)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".cases.gz")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := FromFile(filepath.Join(dir, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			texts, batches := compareCases(t, tok, path)
			t.Logf("%d texts and %d batches", texts, batches)
			if texts == 0 {
				t.Error("no texts")
			}
		})
	}
}

func compareCases(t *testing.T, tok *Tokenizer, path string) (texts, batches int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(z)
	in.Buffer(nil, 1<<28)
	for in.Scan() && !t.Failed() {
		var row struct {
			Text  string
			Batch *batchAnswer
			answer
		}
		readJSON(t, in.Bytes(), &row)
		if row.Batch != nil {
			batches++
			checkBatch(t, tok, *row.Batch)
			continue
		}
		texts++
		check(t, tok, row.Text, row.answer)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return texts, batches
}
