// Pre-tokenizers that cut text into words: BertPreTokenizer, Whitespace, WhitespaceSplit,
// Punctuation, CharDelimiterSplit, FixedLength and UnicodeScripts.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() {
	registerPreTokenizer("WhitespaceSplit", func(json.RawMessage) (preTokenizer, error) {
		return classPre{isSpace, removed}, nil
	})
	registerPreTokenizer("Whitespace", func(json.RawMessage) (preTokenizer, error) { return wordPre{}, nil })
	registerPreTokenizer("Punctuation", newPunctuationPre)
	registerPreTokenizer("BertPreTokenizer", func(json.RawMessage) (preTokenizer, error) {
		punctuation, err := punctuationClass()
		return preSequence{classPre{isSpace, removed}, classPre{punctuation, isolated}}, err
	})
	registerPreTokenizer("CharDelimiterSplit", newDelimiterPre)
	registerPreTokenizer("FixedLength", newFixedLengthPre)
	registerPreTokenizer("UnicodeScripts", func(json.RawMessage) (preTokenizer, error) { return newScriptPre(), nil })
}

// classPre cuts at every character of a class.
type classPre struct {
	in       func(rune) bool
	behavior behavior
}

func (c classPre) preTokenize(p piece, emit func(piece)) error {
	if c.behavior != removed && c.behavior != isolated {
		for _, m := range c.behavior.apply(runeMatches(p.text, c.in)) {
			emit(p.slice(m.start, m.end))
		}
		return nil
	}
	done := 0
	for i, r := range p.text {
		if !c.in(r) {
			continue
		}
		if done < i {
			emit(p.slice(done, i))
		}
		done = i + utf8.RuneLen(r)
		if c.behavior == isolated {
			emit(p.slice(i, done))
		}
	}
	emit(p.slice(done, len(p.text)))
	return nil
}

func newDelimiterPre(raw json.RawMessage) (preTokenizer, error) {
	var delimiter string
	if err := decoderFields(raw, map[string]any{"delimiter": &delimiter}); err != nil {
		return nil, err
	}
	r, n := utf8.DecodeRuneInString(delimiter)
	if n == 0 || n != len(delimiter) {
		return nil, fmt.Errorf("delimiter %s: expected one character", jsontext.Quote(delimiter))
	}
	return classPre{func(c rune) bool { return c == r }, removed}, nil
}

func punctuationClass() (func(rune) bool, error) {
	marks, err := unicodeSet("punctuation") // with the symbols of ASCII
	return marks.has, err
}

func newPunctuationPre(raw json.RawMessage) (preTokenizer, error) {
	cfg := struct{ Behavior behavior }{isolated}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	if err := cfg.Behavior.validate(); err != nil {
		return nil, err
	}
	in, err := punctuationClass()
	return classPre{in, cfg.Behavior}, err
}

// wordPre keeps runs of word characters, and runs of what is neither that nor white space.
type wordPre struct{}

func (wordPre) preTokenize(p piece, emit func(piece)) error {
	const space, word, other = 0, 1, 2
	kind := func(r rune) int {
		switch {
		case isSpace(r):
			return space
		case isWordRune(r):
			return word
		}
		return other
	}
	start, last := 0, space
	for i, r := range p.text {
		if k := kind(r); k != last {
			if last != space {
				emit(p.slice(start, i))
			}
			start, last = i, k
		}
	}
	if last != space {
		emit(p.slice(start, len(p.text)))
	}
	return nil
}

// fixedLengthPre cuts after so many characters.
type fixedLengthPre int

func newFixedLengthPre(raw json.RawMessage) (preTokenizer, error) {
	cfg := struct{ Length uint }{5}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	if cfg.Length == 0 {
		return nil, errors.New("length 0: expected at least 1")
	}
	return fixedLengthPre(min(cfg.Length, 1<<30)), nil
}

func (length fixedLengthPre) preTokenize(p piece, emit func(piece)) error {
	start, n := 0, 0
	for i := range p.text {
		if n == int(length) {
			emit(p.slice(start, i))
			start, n = i, 0
		}
		n++
	}
	emit(p.slice(start, len(p.text)))
	return nil
}

// scriptPre cuts where the script changes, as SentencePiece does when it is trained.
type scriptPre struct{ scripts *scriptTable }

// scriptTable gives the scripts of characters, with Japanese kana counted as Han.
type scriptTable struct {
	ranges []runeRange
	han    int16
	kana   map[int16]bool
}

// anyScript is the script of spaces and of characters that have none: it goes with its neighbours.
const anyScript = -1

func newScriptPre() scriptPre {
	names, ranges := scriptRanges()
	t := &scriptTable{ranges: ranges, han: anyScript, kana: map[int16]bool{}}
	for i, name := range names {
		switch name {
		case "Han":
			t.han = int16(i)
		case "Hiragana", "Katakana":
			t.kana[int16(i)] = true
		}
	}
	return scriptPre{t}
}

func (t *scriptTable) of(r rune) int16 {
	s, ok := findRange(t.ranges, r)
	switch {
	case !ok:
		return anyScript
	case t.kana[s]:
		return t.han
	}
	return s
}

func (s scriptPre) preTokenize(p piece, emit func(piece)) error {
	start, seen, last := 0, false, int16(anyScript)
	for i, r := range p.text {
		script := s.scripts.of(r)
		if script == anyScript {
			continue
		}
		if !seen {
			start = i // what comes before the first script goes away, as it does in Hugging Face's
		} else if script != last {
			emit(p.slice(start, i))
			start = i
		}
		seen, last = true, script
	}
	if seen {
		emit(p.slice(start, len(p.text)))
	}
	return nil
}
