// Metaspace: spaces become a visible character (SentencePiece's U+2581) that stays part of the
// words. The pre-tokenizer puts it in, the decoder takes it out.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
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
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	switch cfg.PrependScheme {
	case "always", "first", "never":
	default:
		return nil, fmt.Errorf("prepend_scheme %s: %w (expected always, first or never)", jsontext.Quote(cfg.PrependScheme), ErrUnsupported)
	}
	if cfg.AddPrefixSpace != nil && !*cfg.AddPrefixSpace && cfg.PrependScheme != "never" {
		return nil, fmt.Errorf("add_prefix_space false contradicts prepend_scheme %s", jsontext.Quote(cfg.PrependScheme))
	}
	if utf8.RuneCountInString(cfg.Replacement) != 1 {
		return nil, fmt.Errorf("replacement %s: expected one character", jsontext.Quote(cfg.Replacement))
	}
	return &metaspace{mark: cfg.Replacement, scheme: cfg.PrependScheme, split: cfg.Split == nil || *cfg.Split}, nil
}

func (m *metaspace) preTokenize(p piece, emit func(piece)) error {
	p = m.markSpaces(p)
	start := 0 // of a stretch; each mark begins one
	for m.split {
		from := start
		if strings.HasPrefix(p.text[start:], m.mark) {
			from += len(m.mark)
		}
		i := strings.Index(p.text[from:], m.mark)
		if i < 0 {
			break
		}
		emit(p.slice(start, from+i))
		start = from + i
	}
	emit(p.slice(start, len(p.text)))
	return nil
}

// markSpaces puts a mark in the place of every space, and in front of a text that has none there. That
// one stands for the first character.
func (m *metaspace) markSpaces(p piece) piece {
	count := strings.Count(p.text, " ")
	prefix := 0
	if !strings.HasPrefix(p.text, " ") && !strings.HasPrefix(p.text, m.mark) && (m.scheme == "always" || m.scheme == "first" && p.base == 0) {
		prefix = 1
	}
	if count+prefix == 0 || p.text == "" {
		return p
	}
	size := len(p.text) + prefix*len(m.mark) + count*(len(m.mark)-1)
	text := make([]byte, 0, size)
	var align []span
	sources := p.alignment()
	put := func(from int) {
		text = append(text, m.mark...)
		for range len(m.mark) {
			if p.track {
				align = append(align, sources[from])
			}
		}
	}
	if p.track {
		align = make([]span, 0, size)
	}
	if prefix > 0 {
		put(0)
	}
	for at := 0; at < len(p.text); {
		n := strings.IndexByte(p.text[at:], ' ')
		if n < 0 {
			n = len(p.text) - at
		}
		text = append(text, p.text[at:at+n]...)
		if p.track {
			align = append(align, sources[at:at+n]...)
		}
		if at += n; at < len(p.text) {
			put(at)
			at++
		}
	}
	return p.with(string(text), align)
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
