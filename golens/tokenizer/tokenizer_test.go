package tokenizer

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLookups(t *testing.T) {
	tok := load(t, "qwen2")
	vocab := tok.Vocab()
	if len(vocab) != tok.VocabSize() || tok.VocabSize() != 643 {
		t.Fatalf("Vocab has %d tokens, VocabSize is %d, want 643", len(vocab), tok.VocabSize())
	}
	for s, id := range vocab {
		gotID, okID := tok.TokenToID(s)
		gotText, okText := tok.IDToToken(id)
		if !okID || !okText || gotID != id || gotText != s {
			t.Fatalf("%q %d: TokenToID %d %v, IDToToken %q %v", s, id, gotID, okID, gotText, okText)
		}
	}
	for _, id := range []int{-1, 643, 1 << 40} {
		if s, ok := tok.IDToToken(id); ok {
			t.Errorf("IDToToken(%d) = %q", id, s)
		}
	}
	if id, ok := tok.TokenToID("no such token"); ok {
		t.Errorf("TokenToID of an unknown token = %d", id)
	}
	vocab["a"] = -5
	if id, _ := tok.TokenToID("a"); id == -5 {
		t.Error("Vocab gave the tokenizer's own map")
	}
}

func TestDecodeOddIDs(t *testing.T) {
	tok := load(t, "gpt2")
	if _, err := tok.Decode([]int{3, -1}, false); err == nil || !strings.Contains(err.Error(), "-1 at index 1") {
		t.Errorf("negative id: %v", err)
	}
	ids, _ := tok.Encode("ab", false)
	got, err := tok.Decode(append(ids, 1<<33, 9999), false)
	if err != nil || got != "ab" {
		t.Errorf("unknown ids are left out: got %q, %v", got, err)
	}
}

