// The byte-pair encoding model (Sennrich et al. 2016): a vocabulary, and merges in order of rank.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() { registerModel("BPE", newBPEFromJSON) }

// bpe is immutable but for its cache.
type bpe struct {
	vocabTable
	merges mergeTable

	// alphabet is the id of each character up to the end of the byte-level alphabet, or -1.
	alphabet     [alphabetEnd]int32
	plain        bool // no prefix or suffix: a character is looked up as it is
	fallsApart   bool // tokens are spelled as what they are merged of, so that long words have seams
	prefix       string
	suffix       string
	unk          string // "" when there is none
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool
	bytes        [256]int32 // ids of <0x00> ... <0xFF>, or -1
	spelled      [256]int32 // ids of the bytes as the byte-level alphabet spells them, or -1

	seams     seams
	cache     wordCache
	byteCache wordCache // of words as they stand, which tokenizeBytes is given
}

// bpeConfig is the "model" object of tokenizer.json. The model takes over the vocabulary.
type bpeConfig struct {
	dropout                       float64
	unk, prefix, suffix           string
	fuseUnk, byteFallback, ignore bool
	vocab                         map[string]int32
	merges                        mergeList
}

// mergeList holds the merges by rank.
type mergeList [][2]string

// appendMerge reads a line like "a b"; one that starts with #version is a comment.
func appendMerge(to mergeList, line string) (mergeList, error) {
	if strings.HasPrefix(line, "#version") {
		return to, nil
	}
	a, b, ok := strings.Cut(line, " ")
	if !ok || strings.Contains(b, " ") {
		return to, fmt.Errorf("merges: merge %d is %s: expected two tokens with one space between them", len(to), jsontext.Quote(line))
	}
	return append(to, [2]string{a, b}), nil
}

