// Pre-tokenizers cut text into the stretches that a model may make tokens within. This file has the
// kinds' registry, Sequence, Split and Digits; each further kind is a file of its own.

package tokenizer

import (
	"encoding/json"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// preTokenizer cuts (and may rewrite) a piece that is not an added token, and gives what it makes of it
// to emit, in order. It must be safe for concurrent use. Who is given an empty piece leaves it out.
type preTokenizer interface {
	preTokenize(p piece, emit func(piece)) error
}

var preTokenizers = map[string]func(json.RawMessage) (preTokenizer, error){}

func registerPreTokenizer(kind string, build func(json.RawMessage) (preTokenizer, error)) {
	preTokenizers[kind] = build
}

func init() {
	registerPreTokenizer("Sequence", func(raw json.RawMessage) (preTokenizer, error) {
		var cfg struct{ Pretokenizers []json.RawMessage }
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return buildSequence(cfg.Pretokenizers, parsePreTokenizer, func(parts []preTokenizer) preTokenizer { return flattened[preSequence](parts) })
	})
	registerPreTokenizer("Split", newSplitPre)
	registerPreTokenizer("Digits", func(raw json.RawMessage) (preTokenizer, error) {
		var cfg struct {
			Individual bool `json:"individual_digits"`
		}
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return digitsPre{individual: cfg.Individual}, nil
	})
}

func parsePreTokenizer(raw json.RawMessage) (preTokenizer, error) {
	return buildComponent("pre_tokenizer", preTokenizers, raw)
}

type preSequence []preTokenizer

// preTokenize has each part work on what the one before it emits, so that no list of pieces is made.
func (s preSequence) preTokenize(p piece, emit func(piece)) error {
	var failed error
	size := len(p.text)
	limit := growthLimit(size)
	for i := len(s) - 1; i >= 0; i-- {
		part, next, total := s[i], emit, 0
		emit = func(q piece) {
			if q.text == "" || failed != nil {
				return
			}
			if total += len(q.text); total > limit {
				failed = tooLong("pre-tokenizer", i-1, len(s), size)
				return
			}
			if err := part.preTokenize(q, next); err != nil && failed == nil {
				failed = err
			}
		}
	}
	emit(p)
	return failed
}

// splitPre cuts at the matches of a pattern, or at what lies between them when invert is set.
type splitPre struct {
	pattern  *pattern
	behavior behavior
	invert   bool
}

func newSplitPre(raw json.RawMessage) (preTokenizer, error) {
	var cfg struct {
		Pattern  json.RawMessage
		Behavior behavior
		Invert   bool
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	if err := cfg.Behavior.validate(); err != nil {
		return nil, err
	}
	p, err := parsePattern(cfg.Pattern)
	if err != nil {
		return nil, err
	}
	return splitPre{pattern: p, behavior: cfg.Behavior, invert: cfg.Invert}, nil
}

func (s splitPre) preTokenize(p piece, emit func(piece)) error {
	if s.behavior == isolated { // whatever matched, every stretch stays
		return s.pattern.each(p.text, func(m match) { emit(p.slice(m.start, m.end)) })
	}
	ms, err := s.pattern.all(p.text)
	if err != nil {
		return err
	}
	if s.invert {
		for i := range ms {
			ms[i].hit = !ms[i].hit
		}
	}
	for _, m := range s.behavior.apply(ms) {
		emit(p.slice(m.start, m.end))
	}
	return nil
}

// digitsPre cuts numbers off, each digit by itself when individual is set.
type digitsPre struct{ individual bool }

func (d digitsPre) preTokenize(p piece, emit func(piece)) error {
	if d.individual {
		return classPre{numericSet().has, isolated}.preTokenize(p, emit)
	}
	return classPre{numericSet().has, contiguous}.preTokenize(p, emit)
}