func TestLossy(t *testing.T) {
	for in, want := range map[string]string{
		"plain é":           "plain é",
		"a\xffb":            "a\uFFFDb",
		"\xe2\x82":          "\uFFFD",
		"\xe2\x82a":         "\uFFFDa",
		"\xe2\x28\xa1":      "\uFFFD(\uFFFD",
		"\xf0\x9f\x98":      "\uFFFD",
		"\xed\xa0\x80":      "\uFFFD\uFFFD\uFFFD",
		"\xf4\x90\x80\x80":  "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xc0\xaf":          "\uFFFD\uFFFD",
		"\xf0\x80\x80":      "\uFFFD\uFFFD\uFFFD",
		"\xc3":              "\uFFFD",
		"\xe0\xa0\xe0\xa0a": "\uFFFD\uFFFDa",
		"":                  "",
	} {
		if got := lossy(in); got != want {
			t.Errorf("lossy(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestInvalidUTF8IsReadAsReplacement(t *testing.T) {
	tok := load(t, "llama3")
	got, offsets, err := tok.EncodeOffsets("a\xf0\x9f b\xff", true)
	want, wantOffsets, _ := tok.EncodeOffsets("a\uFFFD b\uFFFD", true)
	if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(offsets, wantOffsets) {
		t.Errorf("got %v %v, %v; want %v %v", got, offsets, err, want, wantOffsets)
	}
}

// TestLongTextsTakeLinearTime gives texts that make careless tokenizers quadratic.
func TestLongTextsTakeLinearTime(t *testing.T) {
	const size = 1 << 18
	texts := map[string]string{
		"ab":       strings.Repeat("ab", size/2),
		"spaces":   strings.Repeat(" ", size),
		"spaces a": strings.Repeat(" ", size) + "a",
		"newlines": strings.Repeat("\n", size),
		"marks":    "a" + strings.Repeat("\u0301", size/2),
		"tokens":   strings.Repeat("<|im_start|", size/11),
	}
	for _, name := range []string{
		"gpt2", "llama3", "qwen2", "llama2", "added", "smollm", "bert", "words", "words_scripts", "gemma", "t5", "t5_nfkc", "unigram_bytes",
	} {
		tok := load(t, name)
		for what, text := range texts {
			start := time.Now()
			ids, err := tok.Encode(text, false)
			took := time.Since(start)
			if err != nil || len(ids) == 0 && what == "ab" {
				t.Fatalf("%s, %s: %d ids, %v", name, what, len(ids), err)
			}
			t.Logf("%s, %s: %d bytes in %v", name, what, len(text), took)
			// Quadratic time would be minutes; the bound leaves room for a loaded machine.
			if took > 20*time.Second {
				t.Errorf("%s, %s: %v for %d bytes", name, what, took, len(text))
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	tok := load(t, "qwen2")
	texts := []string{"The capital of France", "don't  stop\n\n", "é e\u0301 中文 😀", "<|im_start|>user\nHi<|im_end|>"}
	var want [][]int
	for _, s := range texts {
		ids, err := load(t, "qwen2").Encode(s, true)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, ids)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 400 {
				k := i % len(texts)
				got, err := tok.Encode(texts[k], true)
				if err != nil || !reflect.DeepEqual(got, want[k]) {
					t.Errorf("%q: %v, %v", texts[k], got, err)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// edited is the gpt2 test tokenizer with some members replaced.
func edited(t *testing.T, change map[string]string) []byte {
	t.Helper()
	var file map[string]json.RawMessage
	readJSON(t, readGzip(t, "gpt2.json.gz"), &file)
	for k, v := range change {
		file[k] = json.RawMessage(v)
	}
	raw, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestUnsupportedComponentsAreNamed(t *testing.T) {
	for _, c := range []struct{ key, value, says string }{
		{"model", `{"type":"Mystery","vocab":[]}`, `model "Mystery"`},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}`, "dropout 0.1"},
		{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Uppercase"}]}`, `normalizer "Uppercase"`},
		{"pre_tokenizer", `{"type":"Sideways"}`, `pre_tokenizer "Sideways"`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"(a)\\1"},"behavior":"Isolated"}`, `\1`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"\\X"},"behavior":"Isolated"}`, `text segment \X`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"a\\Kb"},"behavior":"Isolated"}`, `keep \K`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"(?~é)"},"behavior":"Isolated"}`, "group (?~"},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"(?W:\\w)"},"behavior":"Isolated"}`, "option (?W"},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"a"},"behavior":"Sideways"}`, "Sideways"},
		{"post_processor", `{"type":"Mystery"}`, `post_processor "Mystery"`},
		{"post_processor", `{"type":"Sequence","processors":[{"type":"BertProcessing","sep":["a",0],"cls":["b",1]},{"type":"BertProcessing","sep":["a",0],"cls":["b",1]}]}`, "two post-processors"},
		{"decoder", `{"type":"Mystery"}`, `decoder "Mystery"`},
		{"truncation", `{"max_length":3,"strategy":"Sideways","stride":0}`, "Sideways"},
		{"padding", `{"strategy":"Sideways","direction":"Left"}`, "Sideways"},
		{"version", `"2.0"`, "2.0"},
	} {
		_, err := FromBytes(edited(t, map[string]string{c.key: c.value}))
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: got %v, want ErrUnsupported naming %s", c.key, c.value, err, c.says)
		}
	}
}

