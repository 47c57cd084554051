package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// vocabAndMerges are the contents of vocab.json and merges.txt for a test tokenizer.
func vocabAndMerges(t *testing.T, name string) (vocab, merges string) {
	t.Helper()
	var file struct {
		Model struct {
			Vocab  json.RawMessage
			Merges [][2]string
		}
	}
	readJSON(t, readGzip(t, name+".json.gz"), &file)
	lines := []string{"#version: 0.2"}
	for _, m := range file.Model.Merges {
		lines = append(lines, m[0]+" "+m[1])
	}
	return string(file.Model.Vocab), strings.Join(lines, "\r\n") + "\r\n"
}

var roundTrips = []string{"", "Hello world's  x\n\n 123", "é e\u0301 中文 😀", "a<|endoftext|> b", "the water 12"}

func sameIDs(t *testing.T, got, want *Tokenizer) {
	t.Helper()
	for _, s := range roundTrips {
		a, errA := got.Encode(s, true)
		b, errB := want.Encode(s, true)
		if errA != nil || errB != nil || !equalIDs(a, b) {
			t.Errorf("%q: %v, %v; want %v, %v", s, a, errA, b, errB)
		}
	}
}

func TestFolderWithVocabAndMerges(t *testing.T) {
	for name, class := range map[string]string{"gpt2": "GPT2TokenizerFast", "qwen2": "Qwen2Tokenizer"} {
		vocab, merges := vocabAndMerges(t, name)
		tok, err := FromDir(folder(t, map[string]string{
			"vocab.json": vocab, "merges.txt": merges,
			"tokenizer_config.json": `{"tokenizer_class":"` + class + `","model_max_length":1024,"additional_special_tokens":["<|im_start|>","<|im_end|>"]}`,
		}))
		if err != nil {
			t.Fatal(err)
		}
		sameIDs(t, tok, load(t, name))
		s := tok.Special()
		if s.EOS != (SpecialToken{"<|endoftext|>", 640}) || s.ModelMaxLength != 1024 || s.PaddingSide != "right" || s.AddBOS {
			t.Errorf("%s: %+v", name, s)
		}
		if !reflect.DeepEqual(s.IDs, []int{640, 641, 642}) {
			t.Errorf("%s: special ids %v", name, s.IDs)
		}
	}
}

