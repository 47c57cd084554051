// TemplateProcessing: the post-processor that joins texts and special tokens by a template.

package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() { registerPostProcessor("TemplateProcessing", newTemplate) }

// template has a list of parts for one text and one for a pair. A list may hold a text more than once
// or not at all.
type template struct{ single, pair []templatePart }

// templatePart is a text, 0 or 1, or special tokens when text is noText.
type templatePart struct {
	text   int
	ids    []int
	names  []string
	typeID int
}

const noText = -1

type templatePiece struct {
	Sequence     *templateRef
	SpecialToken *templateRef
}

type templateRef struct {
	ID     string
	TypeID int `json:"type_id"`
}

type templateToken struct {
	IDs    []int
	Tokens []string
}

func newTemplate(raw json.RawMessage) (postProcessor, error) {
	var cfg struct {
		Single, Pair []templatePiece
		Tokens       map[string]templateToken `json:"special_tokens"`
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, err
	}
	if cfg.Single == nil {
		return nil, fmt.Errorf(`expected a "single" template`)
	}
	var t template
	var err error
	if t.single, err = templateParts("single", cfg.Single, cfg.Tokens, 1); err != nil {
		return nil, err
	}
	if cfg.Pair == nil {
		cfg.Pair = []templatePiece{{Sequence: &templateRef{ID: "A"}}, {Sequence: &templateRef{ID: "B", TypeID: 1}}}
	}
	t.pair, err = templateParts("pair", cfg.Pair, cfg.Tokens, 2)
	return t, err
}

func templateParts(what string, pieces []templatePiece, tokens map[string]templateToken, texts int) ([]templatePart, error) {
	var out []templatePart
	for i, p := range pieces {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "A":
			out = append(out, templatePart{text: 0, typeID: p.Sequence.TypeID})
		case p.Sequence != nil && p.Sequence.ID == "B" && texts == 2:
			out = append(out, templatePart{text: 1, typeID: p.Sequence.TypeID})
		case p.SpecialToken != nil:
			tok, ok := tokens[p.SpecialToken.ID]
			if !ok || len(tok.IDs) != len(tok.Tokens) {
				return nil, fmt.Errorf("template names %s, which \"special_tokens\" does not define with as many ids as tokens", jsontext.Quote(p.SpecialToken.ID))
			}
			out = append(out, templatePart{text: noText, ids: tok.IDs, names: tok.Tokens, typeID: p.SpecialToken.TypeID})
		default:
			return nil, fmt.Errorf("part %d of the %s template: expected sequence A%s or a special token", i, what, map[int]string{2: ", B"}[texts])
		}
	}
	return out, nil
}

func (t template) of(pair bool) []templatePart {
	if pair {
		return t.pair
	}
	return t.single
}

func (t template) process(d detail, parts []Encoding, addSpecial bool) []Encoding {
	var out []Encoding
	uses := [2]int{}
	for _, part := range t.of(len(parts) == 2) {
		switch {
		case part.text != noText:
			e := parts[part.text]
			if uses[part.text]++; uses[part.text] > 1 {
				e = e.clone()
				e.Overflowing = parts[part.text].Overflowing
			}
			e.setTypeIDs(part.typeID)
			out = append(out, e)
		case addSpecial:
			out = append(out, specialTokens(d, part.ids, part.names, part.typeID))
		}
	}
	return out
}

func (t template) added(pair bool) int {
	n := 0
	for _, part := range t.of(pair) {
		n += len(part.ids)
	}
	return n
}
