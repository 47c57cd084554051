// This file holds the typed error of configurations. Callers (the Python layer among them) choose an exception
// type by Kind, and find the message complete: what was given, what was expected, what to do.

package config

import "fmt"

// Kind says which kind of mistake an Error reports, in the words that Python uses for the same mistakes.
type Kind string

// The kinds. ValueError: a value no model can have. TypeError: a value of the wrong type, or a missing argument.
// AttributeError: no field of that name.
const (
	ValueError     Kind = "ValueError"
	TypeError      Kind = "TypeError"
	AttributeError Kind = "AttributeError"
)

// Error is a mistake in a configuration.
type Error struct {
	Kind  Kind
	Field string // the field at fault, "" when several are
	Text  string // what was given, what was expected
}

// Error gives the message. It names the field first.
func (e *Error) Error() string {
	if e.Field == "" {
		return "config: " + e.Text
	}
	return fmt.Sprintf("config: %s: %s", e.Field, e.Text)
}

func valueError(field, format string, args ...any) error {
	return &Error{Kind: ValueError, Field: field, Text: fmt.Sprintf(format, args...)}
}

func typeError(field, format string, args ...any) error {
	return &Error{Kind: TypeError, Field: field, Text: fmt.Sprintf(format, args...)}
}