func TestFolderModelTypeGivesTheClass(t *testing.T) {
	vocab, merges := vocabAndMerges(t, "gpt2")
	files := map[string]string{"vocab.json": vocab, "merges.txt": merges, "config.json": `{"model_type":"gpt2"}`, "tokenizer_config.json": `{"add_bos_token":true,"add_prefix_space":true}`}
	tok, err := FromDir(folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if s := tok.Special(); s.BOS.ID != 640 || !s.AddBOS || s.AddEOS {
		t.Errorf("%+v", s)
	}
	a, _ := tok.Encode("the", true)
	b, _ := load(t, "gpt2").Encode(" the", false)
	if want := append([]int{640}, b...); !reflect.DeepEqual(a, want) {
		t.Errorf("got %v, want %v", a, want)
	}
}

func TestFolderWithTokenizerJSON(t *testing.T) {
	files := map[string]string{
		"tokenizer.json":          string(readGzip(t, "llama3.json.gz")),
		"tokenizer_config.json":   `{"tokenizer_class":"PreTrainedTokenizerFast","eos_token":"<|end_of_text|>","add_bos_token":false,"padding_side":"left","chat_template":[{"name":"tool","template":"T"},{"name":"default","template":"D"}],"model_max_length":1000000000000000019884624838656}`,
		"special_tokens_map.json": `{"bos_token":"<|begin_of_text|>","eos_token":{"content":"<|eot_id|>","lstrip":false,"rstrip":false,"normalized":false,"single_word":false},"pad_token":"<pad>"}`,
	}
	dir := folder(t, files)
	tok, err := FromDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sameIDs(t, tok, load(t, "llama3"))
	s := tok.Special()
	want := Special{
		BOS: SpecialToken{"<|begin_of_text|>", 640}, EOS: SpecialToken{"<|eot_id|>", 644}, UNK: SpecialToken{"", -1}, PAD: SpecialToken{"<pad>", 645},
		SEP: SpecialToken{"", -1}, CLS: SpecialToken{"", -1}, MASK: SpecialToken{"", -1},
		ChatTemplates: map[string]string{"default": "D", "tool": "T"},
		AddBOS:        true, IDs: []int{640, 641, 642, 643, 644, 645}, PaddingSide: "left", ChatTemplate: "D", TokenizerClass: "PreTrainedTokenizerFast",
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte("J"), 0o600); err != nil {
		t.Fatal(err)
	}
	if tok, err = FromDir(dir); err != nil || tok.Special().ChatTemplate != "J" {
		t.Errorf("chat_template.jinja: %v, %v", tok, err)
	}
}

func TestFolderTokenizerJSONDecidesAboutBOS(t *testing.T) {
	tok, err := FromDir(folder(t, map[string]string{
		"tokenizer.json":        string(edited(t, map[string]string{"post_processor": "null"})),
		"tokenizer_config.json": `{"bos_token":"<|endoftext|>","add_bos_token":true}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if ids, _ := tok.Encode("", true); len(ids) != 0 || tok.Special().AddBOS {
		t.Errorf("transformers heeds add_bos_token only without tokenizer.json: %v", ids)
	}
}

func TestFolderAddedTokensDecoder(t *testing.T) {
	tok, err := FromDir(folder(t, map[string]string{
		"tokenizer.json": string(readGzip(t, "gpt2.json.gz")),
		"tokenizer_config.json": `{"added_tokens_decoder":{
			"642":{"content":"<b>","lstrip":false,"rstrip":false,"normalized":false,"single_word":false,"special":false},
			"641":{"content":"<a>","lstrip":true,"rstrip":false,"normalized":false,"single_word":false,"special":true}},
			"extra_special_tokens":{"image_token":"<image>"},"audio_token":"<audio>"}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]int{"<a>": 641, "<b>": 642, "<audio>": 643, "<image>": 644} {
		if id, ok := tok.TokenToID(s); !ok || id != want {
			t.Errorf("%s: %d %v, want %d", s, id, ok, want)
		}
	}
	if ids, _ := tok.Encode("  <a><b>", false); !reflect.DeepEqual(ids, []int{641, 642}) {
		t.Errorf("lstrip: %v", ids)
	}
}

func TestFolderErrors(t *testing.T) {
	vocab, merges := vocabAndMerges(t, "gpt2")
	if _, err := FromDir(t.TempDir()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "neither tokenizer.json nor vocab.json") {
		t.Errorf("empty folder: %v", err)
	}
	for what, files := range map[string]map[string]string{
		"no merges":        {"vocab.json": vocab},
		"bad merges":       {"vocab.json": vocab, "merges.txt": "a b c\n"},
		"bad vocab":        {"vocab.json": "[1]", "merges.txt": merges},
		"truncated vocab":  {"vocab.json": vocab[:100], "merges.txt": merges},
		"unknown class":    {"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": `{"tokenizer_class":"CLIPTokenizer"}`},
		"bad config":       {"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": `{`},
		"bad special":      {"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": `{"bos_token":7}`},
		"bad added id":     {"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": `{"added_tokens_decoder":{"x":{"content":"a"}}}`},
		"bad tokenizer":    {"tokenizer.json": `{"model":{"type":"Unigram"}}`},
		"bad special map":  {"vocab.json": vocab, "merges.txt": merges, "special_tokens_map.json": `[]`},
		"bad model config": {"vocab.json": vocab, "merges.txt": merges, "config.json": `"x"`},
	} {
		if tok, err := FromDir(folder(t, files)); err == nil || tok != nil {
			t.Errorf("%s: got a tokenizer", what)
		}
	}
}

func TestGGUFRolesAndErrors(t *testing.T) {
	yes := true
	good := GGUFMeta{
		Model: "gpt2", Pre: "llama-bpe", Tokens: []string{"a", "b", "ab", "<s>", "</s>", "<think>", "日"}, Merges: []string{"a b"},
		// The last is mislabelled: no control token has such characters.
		TokenTypes: []int32{1, 1, 1, 3, 3, 4, 3}, BOS: 3, EOS: 4, UNK: -1, PAD: 4, AddBOS: &yes, AddEOS: &yes, ChatTemplate: "C",
	}
	tok, err := FromGGUF(good)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode("ab<think>a</s>", true)
	if want := []int{3, 2, 5, 0, 4, 4}; err != nil || !reflect.DeepEqual(ids, want) {
		t.Errorf("got %v, %v; want %v", ids, err, want)
	}
	s := tok.Special()
	want := Special{
		BOS: SpecialToken{"<s>", 3}, EOS: SpecialToken{"</s>", 4}, UNK: SpecialToken{"", -1}, PAD: SpecialToken{"</s>", 4},
		SEP: SpecialToken{"", -1}, CLS: SpecialToken{"", -1}, MASK: SpecialToken{"", -1}, WantsEOS: true,
		AddBOS: true, AddEOS: true, IDs: []int{3, 4}, PaddingSide: "right", ChatTemplate: "C",
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if text, _ := tok.Decode(ids, true); text != "ab<think>a" {
		t.Errorf("decoded %q", text)
	}
	if text, ok := tok.IDToToken(6); !ok || text != "æĹ¥" { // 日, spelled in the byte-level alphabet
		t.Errorf("token 6 is %q", text)
	}
	for says, change := range map[string]func(*GGUFMeta){
		`model "rwkv"`:            func(m *GGUFMeta) { m.Model = "rwkv" },
		"scores has 0 entries":    func(m *GGUFMeta) { m.Model, m.Merges = "llama", nil },
		`pre "mystery"`:           func(m *GGUFMeta) { m.Pre = "mystery" },
		"known: a.x-4.0, ch":      func(m *GGUFMeta) { m.Pre = "mystery" },
		"tokens is empty":         func(m *GGUFMeta) { m.Tokens = nil },
		"6 entries for 7 tokens":  func(m *GGUFMeta) { m.TokenTypes = m.TokenTypes[:6] },
		"eos_token_id is 99":      func(m *GGUFMeta) { m.EOS = 99 },
		`merge 0 is "ab"`:         func(m *GGUFMeta) { m.Merges = []string{"ab"} },
		"not in the vocabulary":   func(m *GGUFMeta) { m.Merges = []string{"b b"} },
		"expected two tokens wit": func(m *GGUFMeta) { m.Merges = []string{"a b c"} },
	} {
		m := good
		change(&m)
		if _, err := FromGGUF(m); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error saying %s", err, says)
		}
	}
}
