// A reader for the two large parts of tokenizer.json, the vocabulary and the merges. encoding/json
// goes over its input once for every level of json.RawMessage and again to decode; here the text is
// checked once and then read once. Everything in this file expects valid JSON.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// jsonCursor is a place in valid JSON text.
type jsonCursor struct {
	b  []byte
	at int
}

// checkJSON makes sure that raw is JSON and UTF-8; others of this file's functions rely on it.
func checkJSON(raw []byte) error {
	if err := jsontext.Check(raw); err != nil {
		return err
	}
	if !utf8.Valid(raw) {
		return fmt.Errorf("the text is not UTF-8")
	}
	return nil
}

// next is the next byte that is not white space.
func (c *jsonCursor) next() byte {
	for c.at < len(c.b) {
		switch c.b[c.at] {
		case ' ', '\t', '\n', '\r', ',', ':':
			c.at++
		default:
			return c.b[c.at]
		}
	}
	return 0
}

// skip steps over one value and returns its text.
func (c *jsonCursor) skip() json.RawMessage {
	c.next()
	start, depth := c.at, 0
	for c.at < len(c.b) {
		switch c.b[c.at] {
		case '"':
			c.quoted()
			if depth == 0 {
				return c.b[start:c.at]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth <= 0 {
				if depth == 0 {
					c.at++
				}
				return c.b[start:c.at] // a scalar ends where its container does
			}
		case ' ', '\t', '\n', '\r', ',':
			if depth == 0 {
				return c.b[start:c.at]
			}
		}
		c.at++
	}
	return c.b[start:c.at]
}

// quoted steps over a string and returns it with its quotes; plain says that it has no escapes.
func (c *jsonCursor) quoted() (text []byte, plain bool) {
	start := c.at
	plain = true
	for c.at++; c.at < len(c.b) && c.b[c.at] != '"'; c.at++ {
		if c.b[c.at] == '\\' {
			plain = false
			c.at++
		}
	}
	c.at = min(c.at+1, len(c.b))
	return c.b[start:c.at], plain
}

// text reads a string.
func (c *jsonCursor) text() (string, error) {
	if c.next() != '"' {
		return "", fmt.Errorf("found %.40s: expected a string", c.skip())
	}
	quoted, plain := c.quoted()
	if plain {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	err := jsontext.Unmarshal(quoted, &s)
	return s, err
}

// jsonFields are the members of an object.
func jsonFields(raw json.RawMessage) (map[string]json.RawMessage, error) {
	c := &jsonCursor{b: raw}
	if c.next() != '{' {
		return nil, fmt.Errorf("found %.40s: expected an object", c.skip())
	}
	c.at++
	out := map[string]json.RawMessage{}
	for c.next() != '}' {
		key, err := c.text()
		if err != nil {
			return nil, err
		}
		out[key] = c.skip()
	}
	return out, nil
}

// scanVocab reads {"token": id, ...}.
func scanVocab(raw json.RawMessage) (map[string]int32, error) {
	c := &jsonCursor{b: raw}
	if c.next() != '{' {
		return nil, fmt.Errorf("vocab: found %.40s: expected an object", c.skip())
	}
	c.at++
	out := make(map[string]int32, len(raw)/18)
	for c.next() != '}' {
		token, err := c.text()
		if err != nil {
			return nil, fmt.Errorf("vocab: %w", err)
		}
		value := c.skip()
		id, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("vocab: token %s has id %.40s: expected a number up to %d", jsontext.Quote(token), value, maxTokenID-1)
		}
		out[token] = int32(id)
	}
	return out, nil
}

// scanMerges reads both spellings of merges: ["a b", ...] and [["a", "b"], ...].
func scanMerges(raw json.RawMessage) (mergeList, error) {
	c := &jsonCursor{b: raw}
	if c.next() != '[' {
		return nil, fmt.Errorf("merges: found %.40s: expected a list", c.skip())
	}
	c.at++
	out := make(mergeList, 0, len(raw)/14)
	for c.next() != ']' {
		if c.next() == '"' {
			line, err := c.text()
			if err == nil {
				out, err = appendMerge(out, line)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		pair, err := c.pair()
		if err != nil {
			return nil, fmt.Errorf("merges: merge %d: %w", len(out), err)
		}
		out = append(out, pair)
	}
	return out, nil
}

func (c *jsonCursor) pair() (p [2]string, err error) {
	if c.next() != '[' {
		return p, fmt.Errorf("found %.40s: expected a pair of tokens", c.skip())
	}
	c.at++
	for i := range p {
		if p[i], err = c.text(); err != nil {
			return p, err
		}
	}
	if c.next() != ']' {
		return p, fmt.Errorf("more than two tokens")
	}
	c.at++
	return p, nil
}
