package jsontext

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep encoding/json lets values nest.
const maxDepth = 10000

// checker is a place in a text that ought to be JSON.
type checker struct {
	data []byte
	at   int
	open []byte // the brackets that are open
}

// Check says what is wrong with a text that ought to be one JSON value: nil, or a *SyntaxError. It is strict where
// encoding/json is (RFC 8259), and like it leaves UTF-8 to others.
func Check(data []byte) error {
	c := &checker{data: data}
	if err := c.value("a value"); err != nil {
		return err
	}
	for len(c.open) > 0 {
		if err := c.after(); err != nil {
			return err
		}
	}
	if c.space(); c.at < len(data) {
		return c.wrong("nothing behind the value")
	}
	return nil
}

func (c *checker) wrong(want string) error {
	found := "the end of the text"
	if c.at < len(c.data) {
		r, n := utf8.DecodeRune(c.data[c.at:])
		switch {
		case r == utf8.RuneError && n == 1:
			found = fmt.Sprintf("the byte 0x%02X", c.data[c.at])
		case r <= ' ' || r == 0x7F:
			found = fmt.Sprintf("the character U+%04X", r)
		default:
			found = fmt.Sprintf("'%c'", r)
		}
	}
	return &SyntaxError{c.at, found, want}
}

func (c *checker) space() {
	for c.at < len(c.data) && strings.IndexByte(" \t\r\n", c.data[c.at]) >= 0 {
		c.at++
	}
}

// next is the next byte, or 0 at the end.
func (c *checker) next() byte {
	if c.at < len(c.data) {
		return c.data[c.at]
	}
	return 0
}

// value reads a scalar, or an opening bracket with what comes up to the first value behind it.
func (c *checker) value(want string) error {
	c.space()
	switch b := c.next(); {
	case b == '{' || b == '[':
		return c.opening(b)
	case b == '"':
		return c.quoted()
	case b == '-' || isDigit(b):
		return c.number()
	case b == 't' || b == 'f' || b == 'n':
		return c.literal(map[byte]string{'t': "true", 'f': "false", 'n': "null"}[b])
	}
	return c.wrong(want)
}

func (c *checker) opening(bracket byte) error {
	if len(c.open) == maxDepth {
		return c.wrong(fmt.Sprintf("at most %d levels of nesting", maxDepth))
	}
	c.at++
	c.open = append(c.open, bracket)
	c.space()
	switch {
	case bracket == '[' && c.next() == ']', bracket == '{' && c.next() == '}':
		return nil // after closes it
	case bracket == '{':
		return c.member("a key or }")
	}
	return c.value("a value or ]")
}

// after reads what follows a value in the innermost bracket, up to the next value.
func (c *checker) after() error {
	c.space()
	bracket := c.open[len(c.open)-1]
	closing := bracket + 2 // in ASCII
	switch c.next() {
	case closing:
		c.at++
		c.open = c.open[:len(c.open)-1]
		return nil
	case ',':
		c.at++
		if bracket == '{' {
			return c.member("a key")
		}
		return c.value("a value")
	}
	return c.wrong(fmt.Sprintf("a comma or %c", closing))
}

// member reads a key, the colon and the value.
func (c *checker) member(want string) error {
	c.space()
	if c.next() != '"' {
		return c.wrong(want)
	}
	if err := c.quoted(); err != nil {
		return err
	}
	c.space()
	if c.next() != ':' {
		return c.wrong("a colon")
	}
	c.at++
	return c.value("a value")
}

func (c *checker) quoted() error {
	for c.at++; c.at < len(c.data); c.at++ {
		switch b := c.data[c.at]; {
		case b == '"':
			c.at++
			return nil
		case b < ' ':
			return c.wrong("an escape in its place")
		case b == '\\':
			if err := c.escape(); err != nil {
				return err
			}
		}
	}
	return c.wrong("the quote that ends a string")
}

// escape reads an escape in a string but for its last byte.
func (c *checker) escape() error {
	c.at++
	if c.next() == 'u' {
		for range 4 {
			c.at++
			if b := c.next() | 0x20; !isDigit(c.next()) && !(b >= 'a' && b <= 'f') {
				return c.wrong(`four hexadecimal digits behind \u`)
			}
		}
		return nil
	}
	if c.next() == 0 || strings.IndexByte(`"\/bfnrt`, c.next()) < 0 {
		return c.wrong(`one of " \ / b f n r t u behind a backslash`)
	}
	return nil
}

func (c *checker) literal(text string) error {
	for i := range len(text) {
		if c.next() != text[i] {
			return c.wrong(text)
		}
		c.at++
	}
	return nil
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func (c *checker) digits() error {
	if !isDigit(c.next()) {
		return c.wrong("a digit")
	}
	for isDigit(c.next()) {
		c.at++
	}
	return nil
}

func (c *checker) number() error {
	if c.next() == '-' {
		c.at++
	}
	if c.next() == '0' { // no digit may follow
		c.at++
	} else if err := c.digits(); err != nil {
		return err
	}
	if c.next() == '.' {
		c.at++
		if err := c.digits(); err != nil {
			return err
		}
	}
	if c.next()|0x20 == 'e' {
		c.at++
		if c.next() == '+' || c.next() == '-' {
			c.at++
		}
		return c.digits()
	}
	return nil
}
