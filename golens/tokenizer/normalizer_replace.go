// The normalizers Prepend and Replace, which Llama-2 style tokenizers mark spaces with, and the
// decoder Replace, which takes the marks away again.

package tokenizer

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() {
	registerNormalizer("Prepend", func(raw json.RawMessage) (normalizer, error) {
		var cfg struct{ Prepend string }
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return prependNormalizer(cfg.Prepend), nil
	})
	registerNormalizer("Replace", func(raw json.RawMessage) (normalizer, error) { return newReplacement(raw) })
	registerDecoder("Replace", func(raw json.RawMessage) (decoder, error) { return newReplacement(raw) })
}

type prependNormalizer string

func (s prependNormalizer) normalize(p piece) (piece, error) { return alone(s, p) }

func (s prependNormalizer) normalizeWithin(p piece, limit int) (piece, bool, error) {
	if len(p.text)+len(s) > limit {
		return piece{}, false, nil
	}
	return p.prepend(string(s)), true, nil
}

// alone is a step that is in no sequence.
func alone(g grower, p piece) (piece, error) {
	q, ok, err := g.normalizeWithin(p, growthLimit(len(p.text)))
	if err == nil && !ok {
		err = tooLong("normalizer", 0, 1, len(p.text))
	}
	return q, err
}

type replacement struct {
	pattern *pattern
	content string
}

func newReplacement(raw json.RawMessage) (*replacement, error) {
	var cfg struct {
		Pattern json.RawMessage
		Content string
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	p, err := parsePattern(cfg.Pattern)
	if err != nil {
		return nil, err
	}
	return &replacement{pattern: p, content: cfg.Content}, nil
}

// parsePattern reads {"String": "..."} or {"Regex": "..."}.
func parsePattern(raw json.RawMessage) (*pattern, error) {
	var cfg struct{ String, Regex *string }
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	switch {
	case cfg.String != nil:
		return literalPattern(*cfg.String)
	case cfg.Regex != nil:
		return compilePattern(*cfg.Regex)
	}
	return nil, errors.New(`pattern: expected {"String": ...} or {"Regex": ...}`)
}

func (r *replacement) normalize(p piece) (piece, error) { return alone(r, p) }

func (r *replacement) normalizeWithin(p piece, limit int) (piece, bool, error) {
	ms, err := r.pattern.all(p.text)
	if err != nil {
		return piece{}, false, err
	}
	if replacedLength(ms, r.content) > limit {
		return piece{}, false, nil
	}
	return p.replace(ms, r.content), true, nil
}

// replacedLength is the length of a text with content in the place of every match.
func replacedLength(ms []match, content string) int {
	n := 0
	for _, m := range ms {
		if m.hit {
			n += len(content)
		} else {
			n += m.end - m.start
		}
	}
	return n
}

func (r *replacement) decodeChain(tokens []string) ([]string, error) {
	size := totalLength(tokens)
	out, ok, err := r.decodeWithin(tokens, growthLimit(size))
	if err == nil && !ok {
		err = tooLong("decoder", 0, 1, size)
	}
	return out, err
}

// decodeWithin is decodeChain as long as all tokens together stay within the limit.
func (r *replacement) decodeWithin(tokens []string, limit int) (out []string, ok bool, err error) {
	out = make([]string, len(tokens))
	for i, t := range tokens {
		if r.pattern.re == nil {
			limit -= len(t)
			if more := len(r.content) - len(r.pattern.literal); more > 0 {
				limit -= more * strings.Count(t, r.pattern.literal)
			}
			if limit < 0 {
				return nil, false, nil
			}
			out[i] = strings.ReplaceAll(t, r.pattern.literal, r.content)
			continue
		}
		ms, err := r.pattern.all(t)
		if err != nil {
			return nil, false, err
		}
		if limit -= replacedLength(ms, r.content); limit < 0 {
			return nil, false, nil
		}
		out[i] = piece{text: t}.replace(ms, r.content).text
	}
	return out, true, nil
}
