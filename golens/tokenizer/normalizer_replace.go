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

func (s prependNormalizer) normalize(p piece) (piece, error) { return p.prepend(string(s)), nil }

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

func (r *replacement) normalize(p piece) (piece, error) {
	ms, err := r.pattern.all(p.text)
	if err != nil {
		return piece{}, err
	}
	return p.replace(ms, r.content), nil
}

func (r *replacement) decodeChain(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		if r.pattern.re == nil {
			out[i] = strings.ReplaceAll(t, r.pattern.literal, r.content)
			continue
		}
		ms, err := r.pattern.all(t)
		if err != nil {
			return nil, err
		}
		out[i] = piece{text: t}.replace(ms, r.content).text
	}
	return out, nil
}
