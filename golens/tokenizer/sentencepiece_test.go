package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// caseFiles are the stored cases of a name, and those that make parity has just written.
func caseFiles(name string) []string {
	paths := []string{filepath.Join("testdata", name)}
	if dir := os.Getenv("TOKENIZER_REFERENCE"); dir != "" {
		if path := filepath.Join(dir, name); fileExists(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readCases(t *testing.T, path string, to any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		t.Fatal(err)
	}
}

// TestFoldersLikeTransformers has folders with .model files and with vocab.txt.
func TestFoldersLikeTransformers(t *testing.T) {
	for _, path := range caseFiles("folders.json.gz") {
		var cases struct {
			Texts    []string
			Contents [][]byte
			Folders  map[string]struct {
				Files   map[string]int
				Size    int
				Side    string
				Answers []answer
				Pairs   [][]int
			}
		}
		readCases(t, path, &cases)
		if len(cases.Folders) < 9 {
			t.Fatalf("%s: only %d folders", path, len(cases.Folders))
		}
		for name, f := range cases.Folders {
			t.Run(name, func(t *testing.T) {
				files := map[string]string{}
				for file, content := range f.Files {
					files[file] = string(cases.Contents[content])
				}
				tok, err := FromDir(folder(t, files))
				if err != nil {
					t.Fatal(err)
				}
				if n := tok.VocabSize(); n != f.Size || tok.Special().PaddingSide != f.Side {
					t.Errorf("%d tokens, padding %s; want %d, %s", n, tok.Special().PaddingSide, f.Size, f.Side)
				}
				for i, text := range cases.Texts {
					check(t, tok, text, f.Answers[i])
					if i+1 < len(cases.Texts) {
						got, err := tok.EncodePair(text, cases.Texts[i+1], Options{AddSpecial: true, IDsOnly: true})
						if err != nil || !equalIDs(got.IDs, f.Pairs[i]) {
							t.Errorf("pair %q, %q: %v, %v; want %v", text, cases.Texts[i+1], got.IDs, err, f.Pairs[i])
						}
					}
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

func TestSentencePieceGGUFLikeTransformers(t *testing.T) {
	for _, path := range caseFiles("gguf_sentencepiece.json.gz") {
		var cases struct {
			Texts []string
			Files []struct {
				Model, Architecture string
				Tokens              []string
				Scores              []float32
				TokenTypes          []int32 `json:"token_types"`
				IDs                 [][]int
				Decoded             []string
			}
		}
		readCases(t, path, &cases)
		if len(cases.Files) < 4 {
			t.Fatalf("only %d files", len(cases.Files))
		}
		for _, f := range cases.Files {
			t.Run(f.Architecture, func(t *testing.T) {
				no := false
				tok, err := FromGGUF(GGUFMeta{
					Model: f.Model, Architecture: f.Architecture, Tokens: f.Tokens, Scores: f.Scores, TokenTypes: f.TokenTypes,
					BOS: -1, EOS: -1, UNK: -1, PAD: -1, AddBOS: &no,
				})
				if err != nil {
					t.Fatal(err)
				}
				for i, text := range cases.Texts {
					ids, err := tok.Encode(text, false)
					if err != nil || !equalIDs(ids, f.IDs[i]) {
						t.Fatalf("Encode(%q) = %v, %v\nwant %v", text, ids, err, f.IDs[i])
					}
					if back, err := tok.Decode(ids, true); err != nil || back != f.Decoded[i] {
						t.Fatalf("Decode(%v) = %q, %v\nwant %q", ids, back, err, f.Decoded[i])
					}
				}
			})
		}
	}
}

// TestScoredMerges has the order that transformers' generate_merges gives, ties and all.
func TestScoredMerges(t *testing.T) {
	tokens := []string{"a", "b", "ab", "ba", "aba", "abab", "bab", "é", "éa", "aéa", "aé"}
	vocab := map[string]int32{}
	scores := map[string]float64{}
	for i, score := range []float64{-1, -2, -3, -3, -4, -4, -5, -6, -3, -4, -3} {
		vocab[tokens[i]] = int32(i)
		scores[tokens[i]] = score
	}
	byScore := mergeList{
		{"a", "b"}, {"b", "a"}, {"é", "a"}, {"a", "é"}, {"aba", "b"}, {"ab", "ab"}, {"ab", "a"}, {"aé", "a"},
		{"a", "bab"}, {"a", "ba"}, {"a", "éa"}, {"ba", "b"}, {"b", "ab"},
	}
	byID := mergeList{
		{"a", "b"}, {"b", "a"}, {"a", "ba"}, {"ab", "a"}, {"a", "bab"}, {"ab", "ab"}, {"aba", "b"}, {"b", "ab"},
		{"ba", "b"}, {"é", "a"}, {"a", "éa"}, {"aé", "a"}, {"a", "é"},
	}
	if got := scoredMerges(tokens, vocab, scores); !reflect.DeepEqual(got, byScore) {
		t.Errorf("by score: %q\nwant %q", got, byScore)
	}
	if got := scoredMerges(tokens, vocab, nil); !reflect.DeepEqual(got, byID) {
		t.Errorf("by id: %q\nwant %q", got, byID)
	}
}

func TestBrokenSentencePieceModels(t *testing.T) {
	for what, raw := range map[string]string{
		"empty":          "",
		"text":           "hello",
		"cut":            "\x0a\x20abc",
		"huge length":    "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"no pieces":      "\x12\x02\x18\x01",
		"not UTF-8":      "\x0a\x03\x0a\x01\xff",
		"word model":     "\x0a\x03\x0a\x01a\x12\x02\x18\x03",
		"unk too large":  "\x0a\x03\x0a\x01a\x12\x03\xc0\x02\x07",
		"broken charmap": "\x0a\x03\x0a\x01a\x1a\x04\x12\x02ab",
	} {
		if tok, err := FromDir(folder(t, map[string]string{"tokenizer.model": raw})); err == nil || tok != nil {
			t.Errorf("%s: got a tokenizer", what)
		}
	}
	if _, err := FromDir(folder(t, map[string]string{"tokenizer_config.json": `{"tokenizer_class":"T5Tokenizer"}`})); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no spiece.model: %v", err)
	}
}

func TestBertGGUF(t *testing.T) {
	tok, err := FromGGUF(GGUFMeta{
		Model: "bert", Tokens: []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁play", "ing", "▁.", "▁caf", "e"},
		BOS: 2, EOS: 3, UNK: 1, PAD: 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode("Playing CAFÉ. zzz", true)
	if want := []int{2, 5, 6, 8, 9, 7, 1, 3}; err != nil || !reflect.DeepEqual(ids, want) {
		t.Errorf("got %v, %v; want %v", ids, err, want)
	}
	if text, err := tok.Decode(ids, true); err != nil || text != "playing cafe." {
		t.Errorf("decoded %q, %v", text, err)
	}
}
