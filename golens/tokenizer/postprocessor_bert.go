// The post-processors of BERT ([CLS] A [SEP] B [SEP]) and RoBERTa (<s> A </s></s> B </s>).

package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() {
	registerPostProcessor("BertProcessing", func(raw json.RawMessage) (postProcessor, error) {
		var b bertPost
		return &b, decoderFields(raw, map[string]any{"sep": &b.sep, "cls": &b.cls})
	})
	registerPostProcessor("RobertaProcessing", func(raw json.RawMessage) (postProcessor, error) {
		r := robertaPost{trim: true, prefixSpace: true}
		err := decoderFields(raw, map[string]any{"sep": &r.sep, "cls": &r.cls})
		if err != nil {
			return nil, err
		}
		cfg := struct {
			TrimOffsets    *bool `json:"trim_offsets"`
			AddPrefixSpace *bool `json:"add_prefix_space"`
		}{&r.trim, &r.prefixSpace}
		return &r, jsontext.Unmarshal(raw, &cfg)
	})
}

// pairedToken is ["text", id].
type pairedToken struct {
	text string
	id   int
}

// UnmarshalJSON reads the list that tokenizer.json has.
func (p *pairedToken) UnmarshalJSON(raw []byte) error {
	var parts []json.RawMessage
	if err := jsontext.Unmarshal(raw, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("found %.60s: expected a token and its id", raw)
	}
	if err := jsontext.Unmarshal(parts[0], &p.text); err != nil {
		return err
	}
	var id uint32
	err := jsontext.Unmarshal(parts[1], &id)
	p.id = int(id)
	return err
}

func (p pairedToken) encoding(d detail, typeID int) Encoding {
	return specialTokens(d, []int{p.id}, []string{p.text}, typeID)
}

// wrap puts tokens around an encoding and around each part that overflows of it.
func wrap(d detail, before, e, after Encoding) Encoding {
	out := newEncoding(d, len(before.IDs)+len(e.IDs)+len(after.IDs))
	for _, part := range []Encoding{before, e, after} {
		out.appendTokens(part)
	}
	for _, o := range e.Overflowing {
		out.Overflowing = append(out.Overflowing, wrap(d, before, o, after))
	}
	return out
}

type bertPost struct{ sep, cls pairedToken }

func (b *bertPost) process(d detail, parts []Encoding, addSpecial bool) []Encoding {
	if !addSpecial {
		return parts
	}
	none := newEncoding(d, 0)
	for i := range parts {
		before := none
		if i == 0 {
			before = b.cls.encoding(d, 0)
		}
		parts[i] = wrap(d, before, parts[i], b.sep.encoding(d, min(i, 1)))
	}
	return parts
}

func (b *bertPost) added(pair bool) int {
	if pair {
		return 3
	}
	return 2
}

type robertaPost struct {
	sep, cls          pairedToken
	trim, prefixSpace bool
}

func (r *robertaPost) process(d detail, parts []Encoding, addSpecial bool) []Encoding {
	if r.trim {
		trimAll(parts, r.prefixSpace)
	}
	for i := range parts {
		parts[i].setTypeIDs(0) // RoBERTa does not tell texts apart
	}
	if !addSpecial {
		return parts
	}
	for i := range parts {
		before := r.sep
		if i == 0 {
			before = r.cls
		}
		for k := range parts[i].Overflowing {
			parts[i].Overflowing[k].setTypeIDs(0)
		}
		parts[i] = wrap(d, before.encoding(d, 0), parts[i], r.sep.encoding(d, 0))
	}
	return parts
}

func (r *robertaPost) added(pair bool) int {
	if pair {
		return 4
	}
	return 2
}
