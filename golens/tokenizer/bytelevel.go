// The byte-level alphabet of GPT-2: every byte has one printable character, so that any text can be
// spelled in a vocabulary of strings (Radford et al. 2019, "Language Models are Unsupervised
// Multitask Learners"). The pre-tokenizer spells text in it, the decoder reads it back.

package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// alphabetEnd is the first code point after the alphabet.
const alphabetEnd = 0x144

var (
	byteToRune [256]rune
	// runeToByte has -1 for characters that are not in the alphabet.
	runeToByte [alphabetEnd]int16
	byteToText [256]string
)

func init() {
	for i := range runeToByte {
		runeToByte[i] = -1
	}
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		printable := (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE
		if !printable {
			r = next
			next++
		}
		byteToRune[b] = r
		byteToText[b] = string(r)
		runeToByte[r] = int16(b)
	}
	registerPreTokenizer("ByteLevel", newByteLevelPre)
	registerDecoder("ByteLevel", func(json.RawMessage) (decoder, error) { return byteLevelDecoder{}, nil })
}

// alphabetByte is the byte that r stands for; ok is false when r is not in the alphabet.
func alphabetByte(r rune) (b byte, ok bool) {
	if r < 0 || r >= alphabetEnd || runeToByte[r] < 0 {
		return 0, false
	}
	return byte(runeToByte[r]), true
}

// inAlphabet says whether the whole of s is spelled in the alphabet.
func inAlphabet(s string) bool {
	for _, r := range s {
		if _, ok := alphabetByte(r); !ok {
			return false
		}
	}
	return true
}

// spell writes the bytes of s in the alphabet.
func spell(s string) string {
	var out strings.Builder
	out.Grow(2 * len(s))
	for i := range len(s) {
		out.WriteString(byteToText[s[i]])
	}
	return out.String()
}

// gpt2Pattern is what ByteLevel splits with when nothing else does: compiled once for all tokenizers.
var gpt2Pattern = sync.OnceValues(func() (*pattern, error) { return compilePattern(splitGPT2) })

type byteLevelPre struct {
	addPrefixSpace bool
	split          *pattern // nil: the text is not split here
}

func newByteLevelPre(raw json.RawMessage) (preTokenizer, error) {
	cfg := struct {
		AddPrefixSpace bool `json:"add_prefix_space"`
		UseRegex       bool `json:"use_regex"`
	}{UseRegex: true}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	return newByteLevel(cfg.AddPrefixSpace, cfg.UseRegex)
}

func newByteLevel(addPrefixSpace, useRegex bool) (preTokenizer, error) {
	p := byteLevelPre{addPrefixSpace: addPrefixSpace}
	if useRegex {
		split, err := gpt2Pattern()
		if err != nil {
			return nil, err
		}
		p.split = split
	}
	return p, nil
}

func (b byteLevelPre) preTokenize(p piece, emit func(piece)) error {
	return b.cut(p, func(q piece) {
		q.text, q.align = spell(q.text), spellAlign(q.text, q.alignment())
		emit(q)
	})
}

// cut is preTokenize without the spelling.
func (b byteLevelPre) cut(p piece, emit func(piece)) error {
	if b.addPrefixSpace && !strings.HasPrefix(p.text, " ") {
		p = p.prepend(" ")
	}
	if b.split == nil || len(p.text) == 1 { // digits come one by one from some pre-tokenizers
		emit(p)
		return nil
	}
	return b.split.each(p.text, func(m match) { emit(p.slice(m.start, m.end)) })
}

// unspelled is a pre-tokenizer that ends with ByteLevel without the spelling: what cuts text for a model
// that reads bytes. ok is false for any other.
func unspelled(p preTokenizer) (cutter preTokenizer, ok bool) {
	switch p := p.(type) {
	case byteLevelPre:
		return byteLevelCut{p}, true
	case preSequence:
		if len(p) == 0 {
			return nil, false
		}
		last, ok := unspelled(p[len(p)-1])
		return append(slices.Clone(p[:len(p)-1]), last), ok
	}
	return nil, false
}

type byteLevelCut struct{ byteLevelPre }

func (b byteLevelCut) preTokenize(p piece, emit func(piece)) error { return b.cut(p, emit) }

// spellAlign is the alignment of the spelling of text: each byte became one or two.
func spellAlign(text string, align []span) []span {
	if align == nil {
		return nil
	}
	out := make([]span, 0, len(align)+len(align)/2)
	for i := range len(text) {
		for range len(byteToText[text[i]]) {
			out = append(out, align[i])
		}
	}
	return out
}

type byteLevelDecoder struct{}

// decodeChain joins all tokens: a character may be spread over several of them. A token that is not
// spelled in the alphabet (an added token, usually) stands for its own text.
func (byteLevelDecoder) decodeChain(tokens []string) ([]string, error) {
	size := 0
	for _, t := range tokens {
		size += len(t)
	}
	out := make([]byte, 0, size)
	for _, t := range tokens {
		mark := len(out)
		for _, r := range t {
			b, ok := alphabetByte(r)
			if !ok {
				out = append(out[:mark], t...)
				break
			}
			out = append(out, b)
		}
	}
	return []string{lossy(string(out))}, nil
}
