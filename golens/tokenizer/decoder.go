// Decoders turn the strings of tokens back into text. This file has the kinds' registry and the small
// ones that Llama-2 style tokenizers chain: Sequence, ByteFallback, Fuse and Strip.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// decoder rewrites a list of token strings; their concatenation is the text. It must be safe for
// concurrent use.
type decoder interface {
	decodeChain(tokens []string) ([]string, error)
}

var decoders = map[string]func(json.RawMessage) (decoder, error){}

func registerDecoder(kind string, build func(json.RawMessage) (decoder, error)) {
	decoders[kind] = build
}

func init() {
	registerDecoder("Sequence", func(raw json.RawMessage) (decoder, error) {
		var cfg struct{ Decoders []json.RawMessage }
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return buildSequence(cfg.Decoders, parseDecoder, func(parts []decoder) decoder { return flattened[decoderSequence](parts) })
	})
	registerDecoder("ByteFallback", func(json.RawMessage) (decoder, error) { return byteFallbackDecoder{}, nil })
	registerDecoder("Fuse", func(json.RawMessage) (decoder, error) { return fuseDecoder{}, nil })
	registerDecoder("Strip", newStripDecoder)
}

func parseDecoder(raw json.RawMessage) (decoder, error) {
	return buildComponent("decoder", decoders, raw)
}

type decoderSequence []decoder

func (s decoderSequence) decodeChain(tokens []string) ([]string, error) {
	if len(s) == 0 {
		return tokens, nil
	}
	size := totalLength(tokens)
	limit := growthLimit(size)
	for i, d := range s {
		var ok bool
		var err error
		if r, grows := d.(*replacement); grows {
			tokens, ok, err = r.decodeWithin(tokens, limit)
		} else {
			tokens, err = d.decodeChain(tokens)
			ok = err != nil || totalLength(tokens) <= limit
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, tooLong("decoder", i, len(s), size)
		}
	}
	return tokens, nil
}

// byteFallbackDecoder joins runs of tokens like <0xE4> into characters. A run that is not UTF-8
// becomes one U+FFFD for each of its bytes.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decodeChain(tokens []string) ([]string, error) {
	out := make([]string, 0, len(tokens))
	var run []byte
	flush := func() {
		if utf8.Valid(run) {
			if len(run) > 0 {
				out = append(out, string(run))
			}
		} else {
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, t := range tokens {
		if b, ok := fallbackByte(t); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out, nil
}

func fallbackByte(t string) (byte, bool) {
	if len(t) != 6 || !strings.HasPrefix(t, "<0x") || t[5] != '>' {
		return 0, false
	}
	hex := t[3:5]
	if hex[0] == '+' { // Rust's from_str_radix takes a sign, Go's ParseUint does not
		hex = hex[1:]
	}
	b, err := strconv.ParseUint(hex, 16, 8)
	return byte(b), err == nil
}

type fuseDecoder struct{}

func (fuseDecoder) decodeChain(tokens []string) ([]string, error) {
	return []string{strings.Join(tokens, "")}, nil
}

// stripDecoder takes up to start and stop of one character off the ends of every token.
type stripDecoder struct {
	content     string
	start, stop int
}

func newStripDecoder(raw json.RawMessage) (decoder, error) {
	var cfg struct {
		Content     string
		Start, Stop uint
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(cfg.Content) != 1 {
		return nil, fmt.Errorf("content %s: expected one character", jsontext.Quote(cfg.Content))
	}
	return stripDecoder{cfg.Content, int(min(cfg.Start, 1<<30)), int(min(cfg.Stop, 1<<30))}, nil
}

func (s stripDecoder) decodeChain(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		for n := 0; n < s.start && strings.HasPrefix(t, s.content); n++ {
			t = t[len(s.content):]
		}
		for n := 0; n < s.stop && strings.HasSuffix(t, s.content); n++ {
			t = t[:len(t)-len(s.content)]
		}
		out[i] = t
	}
	return out, nil
}
