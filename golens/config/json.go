// This file reads JSON as Python's json module does, which writes the files and calls that come in: NaN and the
// infinities are numbers there, and numbers too large for a float are infinite.

package config

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// ParseObject reads a JSON object with plain numbers: int, or float64.
func ParseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	var value any
	if err := jsontext.UnmarshalNumbers(pyjson.Quote(data), &value); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	object, ok := PlainNumbers(value).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no JSON object, but %s", kindOfJSON(value))
	}
	return object, nil
}

func kindOfJSON(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "a number"
}
