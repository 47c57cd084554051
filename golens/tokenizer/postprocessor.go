// Post-processors finish an encoding: they add the tokens a model expects around a text. This file
// has the kinds' registry, Sequence and ByteLevel; each further kind is a file of its own.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// postProcessor must be safe for concurrent use; it may change the encodings that it is given.
type postProcessor interface {
	// process takes one text or two and gives the parts of the result, which are joined in the end.
	process(d detail, parts []Encoding, addSpecial bool) []Encoding
	// added is how many tokens process adds to a text, or to a pair.
	added(pair bool) int
}

var postProcessors = map[string]func(json.RawMessage) (postProcessor, error){}

func registerPostProcessor(kind string, build func(json.RawMessage) (postProcessor, error)) {
	postProcessors[kind] = build
}

func init() {
	registerPostProcessor("Sequence", func(raw json.RawMessage) (postProcessor, error) {
		var cfg struct{ Processors []json.RawMessage }
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		parts, err := buildSequence(cfg.Processors, parsePostProcessor, func(parts []postProcessor) postProcessor { return postSequence(parts) })
		if err == nil {
			err = checkPostSequence(parts.(postSequence))
		}
		return parts, err
	})
	registerPostProcessor("ByteLevel", func(raw json.RawMessage) (postProcessor, error) {
		cfg := struct {
			AddPrefixSpace bool `json:"add_prefix_space"`
			TrimOffsets    bool `json:"trim_offsets"`
		}{true, true}
		if err := jsontext.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return byteLevelPost{trim: cfg.TrimOffsets, prefixSpace: cfg.AddPrefixSpace}, nil
	})
}

func parsePostProcessor(raw json.RawMessage) (postProcessor, error) {
	return buildComponent("post_processor", postProcessors, raw)
}

type postSequence []postProcessor

func (s postSequence) process(d detail, parts []Encoding, addSpecial bool) []Encoding {
	for _, p := range s {
		parts = p.process(d, parts, addSpecial)
	}
	return parts
}

func (s postSequence) added(pair bool) int {
	n := 0
	for _, p := range s {
		n += p.added(pair)
	}
	return n
}

// checkPostSequence refuses what would have to take the parts that another made of the texts for
// texts: only ByteLevel can.
func checkPostSequence(parts []postProcessor) error {
	for i, p := range parts {
		if _, ok := p.(byteLevelPost); !ok && i > 0 {
			for _, before := range parts[:i] {
				if _, ok := before.(byteLevelPost); !ok {
					return fmt.Errorf("two post-processors that add tokens: %w", ErrUnsupported)
				}
			}
		}
	}
	return nil
}

// byteLevelPost takes white space at the ends of tokens out of their offsets.
type byteLevelPost struct{ trim, prefixSpace bool }

func (b byteLevelPost) process(_ detail, parts []Encoding, _ bool) []Encoding {
	if b.trim {
		trimAll(parts, b.prefixSpace)
	}
	return parts
}

func (byteLevelPost) added(bool) int { return 0 }

func trimAll(parts []Encoding, prefixSpace bool) {
	for i := range parts {
		trimOffsets(&parts[i], prefixSpace)
		trimAll(parts[i].Overflowing, prefixSpace)
	}
}

func trimOffsets(e *Encoding, prefixSpace bool) {
	for i := range e.Offsets {
		o := &e.Offsets[i]
		leading := countSpace(e.Tokens[i], strings.TrimLeftFunc)
		trailing := countSpace(e.Tokens[i], strings.TrimRightFunc)
		if leading > 0 {
			// One space at the very start may be the one that add_prefix_space put there.
			if (i == 0 || o[0] == 0) && prefixSpace && leading == 1 {
				leading = 0
			}
			o[0] = min(o[0]+leading, o[1])
		}
		if trailing > 0 && o[1] >= trailing {
			o[1] = max(o[1]-trailing, o[0])
		}
	}
}

// countSpace is the number of characters of white space, spelled or not, at one end of s.
func countSpace(s string, trim func(string, func(rune) bool) string) int {
	space := func(r rune) bool { return r == byteToRune[' '] || isSpace(r) }
	return len([]rune(s)) - len([]rune(trim(s, space)))
}
