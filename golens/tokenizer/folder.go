// Reading a model folder: tokenizer.json, or vocab.json and merges.txt, and what the files beside
// them say about special tokens, read as transformers' AutoTokenizer reads them.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// FromDir reads the tokenizer of a Hugging Face model folder.
//
// Where there is a tokenizer.json, it is taken at its word. transformers 5 does the same for most
// folders, but for some tokenizer classes (GPT2Tokenizer, Qwen2Tokenizer) it takes only vocabulary,
// merges and post-processor from the file and its own idea of the rest: for SmolLM2's own folder,
// which names GPT2Tokenizer, it so forgets that digits are cut apart.
func FromDir(dir string) (*Tokenizer, error) {
	cfg, err := readFolderConfig(dir)
	if err != nil {
		return nil, err
	}
	wantsEOS := isTrue(cfg.flag("add_eos_token"))
	t, err := cfg.backend(dir)
	if err != nil {
		return nil, err
	}
	if err := cfg.apply(t, wantsEOS); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := t.settle(); err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", dir, err)
	}
	return t, nil
}

// folderConfig is tokenizer_config.json with special_tokens_map.json laid over it.
type folderConfig struct {
	values map[string]json.RawMessage
	class  string            // without "Fast"
	jinja  map[string]string // chat templates that are files of their own
	added  map[string]int    // added_tokens.json, which older folders have in the place of added_tokens_decoder
	// hasJSON says that the tokenizer is that of a tokenizer.json.
	hasJSON bool
	// defaults are tokens by role for what the files do not say.
	defaults map[string]string
}

// modelClasses are the tokenizer classes of models whose folders need not name one.
var modelClasses = map[string]string{
	"gpt2": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer", "bert": "BertTokenizer", "t5": "T5Tokenizer", "xlm-roberta": "XLMRobertaTokenizer",
}

