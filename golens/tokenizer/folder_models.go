// Model folders without a tokenizer.json: SentencePiece models, BERT's vocab.txt, and vocab.json with
// merges.txt, in the forms that transformers' tokenizer classes give them.

package tokenizer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// classFiles are the vocabulary files of the classes that have one of their own.
var classFiles = map[string]string{
	"LlamaTokenizer":      sentencePieceName,
	"CodeLlamaTokenizer":  sentencePieceName,
	"T5Tokenizer":         "spiece.model",
	"XLMRobertaTokenizer": "sentencepiece.bpe.model",
	"BertTokenizer":       "vocab.txt",
}

const sentencePieceName = "tokenizer.model"

// vocabularyNames are the files that are looked for where a class has none of its own, or the folder lacks
// it, and otherNames those that are known and not read.
var (
	vocabularyNames = []string{"vocab.json", sentencePieceName, "spiece.model", "sentencepiece.bpe.model"}
	otherNames      = []string{"vocab.txt", "tiktoken.model", "tekken.json", "qwen.tiktoken"}
)

// otherArrangements are the classes that number the pieces of a SentencePiece model in a way of their own.
var otherArrangements = map[string]bool{
	"AlbertTokenizer": true, "BarthezTokenizer": true, "BartphoTokenizer": true, "BertGenerationTokenizer": true, "BigBirdTokenizer": true,
	"CamembertTokenizer": true, "CpmTokenizer": true, "DebertaV2Tokenizer": true, "FNetTokenizer": true, "GPTSw3Tokenizer": true,
	"GemmaTokenizer": true, "LayoutXLMTokenizer": true, "M2M100Tokenizer": true, "MBartTokenizer": true, "MBart50Tokenizer": true,
	"MLukeTokenizer": true, "MarianTokenizer": true, "NllbTokenizer": true, "PLBartTokenizer": true, "PegasusTokenizer": true,
	"ReformerTokenizer": true, "RemBertTokenizer": true, "SeamlessM4TTokenizer": true, "SiglipTokenizer": true, "Speech2TextTokenizer": true,
	"SpeechT5Tokenizer": true, "UdopTokenizer": true, "XGLMTokenizer": true, "XLMProphetNetTokenizer": true, "XLNetTokenizer": true,
}

// isPlainClass says whether a class tells nothing about the form of the tokenizer.
func isPlainClass(class string) bool {
	return class == "" || class == "PreTrainedTokenizer" || class == "TokenizersBackend"
}

// vocabularyFile is the name of the file that has the folder's vocabulary. Where there is none, the error is
// fs.ErrNotExist, or ErrUnsupported if there is one that this package does not read.
func (c *folderConfig) vocabularyFile(dir string) (string, error) {
	names := vocabularyNames
	if own := classFiles[c.class]; own != "" {
		names = append([]string{own}, names...)
	}
	for _, name := range names {
		if exists(dir, name) {
			return name, nil
		}
	}
	for _, name := range otherNames {
		if exists(dir, name) {
			return "", fmt.Errorf("tokenizer: %s has no tokenizer.json, and its %s of class %s: %w", dir, name, jsontext.Quote(c.class), ErrUnsupported)
		}
	}
	return "", fmt.Errorf("tokenizer: %s has neither tokenizer.json nor %s: %w", dir, strings.Join(names, ", "), fs.ErrNotExist)
}

// fromVocabulary builds the tokenizer of a folder that has no tokenizer.json.
func (c *folderConfig) fromVocabulary(dir string) (*Tokenizer, error) {
	name, err := c.vocabularyFile(dir)
	if err != nil {
		return nil, err
	}
	if name == "vocab.json" {
		return c.fromVocabAndMerges(dir)
	}
	path := filepath.Join(dir, name)
	raw, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	var t *Tokenizer
	if name == "vocab.txt" {
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
	if otherArrangements[c.class] {
		return nil, fmt.Errorf("the SentencePiece model of a %s: %w (save its tokenizer.json: AutoTokenizer.from_pretrained(...).save_pretrained(...))", c.class, ErrUnsupported)
	}
	m, err := parseSentencePiece(raw)
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	switch c.class {
	case "LlamaTokenizer", "CodeLlamaTokenizer":
		t, err = c.llamaFromPieces(m)
	case "T5Tokenizer":
		t, err = c.t5FromPieces(m)
	case "XLMRobertaTokenizer":
		t, err = c.xlmRobertaFromPieces(m)
	default:
		if t, err = m.plain(); err == nil {
			c.defaults = m.roles()
		}
	}
	if err != nil {
		return nil, err
	}
	if err := t.addPieces(m); err != nil {
		return nil, err
	}
	if c.class == "T5Tokenizer" {
		count, err := c.sentinels()
		for i := range count {
			t.special.Extra = append(t.special.Extra, fmt.Sprintf("<extra_id_%d>", i))
		}
		return t, err
	}
	if c.class == "CodeLlamaTokenizer" { // the tokens of infilling, where the model has them
		return t, t.addKnown("▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>")
	}
	return t, nil
}

// llamaFromPieces: a folder that says legacy gets a space in front of every stretch of text, any other
// only in front of the first; add_prefix_space overrules what the model itself says.
func (c *folderConfig) llamaFromPieces(m *sentencePieceModel) (*Tokenizer, error) {
	model, err := bpeFromTokens(m.texts(), nil, "", true)
	if err != nil {
		return nil, err
	}
	prefix := m.spaces.prefix
	if said := c.flag("add_prefix_space"); said != nil {
		prefix = *said
	}
	scheme := prefixFirst
	switch {
	case !prefix:
		scheme = prefixNever
	case isTrue(c.flag("legacy")) && c.class == "LlamaTokenizer":
		scheme = prefixAlways
	}
	f, err := m.form(scheme)
	if err != nil {
		return nil, err
	}
	return f.around(model)
}

func (c *folderConfig) t5FromPieces(m *sentencePieceModel) (*Tokenizer, error) {
	count, err := c.sentinels()
	if err != nil {
		return nil, err
	}
	vocab := m.scoredPieces(0)
	var extra []AddedToken
	for i := count - 1; i >= 0; i-- {
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

// sentinels is the number of T5's sentinels, extra_ids.
func (c *folderConfig) sentinels() (int, error) {
	const most = 1 << 16
	count := extraIDs
	if raw, ok := c.values["extra_ids"]; ok {
		if err := jsontext.Unmarshal(raw, &count); err != nil || count < 0 || count > most {
			return 0, fmt.Errorf("tokenizer: extra_ids is %s: expected a whole number from 0 to %d", raw, most)
		}
	}
	return count, nil
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
