// Model folders without a tokenizer.json: SentencePiece models, BERT's vocab.txt, and vocab.json with
// merges.txt, in the forms that transformers' tokenizer classes give them.

package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// classFiles are the vocabulary files of the classes that have one of their own.
var classFiles = map[string]string{
	"LlamaTokenizer":      "tokenizer.model",
	"T5Tokenizer":         "spiece.model",
	"XLMRobertaTokenizer": "sentencepiece.bpe.model",
	"BertTokenizer":       "vocab.txt",
}

// isPlainClass says whether a class tells nothing about the form of the tokenizer.
func isPlainClass(class string) bool {
	return class == "" || class == "PreTrainedTokenizer" || class == "TokenizersBackend"
}

// fromVocabulary builds the tokenizer of a folder that has no tokenizer.json.
func (c *folderConfig) fromVocabulary(dir string) (*Tokenizer, error) {
	name, ok := classFiles[c.class]
	if !ok && isPlainClass(c.class) && !exists(dir, "vocab.json") && exists(dir, "tokenizer.model") {
		name = "tokenizer.model"
	}
	if name == "" || !exists(dir, name) && exists(dir, "vocab.json") {
		return c.fromVocabAndMerges(dir)
	}
	path := filepath.Join(dir, name)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %s has neither tokenizer.json nor %s: %w", dir, name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	var t *Tokenizer
	if c.class == "BertTokenizer" {
		t, err = c.fromVocabText(string(raw))
	} else {
		t, err = c.fromSentencePiece(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func (c *folderConfig) fromSentencePiece(raw []byte) (*Tokenizer, error) {
	m, err := parseSentencePiece(raw)
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	switch c.class {
	case "LlamaTokenizer":
		t, err = c.llamaFromPieces(m)
	case "T5Tokenizer":
		t, err = c.t5FromPieces(m)
	case "XLMRobertaTokenizer":
		t, err = c.xlmRobertaFromPieces(m)
	default:
		if t, err = m.plain(); err == nil {
			c.defaults = map[string]string{
				"bos_token": m.text(m.bos), "eos_token": m.text(m.eos), "unk_token": m.text(m.unk), "pad_token": m.text(m.pad),
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if err := t.addPieces(m); err != nil {
		return nil, err
	}
	for i := range extraIDs {
		if c.class == "T5Tokenizer" {
			t.special.Extra = append(t.special.Extra, fmt.Sprintf("<extra_id_%d>", i))
		}
	}
	return t, nil
}

// llamaFromPieces: a folder that says legacy gets a space in front of every stretch of text, any other
// only in front of the first.
func (c *folderConfig) llamaFromPieces(m *sentencePieceModel) (*Tokenizer, error) {
	model, err := bpeFromTokens(m.texts(), nil, "", true)
	if err != nil {
		return nil, err
	}
	scheme := "first"
	if isTrue(c.flag("legacy")) {
		scheme = "always"
	}
	if prefix := c.flag("add_prefix_space"); prefix != nil && !*prefix {
		scheme = "never"
	}
	return llamaForm(scheme).around(model)
}

func (c *folderConfig) t5FromPieces(m *sentencePieceModel) (*Tokenizer, error) {
	vocab := m.scoredPieces(0)
	var extra []AddedToken
	for i := extraIDs - 1; i >= 0; i-- {
		text := fmt.Sprintf("<extra_id_%d>", i)
		vocab = append(vocab, scoredToken{text: text})
		extra = append(extra, AddedToken{Content: text, Special: true})
	}
	model, err := newUnigram(vocab, 2, false)
	if err != nil {
		return nil, err
	}
	t, err := unigramForm(m.charsmap).around(model)
	if err != nil {
		return nil, err
	}
	if err := t.added.add(extra, t.model, t.normalizer); err != nil {
		return nil, err
	}
	eos := c.role("eos_token")
	return t, t.setTextTemplate("", eos, nil, 0)
}

func (c *folderConfig) xlmRobertaFromPieces(m *sentencePieceModel) (*Tokenizer, error) {
	var vocab []scoredToken
	for _, role := range []string{"bos_token", "pad_token", "eos_token", "unk_token"} {
		vocab = append(vocab, scoredToken{text: c.role(role)})
	}
	vocab = append(vocab, m.scoredPieces(3)...)
	vocab = append(vocab, scoredToken{text: c.role("mask_token")})
	model, err := newUnigram(vocab, 3, false)
	if err != nil {
		return nil, err
	}
	t, err := unigramForm(m.charsmap).around(model)
	if err != nil {
		return nil, err
	}
	eos := c.role("eos_token")
	return t, t.setTextTemplate(c.role("bos_token"), eos, []string{eos}, 0)
}

// fromVocabText builds BERT's tokenizer from a list of tokens, one a line.
func (c *folderConfig) fromVocabText(text string) (*Tokenizer, error) {
	vocab := map[string]int32{}
	for id, line := range splitLines(text) {
		vocab[strings.TrimRightFunc(line, isSpace)] = int32(id)
	}
	lower, chinese := c.flag("do_lower_case"), c.flag("tokenize_chinese_chars")
	return bertForm(vocab, c.role, bertOptions{
		lower:   lower == nil || *lower,
		chinese: chinese == nil || *chinese,
		accents: c.flag("strip_accents"),
	})
}

type bertOptions struct {
	lower, chinese bool
	accents        *bool // nil: as lower
}

// bertForm finishes a tokenizer as BertTokenizer does; role gives the text of a token by its role.
func bertForm(vocab map[string]int32, role func(string) string, o bertOptions) (*Tokenizer, error) {
	table, err := newVocabTable(vocab)
	if err != nil {
		return nil, err
	}
	t, err := form{
		normalizer: component{
			"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": o.chinese, "strip_accents": o.accents, "lowercase": o.lower,
		},
		pre:     ofType("BertPreTokenizer"),
		decoder: component{"type": "WordPiece", "prefix": "##", "cleanup": true},
	}.around(newWordPiece(table, "##", role("unk_token"), 100))
	if err != nil {
		return nil, err
	}
	return t, t.setTextTemplate(role("cls_token"), role("sep_token"), nil, 1)
}
