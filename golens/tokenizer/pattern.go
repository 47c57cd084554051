// Finding what splits a text: a regular expression, a literal or a class of characters, all as a list
// of matches and of the stretches between them.

package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer/oniguruma"
)

// match is a range of bytes; hit is false for what lies between two matches.
type match struct {
	start, end int
	hit        bool
}

// pattern is a compiled regular expression or a literal string.
type pattern struct {
	re      *oniguruma.Regexp
	literal string
}

// compilePattern compiles an expression written for Oniguruma, which is what tokenizer.json holds.
func compilePattern(expr string) (*pattern, error) {
	re, err := oniguruma.Compile(expr)
	switch {
	case errors.Is(err, oniguruma.ErrUnsupported):
		return nil, fmt.Errorf("regular expression %s: %w: %w", jsontext.Quote(expr), ErrUnsupported, err)
	case err != nil:
		return nil, fmt.Errorf("regular expression %s: %w", jsontext.Quote(expr), err)
	}
	return &pattern{re: re}, nil
}

func literalPattern(s string) (*pattern, error) {
	if s == "" {
		return nil, errors.New("empty pattern: expected a string of at least one character")
	}
	return &pattern{literal: s}, nil
}

// each calls f for every match and every stretch between matches, in order. Hugging Face's tokenizers
// search no empty text.
func (p *pattern) each(text string, f func(match)) error {
	if text == "" {
		return nil
	}
	if p.re == nil {
		p.eachLiteral(text, f)
		return nil
	}
	at := 0
	err := p.re.Each(text, func(start, end int) {
		if at < start {
			f(match{at, start, false})
		}
		f(match{start, end, true})
		at = end
	})
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if at < len(text) {
		f(match{at, len(text), false})
	}
	return nil
}

func (p *pattern) eachLiteral(text string, f func(match)) {
	at := 0
	for {
		i := strings.Index(text[at:], p.literal)
		if i < 0 {
			break
		}
		if i > 0 {
			f(match{at, at + i, false})
		}
		f(match{at + i, at + i + len(p.literal), true})
		at += i + len(p.literal)
	}
	if at < len(text) {
		f(match{at, len(text), false})
	}
}

// all is each as a list.
func (p *pattern) all(text string) ([]match, error) {
	var out []match
	err := p.each(text, func(m match) { out = append(out, m) })
	return out, err
}

// runeMatches makes a match of every single character that is in the class.
func runeMatches(text string, in func(rune) bool) []match {
	var out []match
	last := 0
	for i, r := range text {
		if !in(r) {
			continue
		}
		if last < i {
			out = append(out, match{last, i, false})
		}
		last = i + utf8.RuneLen(r)
		out = append(out, match{i, last, true})
	}
	if last < len(text) {
		out = append(out, match{last, len(text), false})
	}
	return out
}

// behavior is what becomes of the matches when a text is split at them.
type behavior string

const (
	removed            behavior = "Removed"
	isolated           behavior = "Isolated"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous"
)

func (b behavior) validate() error {
	switch b {
	case removed, isolated, mergedWithPrevious, mergedWithNext, contiguous:
		return nil
	}
	return fmt.Errorf("split behavior %s: %w (expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous)", jsontext.Quote(b), ErrUnsupported)
}

// apply turns matches into the ranges that remain.
func (b behavior) apply(ms []match) []match {
	var out []match
	previous := false
	switch b {
	case isolated:
		return ms
	case removed:
		for _, m := range ms {
			if !m.hit {
				out = append(out, m)
			}
		}
	case contiguous:
		for _, m := range ms {
			if m.hit == previous && len(out) > 0 {
				out[len(out)-1].end = m.end
			} else {
				out = append(out, m)
			}
			previous = m.hit
		}
	case mergedWithPrevious:
		for _, m := range ms {
			if m.hit && !previous && len(out) > 0 {
				out[len(out)-1].end = m.end
			} else {
				out = append(out, m)
			}
			previous = m.hit
		}
	case mergedWithNext:
		for i := len(ms) - 1; i >= 0; i-- {
			m := ms[i]
			if m.hit && !previous && len(out) > 0 {
				out[len(out)-1].start = m.start
			} else {
				out = append(out, m)
			}
			previous = m.hit
		}
		for i, k := 0, len(out)-1; i < k; i, k = i+1, k-1 {
			out[i], out[k] = out[k], out[i]
		}
	}
	return out
}
