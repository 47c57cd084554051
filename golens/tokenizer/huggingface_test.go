// Every answer here is compared with Hugging Face's own, stored in testdata by
// tests/py/parity/make_tokenizer_testdata.py.

package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func readGzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
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
	return raw
}

func readJSON(t testing.TB, raw []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(raw, to); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := FromBytes(readGzip(t, name+".json.gz"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tok
}

// answer is what Hugging Face makes of one text.
type answer struct {
	IDs, Plain               []int
	Offsets                  []int // start, end, start, end, ...
	Decoded, Skipped, Broken string
	Full                     *fullAnswer // everything in the encoding, where it was asked for
}

func equalIDs(a, b []int) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

func check(t *testing.T, tok *Tokenizer, text string, want answer) {
	t.Helper()
	ids, offsets, err := tok.EncodeOffsets(text, true)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	flat := make([]int, 0, 2*len(offsets))
	for _, o := range offsets {
		flat = append(flat, o[0], o[1])
	}
	if !equalIDs(ids, want.IDs) || !equalIDs(flat, want.Offsets) {
		t.Errorf("EncodeOffsets(%q)\n got %v %v\nwant %v %v", text, ids, flat, want.IDs, want.Offsets)
	}
	for _, special := range []bool{true, false} {
		expected := want.Plain
		if special {
			expected = want.IDs
		}
		got, err := tok.Encode(text, special)
		if err != nil || !equalIDs(got, expected) {
			t.Errorf("Encode(%q, %v) = %v, %v\nwant %v", text, special, got, err, expected)
		}
	}
	if want.Full != nil {
		e, err := tok.EncodeText(text, Options{AddSpecial: true})
		if got := asAnswer(e); err != nil || !sameAnswer(got, *want.Full) {
			t.Errorf("EncodeText(%q)\n got %+v, %v\nwant %+v", text, got, err, *want.Full)
		}
	}
	var broken []int
	for i := 0; i < len(want.IDs); i += 2 {
		broken = append(broken, want.IDs[i])
	}
	for _, d := range []struct {
		ids  []int
		skip bool
		want string
	}{{want.IDs, false, want.Decoded}, {want.IDs, true, want.Skipped}, {broken, true, want.Broken}} {
		got, err := tok.Decode(d.ids, d.skip)
		if err != nil || got != d.want {
			t.Errorf("Decode(%v, %v) = %q, %v\nwant %q", d.ids, d.skip, got, err, d.want)
		}
	}
}

func TestLikeHuggingFace(t *testing.T) {
	var cases struct {
		Texts   []string
		Answers map[string][]answer
	}
	readJSON(t, readGzip(t, "cases.json.gz"), &cases)
	if len(cases.Texts) < 200 || len(cases.Answers) < 10 {
		t.Fatalf("only %d texts and %d tokenizers", len(cases.Texts), len(cases.Answers))
	}
	for name, answers := range cases.Answers {
		t.Run(name, func(t *testing.T) {
			tok := load(t, name)
			if len(answers) != len(cases.Texts) {
				t.Fatalf("%d answers for %d texts", len(answers), len(cases.Texts))
			}
			for i, text := range cases.Texts {
				check(t, tok, text, answers[i])
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestMoreLikeHuggingFace has the word and SentencePiece kinds, and batches with truncation and padding.
func TestMoreLikeHuggingFace(t *testing.T) {
	var cases struct {
		Texts   []string
		Answers map[string][]answer
		Batches map[string][]batchAnswer
	}
	readJSON(t, readGzip(t, "more.json.gz"), &cases)
	if len(cases.Texts) < 60 || len(cases.Answers) < 10 || len(cases.Batches) < 5 {
		t.Fatalf("only %d texts, %d tokenizers, %d with batches", len(cases.Texts), len(cases.Answers), len(cases.Batches))
	}
	for name, answers := range cases.Answers {
		t.Run(name, func(t *testing.T) {
			tok := load(t, name)
			if len(answers) != len(cases.Texts) {
				t.Fatalf("%d answers for %d texts", len(answers), len(cases.Texts))
			}
			for i, text := range cases.Texts {
				check(t, tok, text, answers[i])
				if t.Failed() {
					return
				}
			}
			for _, b := range cases.Batches[name] {
				checkBatch(t, tok, b)
			}
		})
	}
}

func TestGGUFLikeTransformers(t *testing.T) {
	var cases struct {
		Texts []string
		Files []struct {
			Pre        string
			Tokens     []string
			Merges     []string
			TokenTypes []int32 `json:"token_types"`
			IDs        [][]int
		}
	}
	readJSON(t, readGzip(t, "gguf.json.gz"), &cases)
	if len(cases.Files) == 0 {
		t.Fatal("no GGUF cases")
	}
	for _, f := range cases.Files {
		t.Run(f.Pre, func(t *testing.T) {
			tok, err := FromGGUF(GGUFMeta{Model: "gpt2", Pre: f.Pre, Tokens: f.Tokens, Merges: f.Merges, TokenTypes: f.TokenTypes, BOS: -1, EOS: -1, UNK: -1, PAD: -1})
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range cases.Texts {
				got, err := tok.Encode(text, true)
				if err != nil || !equalIDs(got, f.IDs[i]) {
					t.Fatalf("Encode(%q) = %v, %v\nwant %v", text, got, err, f.IDs[i])
				}
			}
		})
	}
}

// TestUnicodeTables goes over all assigned characters: every class that a pattern may name, and every normal
// form in contexts where characters reorder, block and compose.
func TestUnicodeTables(t *testing.T) {
	var want struct {
		Classes, Forms, Normalizers map[string]uint32
		PreTokenizers               map[string]uint32 `json:"pre_tokenizers"`
	}
	raw, err := os.ReadFile("testdata/unicode.json")
	if err != nil {
		t.Fatal(err)
	}
	readJSON(t, raw, &want)
	if len(want.Classes) < 10 || len(want.Forms) < 4 || len(want.Normalizers) < 8 || len(want.PreTokenizers) < 5 {
		t.Fatal("too few tables")
	}
	var points []string
	for r := rune(0); r < 0xE0200; r++ {
		if r == 0x33480 { // nothing is assigned from here to plane 14
			r = 0xE0000
		}
		if utf8.ValidRune(r) {
			points = append(points, string(r))
		}
	}
	sum := func(parts []string) uint32 { return crc32.ChecksumIEEE([]byte(strings.Join(parts, "\n"))) }
	text := strings.Join(points, "\ue001")
	for name, crc := range want.Classes {
		var hits []string
		collect := func(m match) {
			if m.hit {
				hits = append(hits, text[m.start:m.end])
			}
		}
		if name == "Digits" {
			for _, m := range runeMatches(text, numericSet().has) {
				collect(m)
			}
		} else {
			p, err := compilePattern(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.each(text, collect); err != nil {
				t.Fatal(err)
			}
		}
		if sum(hits) != crc {
			t.Errorf("class %s has other characters than in Hugging Face's tokenizers (here %d)", name, len(hits))
		}
	}
	forms := map[string]unicodeForm{"NFC": {compose: true}, "NFD": {}}
	for name, crc := range want.Forms {
		kind, context, _ := strings.Cut(name, " ")
		parts := make([]string, len(points))
		for i, c := range points {
			p, err := forms[kind].normalize(newPiece(strings.ReplaceAll(context, "{}", c), true))
			if err != nil {
				t.Fatal(err)
			}
			if align := p.alignment(); len(align) != len(p.text) {
				t.Fatalf("%s of %q: %d bytes, %d alignments", kind, c, len(p.text), len(align))
			}
			parts[i] = p.text
		}
		if sum(parts) != crc {
			t.Errorf("form %q differs from Hugging Face's tokenizers", name)
		}
	}
	for config, crc := range want.Normalizers {
		n, err := parseNormalizer(json.RawMessage(config))
		if err != nil {
			t.Fatal(err)
		}
		for _, track := range []bool{false, true} {
			p, err := n.normalize(newPiece(strings.Join(points, "a\ue001"), track))
			if err != nil || sum([]string{p.text}) != crc || track && len(p.alignment()) != len(p.text) {
				t.Errorf("normalizer %s differs from Hugging Face's (tracking %v): %v", config, track, err)
			}
		}
	}
	var crowd strings.Builder
	for _, c := range points {
		crowd.WriteString(" a" + c + "b中" + c)
	}
	for config, crc := range want.PreTokenizers {
		pre, err := parsePreTokenizer(json.RawMessage(config))
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		err = pre.preTokenize(newPiece(crowd.String()[1:], false), func(p piece) {
			if p.text != "" {
				parts = append(parts, p.text)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if sum(parts) != crc {
			t.Errorf("pre-tokenizer %s differs from Hugging Face's", config)
		}
	}
}
