// Shortening an encoding to what a model can take.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// The values of Truncation.Strategy.
const (
	LongestFirst = "longest_first" // the longer text of a pair is cut first
	OnlyFirst    = "only_first"
	OnlySecond   = "only_second"
)

// ErrTruncation is wrapped by errors about truncation that cannot be done.
var ErrTruncation = errors.New("cannot truncate")

// Truncation cuts texts so that they and the tokens added to them are at most MaxLength.
type Truncation struct {
	MaxLength int
	// Stride is how many tokens a part that is cut off shares with the one before it.
	Stride int
	// Strategy is LongestFirst (as is ""), OnlyFirst or OnlySecond.
	Strategy string
	// Side is where tokens are cut off: "right" (as is "") or "left".
	Side string
	// KeepOverflow asks for the parts that are cut off, in Encoding.Overflowing. For a pair of texts
	// that are both cut there are as many as the product of their parts.
	KeepOverflow bool
}

func (c Truncation) validate() error {
	if c.MaxLength < 0 || c.Stride < 0 {
		return fmt.Errorf("tokenizer: truncation to %d tokens with stride %d: %w: expected no negative numbers", c.MaxLength, c.Stride, ErrTruncation)
	}
	switch c.Strategy {
	case "", LongestFirst, OnlyFirst, OnlySecond:
	default:
		return fmt.Errorf("tokenizer: truncation strategy %s: %w (expected longest_first, only_first or only_second)", jsontext.Quote(c.Strategy), ErrUnsupported)
	}
	return checkSide("truncation", c.Side)
}

func checkSide(what, side string) error {
	if side != "" && side != "left" && side != "right" {
		return fmt.Errorf("tokenizer: %s side %s: %w (expected left or right)", what, jsontext.Quote(side), ErrUnsupported)
	}
	return nil
}

// apply cuts the texts of an encoding to which so many tokens will be added.
func (c Truncation) apply(parts []Encoding, added int) error {
	limit := c.MaxLength - added
	if limit < 0 {
		return fmt.Errorf("tokenizer: truncation to %d tokens: %w: %d special tokens are added to the text", c.MaxLength, ErrTruncation, added)
	}
	total := 0
	for i := range parts {
		total += len(parts[i].IDs)
	}
	if total <= limit {
		return nil
	}
	if limit == 0 {
		for i := range parts {
			if err := c.cut(&parts[i], 0); err != nil {
				return err
			}
		}
		return nil
	}
	switch c.Strategy {
	case OnlyFirst, OnlySecond:
		i := 0
		if c.Strategy == OnlySecond {
			i = 1
		}
		if i >= len(parts) {
			return fmt.Errorf("tokenizer: truncation only_second: %w: there is no second text", ErrTruncation)
		}
		rest := len(parts[i].IDs) - (total - limit)
		if rest <= 0 {
			return fmt.Errorf("tokenizer: truncation %s to %d tokens: %w: %d of the %d tokens are in the other text or added", c.Strategy, c.MaxLength, ErrTruncation, c.MaxLength-rest, total+added)
		}
		return c.cut(&parts[i], rest)
	}
	if len(parts) == 1 {
		return c.cut(&parts[0], limit)
	}
	first, second := longestFirst(len(parts[0].IDs), len(parts[1].IDs), limit)
	if err := c.cut(&parts[0], first); err != nil {
		return err
	}
	return c.cut(&parts[1], second)
}

// longestFirst shares limit tokens between two texts of a and b tokens.
func longestFirst(a, b, limit int) (int, int) {
	short := min(a, b)
	long := short
	if short <= limit {
		long = max(short, limit-short)
	}
	if short+long > limit {
		short = limit / 2
		long = short + limit%2
	}
	if a > b {
		return long, short
	}
	return short, long
}

// cut leaves the first n tokens (or the last) and puts the rest, in parts as long, into Overflowing.
func (c Truncation) cut(e *Encoding, n int) error {
	size := len(e.IDs)
	if n >= size {
		return nil
	}
	whole := *e
	if n == 0 {
		*e = newEncoding(whole.detail(), 0)
		if c.KeepOverflow {
			e.Overflowing = []Encoding{whole}
		}
		return nil
	}
	if c.Stride >= n {
		return fmt.Errorf("tokenizer: truncation stride %d: %w: expected less than the %d tokens that are left of the text", c.Stride, ErrTruncation, n)
	}
	if c.Side == "left" {
		*e = whole.slice(size-n, size, size)
	} else {
		*e = whole.slice(0, n, n)
	}
	if c.KeepOverflow {
		*e = e.clone() // parts may overlap, and are changed each for itself later
	}
	for at := n - c.Stride; c.KeepOverflow; at += n - c.Stride {
		from, to := at, min(at+n, size)
		if c.Side == "left" {
			from, to = max(size-at-n, 0), size-at
		}
		part := whole.slice(from, to, to)
		e.Overflowing = append(e.Overflowing, part.clone())
		if at+n >= size {
			break
		}
	}
	return nil
}

// maxOverflow bounds the tokens that a pair of texts may overflow into: each part that is cut off one text
// goes with each of the other, which soon is more than memory holds.
const maxOverflow = 1 << 26

func checkOverflow(parts []Encoding) error {
	total, tokens := 1, 0
	for _, p := range parts {
		total *= 1 + len(p.Overflowing)
		tokens += len(p.IDs)
	}
	if len(parts) > 1 && total*max(tokens, 1) > maxOverflow {
		return fmt.Errorf("tokenizer: truncation: %w: the texts overflow into %d pairs of parts of %d tokens; cut only one of them, or do not keep what overflows", ErrTruncation, total, tokens)
	}
	return nil
}

// parseTruncation reads the truncation that a tokenizer.json stores.
func parseTruncation(raw json.RawMessage) (*Truncation, error) {
	if isNull(raw) {
		return nil, nil
	}
	var cfg struct {
		Direction string
		MaxLength uint32 `json:"max_length"`
		Strategy  string
		Stride    uint32
	}
	if err := jsontext.Unmarshal(raw, &cfg); err != nil {
		return nil, fmt.Errorf("truncation: %w", err)
	}
	c := &Truncation{MaxLength: int(cfg.MaxLength), Stride: int(cfg.Stride)}
	var ok bool
	if c.Strategy, ok = map[string]string{"LongestFirst": LongestFirst, "OnlyFirst": OnlyFirst, "OnlySecond": OnlySecond}[cfg.Strategy]; !ok {
		return nil, fmt.Errorf("truncation: strategy %s: %w (expected LongestFirst, OnlyFirst or OnlySecond)", jsontext.Quote(cfg.Strategy), ErrUnsupported)
	}
	if c.Side, ok = map[string]string{"": "right", "Right": "right", "Left": "left"}[cfg.Direction]; !ok {
		return nil, fmt.Errorf("truncation: direction %s: %w (expected Left or Right)", jsontext.Quote(cfg.Direction), ErrUnsupported)
	}
	return c, nil
}
