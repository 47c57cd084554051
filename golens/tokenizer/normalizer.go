// Normalizers rewrite text before it is split. This file has the kinds' registry and Sequence; each
// further kind is a file of its own that registers itself.

package tokenizer

import (
	"encoding/json"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// normalizer rewrites a piece of text. It must be safe for concurrent use.
type normalizer interface {
	normalize(p piece) (piece, error)
}

var normalizers = map[string]func(json.RawMessage) (normalizer, error){}

func registerNormalizer(kind string, build func(json.RawMessage) (normalizer, error)) {
	normalizers[kind] = build
}

func init() {
	registerNormalizer("Sequence", func(raw json.RawMessage) (normalizer, error) {
		var cfg struct{ Normalizers []json.RawMessage }
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return buildSequence(cfg.Normalizers, parseNormalizer, func(parts []normalizer) normalizer { return flattened[normSequence](parts) })
	})
}

func parseNormalizer(raw json.RawMessage) (normalizer, error) {
	return buildComponent("normalizer", normalizers, raw)
}

type normSequence []normalizer

func (s normSequence) normalize(p piece) (piece, error) {
	size := len(p.text)
	limit := growthLimit(size)
	for i, n := range s {
		var ok bool
		var err error
		if p, ok, err = normalizeStep(n, p, limit); err != nil {
			return piece{}, err
		}
		if !ok {
			return piece{}, tooLong("normalizer", i, len(s), size)
		}
	}
	return p, nil
}
