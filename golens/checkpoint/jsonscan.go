// A reader of JSON whose form is known: it follows the form and stops at the first token that departs from it, so
// that neither depth nor size nor repeated keys of a hostile header can cost more than its bytes.
package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// maxSkipDepth bounds the nesting of values that are read over.
const maxSkipDepth = 32

type jsonScanner struct {
	path string
	data []byte
	dec  *json.Decoder
}

func newJSONScanner(path, what string, data []byte) (*jsonScanner, error) {
	if !utf8.Valid(data) {
		return nil, &FormatError{path, what, "bytes that are not UTF-8", "JSON text"}
	}
	if n := bytes.Count(data, []byte{'"'}) / 2; n > maxStrings {
		return nil, &FormatError{path, what, fmt.Sprintf("%d strings", n), fmt.Sprintf("at most %d: no model has as many tensors", maxStrings)}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return &jsonScanner{path, data, dec}, nil
}

func (s *jsonScanner) token(field, want string) (json.Token, error) {
	t, err := s.dec.Token()
	if err != nil {
		return nil, &FormatError{s.path, field, s.notJSON(err), want}
	}
	return t, nil
}

// notJSON says where the text stops being JSON.
func (s *jsonScanner) notJSON(err error) string {
	var syntax *jsontext.SyntaxError
	if !errors.As(jsontext.Check(s.data), &syntax) {
		return err.Error() // nothing that a reader of tokens objects to is JSON
	}
	return fmt.Sprintf("%s at byte %d (text that is not JSON: %s belongs there)", syntax.Found, syntax.Offset, syntax.Want)
}

func (s *jsonScanner) wrong(field string, t json.Token, want string) error {
	found := fmt.Sprint(t)
	switch t := t.(type) {
	case string:
		found = strconv.Quote(clip(t))
	case nil:
		found = "null"
	}
	return &FormatError{s.path, field, found, want}
}

// object reads an object and hands each key over; the callee reads the value.
func (s *jsonScanner) object(field string, member func(key string) error) error {
	t, err := s.token(field, "an object")
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return s.wrong(field, t, "an object")
	}
	seen := map[string]bool{}
	for s.dec.More() {
		t, err := s.token(field, "a key")
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return s.wrong(field, t, "a key")
		}
		if seen[key] {
			return &FormatError{s.path, field, fmt.Sprintf("the name %q twice", clip(key)), "each name once"}
		}
		seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
	_, err = s.token(field, "} or a further member")
	return err
}

func (s *jsonScanner) text(field string) (string, error) {
	t, err := s.token(field, "a string")
	if err != nil {
		return "", err
	}
	text, ok := t.(string)
	if !ok {
		return "", s.wrong(field, t, "a string")
	}
	return text, nil
}

// sizes reads an array of at most limit non-negative whole numbers.
func (s *jsonScanner) sizes(field string, limit int) ([]uint64, error) {
	const want = "an array of non-negative whole numbers"
	t, err := s.token(field, want)
	if err != nil {
		return nil, err
	}
	if t != json.Delim('[') {
		return nil, s.wrong(field, t, want)
	}
	values := []uint64{}
	for s.dec.More() {
		t, err := s.token(field, want)
		if err != nil {
			return nil, err
		}
		number, ok := t.(json.Number)
		if !ok {
			return nil, s.wrong(field, t, want)
		}
		value, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil {
			return nil, s.wrong(field, clip(number.String()), want)
		}
		if len(values) == limit {
			return nil, &FormatError{s.path, field, fmt.Sprintf("more than %d numbers", limit), fmt.Sprintf("at most %d", limit)}
		}
		values = append(values, value)
	}
	_, err = s.token(field, "]")
	return values, err
}

// skip reads over one value of any form.
func (s *jsonScanner) skip(field string) error {
	for depth := 0; ; {
		t, err := s.token(field, "a value")
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxSkipDepth {
			return &FormatError{s.path, field, fmt.Sprintf("more than %d levels of nesting", maxSkipDepth), "less"}
		}
		if depth == 0 {
			return nil
		}
	}
}

// end demands that nothing but white space is left.
func (s *jsonScanner) end(field string) error {
	t, err := s.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return &FormatError{s.path, field, s.notJSON(err), "nothing but spaces behind the object"}
	}
	return s.wrong(field, t, "nothing but spaces behind the object")
}

// clip keeps error messages readable when a file's strings are not.
func clip(s string) string {
	if len(s) <= 120 {
		return s
	}
	return s[:120] + "…"
}
