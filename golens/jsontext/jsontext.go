// Package jsontext decodes JSON as encoding/json does and says in its own words what is wrong with a text: those of
// encoding/json name Go's types, and change with the version of Go. Quote shows a text in such words.
package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// SyntaxError is where a text stops being JSON. Offset counts bytes from 0.
type SyntaxError struct {
	Offset      int
	Found, Want string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("found %s at byte %d, expected %s", e.Found, e.Offset, e.Want)
}

// TypeError is a value of another kind than the one that belongs there. Member is its name in the outermost object,
// or "" when that is what it is itself.
type TypeError struct{ Member, Found, Want string }

func (e *TypeError) Error() string {
	text := fmt.Sprintf("found %s, expected %s", e.Found, e.Want)
	if e.Member != "" {
		return e.Member + ": " + text
	}
	return text
}

// Unmarshal is json.Unmarshal. What it returns is a *SyntaxError, a *TypeError, or the error of a method UnmarshalJSON.
func Unmarshal(data []byte, to any) error { return plain(data, json.Unmarshal(data, to)) }

// UnmarshalNumbers is Unmarshal with numbers left as json.Number where any value is taken.
func UnmarshalNumbers(data []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(to); err != nil {
		return plain(data, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Check(data) // something behind the value
	}
	return nil
}

// plain says an error of encoding/json anew.
func plain(data []byte, err error) error {
	if err == nil {
		return nil
	}
	if syntax := Check(data); syntax != nil {
		return syntax
	}
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	// Versions of Go differ in how deep a path they give, and in the case of a field without a tag.
	member, _, _ := strings.Cut(wrong.Field, ".")
	return &TypeError{lowerASCII(member), found(wrong.Value), expected(wrong.Type)}
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

func found(value string) string {
	kind, rest, _ := strings.Cut(value, " ")
	switch {
	case kind == "number" && rest != "":
		return rest
	case kind == "array":
		return "a list"
	case kind == "object":
		return "an object"
	case kind == "bool":
		return "true or false"
	}
	return "a " + kind
}

func expected(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 that fits %d bits", t.Bits())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number that fits %d bits", t.Bits())
	case reflect.Float32, reflect.Float64:
		return fmt.Sprintf("a number that fits %d bits", t.Bits())
	}
	return "an object"
}

// hidden are characters that cannot be seen or that change how others are shown; strconv's and %q's list of these
// is another one in each version of Go. Sorted pairs of first and last.
var hidden = [][2]rune{
	{0, ' ' - 1}, {0x7F, 0xA0}, {0xAD, 0xAD}, {0x61C, 0x61C}, {0x1680, 0x1680}, {0x180E, 0x180E}, {0x2000, 0x200F},
	{0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000}, {0xE000, 0xF8FF}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB},
	{0xE0000, 0x10FFFF},
}

func isHidden(r rune) bool {
	for _, h := range hidden {
		if r <= h[1] {
			return r >= h[0]
		}
	}
	return true
}

// Quote puts a text into double quotes for a message, with escapes for what could not be seen there.
func Quote[S ~string | ~[]byte](text S) string {
	s := string(text)
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, `\x%02x`, s[i])
		case r == '"' || r == '\\':
			out = append(out, '\\', s[i])
		case r == '\n':
			out = append(out, `\n`...)
		case r == '\r':
			out = append(out, `\r`...)
		case r == '\t':
			out = append(out, `\t`...)
		case r > 0xFFFF && isHidden(r):
			out = fmt.Appendf(out, `\U%08x`, r)
		case isHidden(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, s[i:i+n]...)
		}
		i += n
	}
	return string(append(out, '"'))
}
