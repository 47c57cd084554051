// This file reads JSON as Python's json module does, which writes the files and calls that come in: NaN and the
// infinities are numbers there, and numbers too large for a float are infinite.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// ParseObject reads a JSON object with plain numbers: int, or float64.
func ParseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(pyjson.Quote(data)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("not JSON: it ends too soon")
		}
		return nil, fmt.Errorf("not JSON: %w (near byte %d)", err, decoder.InputOffset())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not JSON: something follows its value (at byte %d)", decoder.InputOffset())
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