func parseMerges(lines []string) (mergeList, error) {
	out := make(mergeList, 0, len(lines))
	var err error
	for _, line := range lines {
		if out, err = appendMerge(out, line); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func newBPEFromJSON(raw json.RawMessage) (model, error) {
	fields, err := jsonFields(raw)
	if err != nil {
		return nil, err
	}
	if isNull(fields["vocab"]) || isNull(fields["merges"]) {
		return nil, errors.New(`expected "vocab" and "merges"`)
	}
	var cfg bpeConfig
	for key, to := range map[string]any{
		"dropout": &cfg.dropout, "unk_token": &cfg.unk, "continuing_subword_prefix": &cfg.prefix, "end_of_word_suffix": &cfg.suffix,
		"fuse_unk": &cfg.fuseUnk, "byte_fallback": &cfg.byteFallback, "ignore_merges": &cfg.ignore,
	} {
		if isNull(fields[key]) {
			continue
		}
		if err := jsontext.Unmarshal(fields[key], to); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if cfg.vocab, err = scanVocab(fields["vocab"]); err != nil {
		return nil, err
	}
	if cfg.merges, err = scanMerges(fields["merges"]); err != nil {
		return nil, err
	}
	return newBPE(cfg)
}

func newBPE(cfg bpeConfig) (*bpe, error) {
	if cfg.dropout != 0 {
		return nil, fmt.Errorf("dropout %g: %w (it makes encoding random)", cfg.dropout, ErrUnsupported)
	}
	m := &bpe{
		prefix:       cfg.prefix,
		suffix:       cfg.suffix,
		unk:          cfg.unk,
		fuseUnk:      cfg.fuseUnk,
		byteFallback: cfg.byteFallback,
		ignoreMerges: cfg.ignore,
	}
	m.plain = m.prefix == "" && m.suffix == ""
	var err error
	if m.vocabTable, err = newVocabTable(cfg.vocab); err != nil {
		return nil, err
	}
	if err := m.setMerges(cfg.merges); err != nil {
		return nil, err
	}
	m.fallsApart = m.plain && m.uniqueIDs()
	for r := range m.alphabet {
		m.alphabet[r] = m.idOr(string(rune(r)), -1)
	}
	for b := range m.bytes {
		m.bytes[b] = m.idOr(fmt.Sprintf("<0x%02X>", b), -1)
		m.spelled[b] = m.idOr(byteToText[b], -1)
	}
	return m, nil
}

func (m *bpe) kind() string { return "BPE" }

func (m *bpe) setMerges(pairs mergeList) error {
	m.merges = newMergeTable(len(pairs))
	var joined []byte
	for rank, p := range pairs {
		a, okA := m.vocab[p[0]]
		b, okB := m.vocab[p[1]]
		if !okA || !okB || len(p[1]) < len(m.prefix) {
			return fmt.Errorf("merge %d (%s, %s): a part is not in the vocabulary", rank, jsontext.Quote(p[0]), jsontext.Quote(p[1]))
		}
		joined = append(append(joined[:0], p[0]...), p[1][len(m.prefix):]...)
		id, ok := m.vocab[string(joined)]
		if !ok {
			return fmt.Errorf("merge %d (%s, %s): the result %s is not in the vocabulary", rank, jsontext.Quote(p[0]), jsontext.Quote(p[1]), jsontext.Quote(joined))
		}
		m.merges.set(a, b, merged{int32(rank), id})
	}
	return nil
}

func (m *bpe) tokenize(word string, dst []token) ([]token, error) {
	if word == "" {
		return dst, nil
	}
	if m.ignoreMerges {
		if id, ok := m.vocab[word]; ok {
			return append(dst, token{id, 0, int32(len(word))}), nil
		}
	}
	if m.fallsApart && len(word) >= longWord {
		return m.tokenizeLong(word, dst)
	}
	return m.mergeCached(word, dst)
}

// mergeCached is the tokens that merging alone makes of a word.
func (m *bpe) mergeCached(word string, dst []token) ([]token, error) {
	if found, ok := m.cache.get(word); ok {
		return append(dst, found...), nil
	}
	w := wordPool.Get().(*mergeWord)
	defer w.release()
	if err := m.symbols(word, w); err != nil {
		return nil, err
	}
	w.mergeAll(&m.merges)
	mark := len(dst)
	dst = w.appendTokens(dst)
	m.cache.put(word, dst[mark:])
	return dst, nil
}

// readsBytes says whether every byte has a token, so that tokenizeBytes can be asked.
func (m *bpe) readsBytes() bool { return m.plain && !slices.Contains(m.spelled[:], -1) }

// tokenizeBytes is tokenize for the spelling of word in the byte-level alphabet, which is not made; the
// tokens cover bytes of the word itself.
func (m *bpe) tokenizeBytes(word string, dst []token) []token {
	if word == "" {
		return dst
	}
	if found, ok := m.byteCache.get(word); ok {
		return append(dst, found...)
	}
	mark := len(dst)
	id, whole := int32(0), false
	if m.ignoreMerges {
		id, whole = m.vocab[spell(word)]
	}
	if whole {
		dst = append(dst, token{id, 0, int32(len(word))})
	} else {
		w := wordPool.Get().(*mergeWord)
		for i := range len(word) {
			w.add(m.spelled[word[i]], 1)
		}
		w.mergeAll(&m.merges)
		dst = w.appendTokens(dst)
		w.release()
	}
	m.byteCache.put(word, dst[mark:])
	return dst
}

// symbols fills w with the initial symbols of word: a token for each character, byte tokens or the
// unknown token for those that have none, nothing where there is no unknown token either.
func (m *bpe) symbols(word string, w *mergeWord) error {
	unkLen := int32(0) // length of an unknown token that is still growing
	var unkID int32
	flush := func() {
		if unkLen > 0 {
			w.add(unkID, unkLen)
			unkLen = 0
		}
	}
	for i := 0; i < len(word); {
		r, size := utf8.DecodeRuneInString(word[i:])
		id, ok := m.character(word, r, i, i+size)
		n := int32(size)
		switch {
		case ok:
			flush()
			w.add(id, n)
		case m.byteFallback && m.addBytes(m.decorate(word, i, i+size), w):
			// An unknown token that came before stays open, and lands after these bytes: so it is in
			// Hugging Face's tokenizers.
		case m.unk != "":
			if !m.fuseUnk {
				flush()
			}
			if unkID, ok = m.vocab[m.unk]; !ok {
				return fmt.Errorf("tokenizer: unknown token %s is not in the vocabulary, needed for %s", jsontext.Quote(m.unk), jsontext.Quote(word[i:i+size]))
			}
			unkLen += n
		}
		i += size
	}
	flush()
	return nil
}

// character is the token of the character at word[i:end].
func (m *bpe) character(word string, r rune, i, end int) (int32, bool) {
	if m.plain {
		if r < alphabetEnd {
			id := m.alphabet[r]
			return id, id >= 0
		}
		id, ok := m.vocab[word[i:end]]
		return id, ok
	}
	id, ok := m.vocab[m.decorate(word, i, end)]
	return id, ok
}

// decorate is the character as the vocabulary spells it at its place in the word.
func (m *bpe) decorate(word string, i, end int) string {
	s := word[i:end]
	if i > 0 {
		s = m.prefix + s
	}
	if end == len(word) {
		s += m.suffix
	}
	return s
}

func (m *bpe) addBytes(s string, w *mergeWord) bool {
	for i := range len(s) {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	for i := range len(s) {
		w.add(m.bytes[s[i]], 1)
	}
	return true
}
