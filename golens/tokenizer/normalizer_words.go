// The normalizers that clean text for models of words: BertNormalizer, Lowercase, StripAccents,
// Strip, Nmt; and ByteLevel, which spells text in the byte-level alphabet.

package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() {
	registerNormalizer("BertNormalizer", newBertNormalizer)
	registerNormalizer("Lowercase", func(json.RawMessage) (normalizer, error) { return lowercase{}, nil })
	registerNormalizer("Nmt", func(json.RawMessage) (normalizer, error) { return nmt{}, nil })
	registerNormalizer("ByteLevel", func(json.RawMessage) (normalizer, error) { return byteLevelNorm{}, nil })
	registerNormalizer("StripAccents", func(json.RawMessage) (normalizer, error) {
		marks, err := unicodeSet("combining")
		return stripAccents{marks}, err
	})
	registerNormalizer("Strip", func(raw json.RawMessage) (normalizer, error) {
		var s strip
		err := decoderFields(raw, map[string]any{"strip_left": &s.left, "strip_right": &s.right})
		return s, err
	})
}

type lowercase struct{}

func (lowercase) normalize(p piece) (piece, error) {
	if isASCII(p.text) {
		p.text = lowerASCII(p.text) // each byte stands for what its predecessor stood for
		return p, nil
	}
	changes := make([]change, 0, len(p.text))
	lower := lowerLetters()
	for _, r := range p.text {
		if r == 'İ' { // the one letter that becomes two
			changes = append(changes, change{'i', 0}, change{'\u0307', 1})
			continue
		}
		changes = append(changes, change{lower.of(r), 0})
	}
	return p.rewrite(changes), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

type stripAccents struct{ marks *runeSet }

func (s stripAccents) normalize(p piece) (piece, error) {
	return p.filter(func(r rune) bool { return !s.marks.has(r) }), nil
}

// strip takes white space off the ends.
type strip struct{ left, right bool }

func (s strip) normalize(p piece) (piece, error) {
	from, to := 0, len(p.text)
	if s.left {
		from = len(p.text) - len(strings.TrimLeftFunc(p.text, isSpace))
	}
	if s.right {
		to = max(len(strings.TrimRightFunc(p.text, isSpace)), from)
	}
	if from == 0 && p.align == nil {
		return p.with(p.text[:to], nil), nil
	}
	align := p.alignment()
	if align != nil {
		align = align[from:to]
	}
	return p.with(p.text[from:to], align), nil
}

// nmt is the clean-up of machine translation corpora that SentencePiece calls nmt.
type nmt struct{}

func (nmt) normalize(p piece) (piece, error) {
	p = p.filter(func(r rune) bool {
		return !(r >= 0x1 && r <= 0x8 || r == 0xB || r >= 0xE && r <= 0x1F || r == 0x7F || r == 0x8F || r == 0x9F)
	})
	return p.mapRunes(func(r rune) rune {
		switch {
		case r == 0x9, r == 0xA, r == 0xC, r == 0xD, r == 0x1680, r >= 0x200B && r <= 0x200F,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == utf8.RuneError:
			return ' '
		}
		return r
	}), nil
}

type byteLevelNorm struct{}

func (byteLevelNorm) normalize(p piece) (piece, error) {
	changes := make([]change, 0, len(p.text))
	for i, r := range p.text {
		for k := range utf8.RuneLen(r) {
			changes = append(changes, change{byteToRune[p.text[i+k]], min(k, 1)})
		}
	}
	return p.rewrite(changes), nil
}

// bertNormalizer is what BERT does to text (Devlin et al. 2018).
type bertNormalizer struct {
	clean, chinese, accents, lower bool
	unclean, marks                 *runeSet
}

func newBertNormalizer(raw json.RawMessage) (normalizer, error) {
	var b bertNormalizer
	err := decoderFields(raw, map[string]any{"clean_text": &b.clean, "handle_chinese_chars": &b.chinese, "lowercase": &b.lower})
	if err != nil {
		return nil, err
	}
	var cfg struct {
		StripAccents *bool `json:"strip_accents"`
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	b.accents = b.lower
	if cfg.StripAccents != nil {
		b.accents = *cfg.StripAccents
	}
	if b.unclean, err = unicodeSet("unclean"); err != nil {
		return nil, err
	}
	b.marks, err = unicodeSet("nonspacing")
	return b, err
}

func (b bertNormalizer) normalize(p piece) (piece, error) {
	if text, ok := b.ascii(p.text); ok && (!p.track || len(text) == len(p.text)) {
		p.text = text // each byte stands for what its predecessor stood for
		return p, nil
	}
	if b.clean {
		p = p.filter(func(r rune) bool { return !b.unclean.has(r) }).mapRunes(func(r rune) rune {
			if isSpace(r) {
				return ' '
			}
			return r
		})
	}
	if b.chinese {
		p = spaceChinese(p)
	}
	if b.accents {
		var err error
		if p, err = (unicodeForm{}).normalize(p); err != nil {
			return piece{}, err
		}
		p = p.filter(func(r rune) bool { return !b.marks.has(r) })
	}
	if b.lower {
		return lowercase{}.normalize(p)
	}
	return p, nil
}

// ascii is the result for a text of ASCII alone, in one go.
func (b bertNormalizer) ascii(text string) (string, bool) {
	changed := false
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return "", false
		}
		changed = changed || c < ' ' || c == 0x7F || c >= 'A' && c <= 'Z'
	}
	if !changed {
		return text, true
	}
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		c := text[i]
		switch {
		case b.clean && (c == '\t' || c == '\n' || c == '\r'):
			c = ' '
		case b.clean && (c < ' ' || c == 0x7F):
			continue
		case b.lower && c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out), true
}

// spaceChinese puts spaces around ideographs.
func spaceChinese(p piece) piece {
	if !strings.ContainsFunc(p.text, isChinese) {
		return p
	}
	changes := make([]change, 0, len(p.text))
	for _, r := range p.text {
		if isChinese(r) {
			changes = append(changes, change{' ', 0}, change{r, 1}, change{' ', 1})
		} else {
			changes = append(changes, change{r, 0})
		}
	}
	return p.rewrite(changes)
}

// isChinese follows BERT, whose last but two range begins later than the Unicode block that it means.
func isChinese(r rune) bool {
	return r >= 0x3400 && (r <= 0x4DBF || r >= 0x4E00 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0x2F800 && r <= 0x2FA1F)
}
