// Metaspace: spaces become a visible character (SentencePiece's U+2581) that stays part of the
// words. The pre-tokenizer puts it in, the decoder takes it out.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

func init() {
	registerPreTokenizer("Metaspace", func(raw json.RawMessage) (preTokenizer, error) { return newMetaspace(raw) })
	registerDecoder("Metaspace", func(raw json.RawMessage) (decoder, error) {
		m, err := newMetaspace(raw)
		if err != nil {
			return nil, err
		}
		return metaspaceDecoder{m}, nil
	})
}

type metaspace struct {
	mark   string // one character
	scheme string // always, first or never: where a mark is put in front
	split  bool
}

func newMetaspace(raw json.RawMessage) (*metaspace, error) {
	cfg := struct {
		Replacement    string
		AddPrefixSpace *bool  `json:"add_prefix_space"`
		PrependScheme  string `json:"prepend_scheme"`
		Split          *bool
	}{PrependScheme: "always"}
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	switch cfg.PrependScheme {
	case "always", "first", "never":
	default:
		return nil, fmt.Errorf("prepend_scheme %q: %w (expected always, first or never)", cfg.PrependScheme, ErrUnsupported)
	}
	if cfg.AddPrefixSpace != nil && !*cfg.AddPrefixSpace && cfg.PrependScheme != "never" {
		return nil, fmt.Errorf("add_prefix_space false contradicts prepend_scheme %q", cfg.PrependScheme)
	}
	if utf8.RuneCountInString(cfg.Replacement) != 1 {
		return nil, fmt.Errorf("replacement %q: expected one character", cfg.Replacement)
	}
	return &metaspace{mark: cfg.Replacement, scheme: cfg.PrependScheme, split: cfg.Split == nil || *cfg.Split}, nil
}

func (m *metaspace) preTokenize(pieces []piece) ([]piece, error) {
	space, mark := &pattern{literal: " "}, &pattern{literal: m.mark}
	return splitEach(pieces, func(p piece, emit func(piece)) error {
		found, err := space.all(p.text)
		if err != nil {
			return err
		}
		p = p.replace(found, m.mark)
		if !strings.HasPrefix(p.text, m.mark) && (m.scheme == "always" || m.scheme == "first" && p.base == 0) {
			p = p.prepend(m.mark)
		}
		if !m.split {
			emit(p)
			return nil
		}
		marks, err := mark.all(p.text)
		if err != nil {
			return err
		}
		for _, r := range mergedWithNext.apply(marks) {
			emit(p.slice(r.start, r.end))
		}
		return nil
	})
}

// needsOffsets tells the tokenizer to follow offsets even when nobody asked for them: "first" means
// first in the source text, which only they can tell.
func (m *metaspace) needsOffsets() bool { return m.scheme == "first" }

type metaspaceDecoder struct{ *metaspace }

func (m metaspaceDecoder) decodeChain(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		with := " "
		if i == 0 && m.scheme != "never" {
			with = ""
		}
		out[i] = strings.ReplaceAll(t, m.mark, with)
	}
	return out, nil
}
