// Filling encodings up to one length.

package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// Padding fills encodings up with a token that the attention mask leaves out.
type Padding struct {
	// Length is the length to fill up to; 0 means the length of the longest of the batch.
	Length int
	// MultipleOf, when it is not 0, rounds that length up.
	MultipleOf int
	// Side is where the tokens go: "right" (as is "") or "left".
	Side string
	// ID, TypeID and Token are the token to fill up with.
	ID, TypeID int
	Token      string
}

// maxPadding bounds the length that a text may be filled up to.
const maxPadding = 1 << 26

func (p Padding) validate() error {
	if p.Length < 0 || p.MultipleOf < 0 || p.Length > maxPadding || p.MultipleOf > maxPadding {
		return fmt.Errorf("tokenizer: padding to %d tokens, a multiple of %d: expected 0 to %d", p.Length, p.MultipleOf, maxPadding)
	}
	return checkSide("padding", p.Side)
}

// apply fills up all encodings of a batch, and what overflows of them, to one length.
func (p Padding) apply(batch []Encoding) {
	length := p.Length
	if length == 0 {
		for i := range batch {
			length = max(length, len(batch[i].IDs))
		}
	}
	if p.MultipleOf > 0 && length%p.MultipleOf > 0 {
		length += p.MultipleOf - length%p.MultipleOf
	}
	for i := range batch {
		p.fill(&batch[i], length)
	}
}

func (p Padding) fill(e *Encoding, length int) {
	for i := range e.Overflowing {
		p.fill(&e.Overflowing[i], length)
	}
	n := length - len(e.IDs)
	if n <= 0 {
		return
	}
	d := e.detail()
	over := e.Overflowing
	fill := newEncoding(d, n)
	for range n {
		fill.IDs = append(fill.IDs, p.ID)
		if d.masks {
			fill.TypeIDs = append(fill.TypeIDs, p.TypeID)
			fill.AttentionMask = append(fill.AttentionMask, 0)
			fill.SpecialTokensMask = append(fill.SpecialTokensMask, 1)
		}
		if d.texts {
			fill.Tokens = append(fill.Tokens, p.Token)
			fill.Offsets = append(fill.Offsets, [2]int{})
			fill.WordIDs = append(fill.WordIDs, -1)
			fill.Sequences = append(fill.Sequences, -1)
		}
	}
	if p.Side == "left" {
		*e = join(fill, *e)
	} else {
		*e = join(*e, fill)
	}
	e.Overflowing = over
}

// parsePadding reads the padding that a tokenizer.json stores.
func parsePadding(raw json.RawMessage) (*Padding, error) {
	if isNull(raw) {
		return nil, nil
	}
	var cfg struct {
		Strategy   json.RawMessage
		Direction  string
		MultipleOf *uint32 `json:"pad_to_multiple_of"`
		ID         uint32  `json:"pad_id"`
		TypeID     uint32  `json:"pad_type_id"`
		Token      string  `json:"pad_token"`
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, fmt.Errorf("padding: %w", err)
	}
	p := &Padding{ID: int(cfg.ID), TypeID: int(cfg.TypeID), Token: cfg.Token}
	if cfg.MultipleOf != nil {
		p.MultipleOf = int(*cfg.MultipleOf)
	}
	if string(cfg.Strategy) != `"BatchLongest"` {
		var fixed struct{ Fixed *uint32 }
		if err := jsontext.Unmarshal(cfg.Strategy, &fixed); err != nil || fixed.Fixed == nil {
			return nil, fmt.Errorf("padding: strategy %.40s: %w (expected \"BatchLongest\" or {\"Fixed\": length})", cfg.Strategy, ErrUnsupported)
		}
		p.Length = int(*fixed.Fixed)
	}
	var ok bool
	if p.Side, ok = map[string]string{"Right": "right", "Left": "left"}[cfg.Direction]; !ok {
		return nil, fmt.Errorf("padding: direction %s: %w (expected Left or Right)", jsontext.Quote(cfg.Direction), ErrUnsupported)
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	return p, nil
}