// classDefaults are the special tokens that a class has when the folder's files do not give any.
var classDefaults = map[string]map[string]string{
	"GPT2Tokenizer":      {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
	"Qwen2Tokenizer":     {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
	"LlamaTokenizer":     {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
	"CodeLlamaTokenizer": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
	"T5Tokenizer":        {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
	"BertTokenizer":      {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
	"XLMRobertaTokenizer": {
		"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>",
	},
}

func readFolderConfig(dir string) (*folderConfig, error) {
	cfg := &folderConfig{values: map[string]json.RawMessage{}}
	if err := readOptionalJSON(filepath.Join(dir, "tokenizer_config.json"), &cfg.values); err != nil {
		return nil, err
	}
	if _, ok := cfg.values["added_tokens_decoder"]; !ok {
		if err := readOptionalJSON(filepath.Join(dir, "added_tokens.json"), &cfg.added); err != nil {
			return nil, err
		}
		over := map[string]json.RawMessage{}
		if err := readOptionalJSON(filepath.Join(dir, "special_tokens_map.json"), &over); err != nil {
			return nil, err
		}
		for k, v := range over {
			cfg.values[k] = v
		}
	}
	cfg.class = cfg.text("tokenizer_class")
	if cfg.class == "" {
		var about struct {
			ModelType string `json:"model_type"`
			Class     string `json:"tokenizer_class"`
		}
		if err := readOptionalJSON(filepath.Join(dir, "config.json"), &about); err != nil {
			return nil, err
		}
		if cfg.class = about.Class; cfg.class == "" {
			cfg.class = modelClasses[about.ModelType]
		}
	}
	cfg.class = strings.TrimSuffix(cfg.class, "Fast")
	cfg.defaults = classDefaults[cfg.class]
	var err error
	cfg.jinja, err = readJinja(dir)
	return cfg, err
}

// chatTemplate is the template of the files of their own (chat_template.jinja, and in
// additional_chat_templates those with names), or of tokenizer_config.json: a string, or a list of
// named ones of which the one called default counts.
func (c *folderConfig) chatTemplate() (string, map[string]string) {
	named := c.jinja
	if len(named) == 0 {
		var list []struct{ Name, Template string }
		if jsontext.Unmarshal(c.values["chat_template"], &list) != nil {
			return c.text("chat_template"), nil
		}
		named = map[string]string{}
		for _, t := range list {
			named[t.Name] = t.Template
		}
	}
	if len(named) == 1 && named["default"] != "" {
		return named["default"], nil
	}
	return named["default"], named
}

// readJinja reads the templates that are files, by name.
func readJinja(dir string) (map[string]string, error) {
	out := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "additional_chat_templates", "*.jinja"))
	if err != nil { // the folder's name reads as a bad pattern
		files = nil
	}
	for _, path := range append(files, filepath.Join(dir, "chat_template.jinja")) {
		text, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".jinja")
		if filepath.Dir(path) == filepath.Clean(dir) {
			name = "default"
		}
		out[name] = string(text)
	}
	return out, nil
}

func readOptionalJSON(path string, to any) error {
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = jsontext.Unmarshal(pyjson.Quote(raw), to)
	}
	if err != nil {
		return fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return nil
}

// backend builds the tokenizer itself.
func (c *folderConfig) backend(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	raw, err := readFile(path)
	if err == nil {
		t, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if c.class == "LlamaTokenizer" && t.mentionsByteLevel() {
			// Many byte-level models name this class, and none of them has its special tokens.
			c.class, c.defaults = "", nil
		}
		// transformers heeds these only where there is no tokenizer.json: its post-processor decides.
		c.hasJSON = true
		delete(c.values, "add_bos_token")
		delete(c.values, "add_eos_token")
		return t, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return c.fromVocabulary(dir)
}

// fromVocabAndMerges builds the byte-level BPE tokenizer of a folder in GPT-2's old form.
func (c *folderConfig) fromVocabAndMerges(dir string) (*Tokenizer, error) {
	var vocab map[string]int32
	vocabPath, mergesPath := filepath.Join(dir, "vocab.json"), filepath.Join(dir, "merges.txt")
	raw, err := readFile(vocabPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %s has neither tokenizer.json nor vocab.json and merges.txt: %w", dir, err)
	}
	if err == nil {
		err = checkJSON(raw)
	}
	if err == nil {
		vocab, err = scanVocab(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", vocabPath, err)
	}
	lines, err := readFile(mergesPath)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	merges, err := parseMerges(splitLines(string(lines)))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", mergesPath, err)
	}
	m, err := newBPE(bpeConfig{vocab: vocab, merges: merges})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", dir, err)
	}
	f := form{decoder: byteLevelOf(true, true)}
	split := ""
	switch {
	case isPlainClass(c.class), c.class == "GPT2Tokenizer":
	case c.class == "Qwen2Tokenizer":
		f.normalizer, split = ofType("NFC"), splitQwen2
	default:
		return nil, fmt.Errorf("tokenizer: %s: vocab.json and merges.txt of a %s: %w (known: GPT2Tokenizer, Qwen2Tokenizer)", dir, c.class, ErrUnsupported)
	}
	f.pre = byteLevelSplit(split, isTrue(c.flag("add_prefix_space")))
	return f.around(m)
}

// text is a string value, "" when it is absent or something else.
func (c *folderConfig) text(key string) string {
	var s string
	if jsontext.Unmarshal(c.values[key], &s) != nil {
		return ""
	}
	return s
}

// role is the text of the token of a role, "" when it has none.
func (c *folderConfig) role(key string) string {
	raw, ok := c.values[key]
	if !ok {
		return c.defaults[key]
	}
	var tok struct{ Content string }
	if jsontext.Unmarshal(raw, &tok) == nil && tok.Content != "" {
		return tok.Content
	}
	return c.text(key)
}

// flag is a boolean value, nil when it is absent or null.
func (c *folderConfig) flag(key string) *bool {
	var b *bool
	if jsontext.Unmarshal(c.values[key], &b) != nil {
		return nil
	}
	return b
}

// apply adds the tokens that the folder's files name and sets the defaults.
func (c *folderConfig) apply(t *Tokenizer, wantsEOS bool) error {
	listed, err := c.listedTokens()
	if err != nil {
		return err
	}
	if err := t.added.add(listed, t.model, t.normalizer); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	special, err := c.specialTokens(t)
	if err != nil {
		return err
	}
	if err := t.added.add(special, t.model, t.normalizer); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if t.post == nil {
		addBOS := c.flag("add_bos_token")
		t.setTemplate(isTrue(addBOS) || addBOS == nil && c.class == "CodeLlamaTokenizer" && !c.hasJSON, isTrue(c.flag("add_eos_token")))
	}
	s := &t.special
	s.WantsEOS = wantsEOS
	s.SplitSpecial = isTrue(c.flag("split_special_tokens"))
	s.TokenizerClass = c.text("tokenizer_class")
	s.PaddingSide = c.text("padding_side")
	if s.PaddingSide == "" && (c.class == "LlamaTokenizer" || c.class == "CodeLlamaTokenizer") {
		s.PaddingSide = "left"
	}
	s.TruncationSide = c.text("truncation_side")
	s.CleanUpSpaces = isTrue(c.flag("clean_up_tokenization_spaces"))
	if jsontext.Unmarshal(c.values["model_input_names"], &s.InputNames) != nil && c.class == "BertTokenizer" {
		s.InputNames = []string{"input_ids", "token_type_ids", "attention_mask"}
	}
	s.ChatTemplate, s.ChatTemplates = c.chatTemplate()
	var length float64
	if jsontext.Unmarshal(c.values["model_max_length"], &length) == nil && length > 0 && length < 1<<40 {
		s.ModelMaxLength = int(length) // transformers writes 1e30 for "not known"
	}
	return nil
}
