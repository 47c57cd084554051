// TemplateProcessing: the post-processor that adds special tokens (BOS, EOS) by a template.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

func init() { registerPostProcessor("TemplateProcessing", newTemplate) }

// template is what comes before and after the text. A template may hold the text more than once or
// not at all; parts has an entry with text set for each time.
type template []templatePart

type templatePart struct {
	text  bool
	ids   []int
	names []string
}

func newTemplate(raw json.RawMessage) (postProcessor, error) {
	var cfg struct {
		Single []struct {
			Sequence     *struct{ ID string }
			SpecialToken *struct{ ID string }
		}
		Tokens map[string]struct {
			IDs    []int
			Tokens []string
		} `json:"special_tokens"`
	}
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	if cfg.Single == nil {
		return nil, errors.New(`expected a "single" template`)
	}
	var t template
	for i, p := range cfg.Single {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "A":
			t = append(t, templatePart{text: true})
		case p.SpecialToken != nil:
			tok, ok := cfg.Tokens[p.SpecialToken.ID]
			if !ok || len(tok.IDs) != len(tok.Tokens) {
				return nil, fmt.Errorf("template names %q, which \"special_tokens\" does not define with as many ids as tokens", p.SpecialToken.ID)
			}
			t = append(t, templatePart{ids: tok.IDs, names: tok.Tokens})
		default:
			return nil, fmt.Errorf("part %d of the single template: expected sequence A or a special token", i)
		}
	}
	return t, nil
}

func (t template) process(e *encoding, addSpecial bool) {
	out := encoding{ids: make([]int, 0, len(e.ids)+4)}
	tracked := e.offsets != nil
	for _, part := range t {
		switch {
		case part.text:
			out.ids = append(out.ids, e.ids...)
			out.offsets = append(out.offsets, e.offsets...)
			out.texts = append(out.texts, e.texts...)
		case addSpecial:
			out.ids = append(out.ids, part.ids...)
			if tracked {
				out.offsets = append(out.offsets, make([][2]int, len(part.ids))...)
				out.texts = append(out.texts, part.names...)
			}
		}
	}
	if tracked && out.offsets == nil {
		out.offsets, out.texts = [][2]int{}, []string{}
	}
	*e = out
}