func TestMalformedFiles(t *testing.T) {
	for what, raw := range map[string][]byte{
		"empty":              nil,
		"not JSON":           []byte("hello"),
		"truncated":          readGzip(t, "gpt2.json.gz")[:5000],
		"a list":             []byte("[]"),
		"null":               []byte("null"),
		"no model":           []byte("{}"),
		"not UTF-8":          []byte("{\"model\":\"\xff\"}"),
		"vocab a list":       edited(t, map[string]string{"model": `{"type":"BPE","vocab":[],"merges":[]}`}),
		"no merges":          edited(t, map[string]string{"model": `{"type":"BPE","vocab":{}}`}),
		"id too large":       edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":4294967295},"merges":[]}`}),
		"negative id":        edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":-1},"merges":[]}`}),
		"id not a number":    edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":{"b":1}},"merges":[]}`}),
		"merge of unknown":   edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":0},"merges":["a b"]}`}),
		"merge to unknown":   edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}`}),
		"merge of three":     edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}`}),
		"triple":             edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":0},"merges":[["a","a","a"]]}`}),
		"merge a number":     edited(t, map[string]string{"model": `{"type":"BPE","vocab":{"a":0},"merges":[7]}`}),
		"template undefined": edited(t, map[string]string{"post_processor": `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"special_tokens":{}}`}),
		"template with B":    edited(t, map[string]string{"post_processor": `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}],"special_tokens":{}}`}),
		"unk_id too large":   edited(t, map[string]string{"model": `{"type":"Unigram","vocab":[["a",-1]],"unk_id":1}`}),
		"score a string":     edited(t, map[string]string{"model": `{"type":"Unigram","vocab":[["a","b"]]}`}),
		"no score":           edited(t, map[string]string{"model": `{"type":"Unigram","vocab":[["a"]]}`}),
		"two scores":         edited(t, map[string]string{"model": `{"type":"Unigram","vocab":[["a",1,2]]}`}),
		"no unk token":       edited(t, map[string]string{"model": `{"type":"WordPiece","vocab":{}}`}),
		"no prefix":          edited(t, map[string]string{"decoder": `{"type":"WordPiece","cleanup":true}`}),
		"charsmap cut":       edited(t, map[string]string{"normalizer": `{"type":"Precompiled","precompiled_charsmap":"/wAAAA=="}`}),
		"charsmap no base64": edited(t, map[string]string{"normalizer": `{"type":"Precompiled","precompiled_charsmap":"*"}`}),
		"fixed length 0":     edited(t, map[string]string{"pre_tokenizer": `{"type":"FixedLength","length":0}`}),
		"delimiter of two":   edited(t, map[string]string{"pre_tokenizer": `{"type":"CharDelimiterSplit","delimiter":"ab"}`}),
		"cls no pair":        edited(t, map[string]string{"post_processor": `{"type":"BertProcessing","sep":["a"],"cls":["b",1]}`}),
		"type not a string":  edited(t, map[string]string{"decoder": `{"type":3}`}),
		"component a string": edited(t, map[string]string{"decoder": `"ByteLevel"`}),
		"added a map":        edited(t, map[string]string{"added_tokens": `{}`}),
	} {
		if tok, err := FromBytes(raw); err == nil || tok != nil || !strings.HasPrefix(err.Error(), "tokenizer: ") {
			t.Errorf("%s: got %v, %v", what, tok, err)
		}
	}
}

func TestOldFilesWithoutModelType(t *testing.T) {
	for _, c := range []struct {
		model string
		want  []int
	}{
		{`{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`, []int{2}},
		{`{"vocab":{"u":0,"a":1,"##b":2},"unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":9}`, []int{1, 2}},
		{`{"vocab":{"u":0,"ab":1},"unk_token":"u"}`, []int{1}},
		{`{"vocab":[["u",0],["a",-1],["b",-1]],"unk_id":0}`, []int{1, 2}},
	} {
		tok, err := FromBytes([]byte(`{"model":` + c.model + `}`))
		if err != nil {
			t.Errorf("%s: %v", c.model, err)
			continue
		}
		if got, err := tok.Encode("ab", false); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.model, got, err, c.want)
		}
	}
	if _, err := FromBytes([]byte(`{"model":{"vocab":{}}}`)); err == nil {
		t.Error("a model that nothing tells the kind of")
	}
}

func TestMissingUnknownToken(t *testing.T) {
	tok, err := FromBytes([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"<unk>"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Encode("ab", false); err == nil || !strings.Contains(err.Error(), "<unk>") {
		t.Errorf("got %v", err)
	}
}

func TestMergeOrder(t *testing.T) {
	// Ties of rank go to the leftmost pair; a lower rank goes first wherever it is.
	tok, err := FromBytes([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"aa":2,"ab":3,"aab":4,"aaa":5},"merges":[["a","a"],["a","b"],["a","ab"],["aa","a"]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int{"aaa": {5}, "aaaa": {2, 2}, "aab": {2, 1}, "ab": {3}, "aaab": {2, 3}, "ba": {1, 0}} {
		if got, err := tok.Encode(text, false); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestReplacedTextStandsForTheLastCharacter(t *testing.T) {
	tok, err := FromBytes([]byte(`{"normalizer":{"type":"Replace","pattern":{"Regex":"b+"},"content":"XY"},"model":{"type":"BPE","vocab":{"a":0,"X":1,"Y":2,"c":3},"merges":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	ids, offsets, err := tok.EncodeOffsets("abbbc", false)
	if want := [][2]int{{0, 1}, {3, 4}, {3, 4}, {4, 5}}; err != nil || !reflect.DeepEqual(ids, []int{0, 1, 2, 3}) || !reflect.DeepEqual(offsets, want) {
		t.Errorf("got %v %v, %v; want offsets %v", ids, offsets, err, want)
	}
}
