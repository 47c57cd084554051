// Post-processors finish an encoding: they add the tokens a model expects around a text. This file
// has the kinds' registry, Sequence and ByteLevel; each further kind is a file of its own.

package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"
)

// encoding is the tokens of a text. offsets (in characters) and texts have an entry for each id, or
// are nil when nobody asked for offsets.
type encoding struct {
	ids     []int
	offsets [][2]int
	texts   []string
}

// postProcessor must be safe for concurrent use; it may change the encoding that it is given.
type postProcessor interface {
	process(e *encoding, addSpecial bool)
}

var postProcessors = map[string]func(json.RawMessage) (postProcessor, error){}

func registerPostProcessor(kind string, build func(json.RawMessage) (postProcessor, error)) {
	postProcessors[kind] = build
}

func init() {
	registerPostProcessor("Sequence", func(raw json.RawMessage) (postProcessor, error) {
		var cfg struct{ Processors []json.RawMessage }
		if err := json.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return buildSequence(cfg.Processors, parsePostProcessor, func(parts []postProcessor) postProcessor { return postSequence(parts) })
	})
	registerPostProcessor("ByteLevel", func(raw json.RawMessage) (postProcessor, error) {
		cfg := struct {
			AddPrefixSpace bool `json:"add_prefix_space"`
			TrimOffsets    bool `json:"trim_offsets"`
		}{true, true}
		if err := json.Unmarshal(raw, &cfg); err != nil {
			return nil, err
		}
		return byteLevelPost{trim: cfg.TrimOffsets, prefixSpace: cfg.AddPrefixSpace}, nil
	})
}

func parsePostProcessor(raw json.RawMessage) (postProcessor, error) {
	return buildComponent("post_processor", postProcessors, raw)
}

type postSequence []postProcessor

func (s postSequence) process(e *encoding, addSpecial bool) {
	for _, p := range s {
		p.process(e, addSpecial)
	}
}

// byteLevelPost takes white space at the ends of tokens out of their offsets.
type byteLevelPost struct{ trim, prefixSpace bool }

func (b byteLevelPost) process(e *encoding, _ bool) {
	if !b.trim {
		return
	}
	for i := range e.offsets {
		o := &e.offsets[i]
		leading := countSpace(e.texts[i], strings.TrimLeftFunc)
		trailing := countSpace(e.texts[i], strings.TrimRightFunc)
		if leading > 0 {
			// One space at the very start may be the one that add_prefix_space put there.
			if (i == 0 || o[0] == 0) && b.prefixSpace && leading == 1 {
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
	space := func(r rune) bool { return r == byteToRune[' '] || unicode.IsSpace(r) }
	return len([]rune(s)) - len([]rune(trim(s, space)))
}
