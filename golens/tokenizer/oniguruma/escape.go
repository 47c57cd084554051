// Parsing what follows a backslash, inside brackets and outside.

package oniguruma

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// controls are the escapes of control characters.
var controls = map[rune]rune{'n': '\n', 't': '\t', 'r': '\r', 'f': '\f', 'a': 7, 'b': 8, 'e': 27, 'v': '\v'}

// classLetters are the escapes of classes; the upper case is the complement.
var classLetters = map[rune]string{'w': "word", 'd': "digit", 's': "space", 'h': "xdigit"}

// refusedEscapes are constructs that no automaton has, and that no tokenizer was seen to use.
var refusedEscapes = map[rune]string{
	'X': "text segment", 'y': "text segment boundary", 'Y': "text segment boundary", 'K': "keep",
	'M': "meta character",
}

// escape reads what follows a backslash outside of brackets.
func (p *parser) escape() error {
	if p.pos >= len(p.in) {
		return p.fail("backslash at the end")
	}
	r := p.take()
	p.tok.char = r
	if what := refusedEscapes[r]; what != "" {
		return p.refuse(fmt.Sprintf(`%s \%c`, what, r))
	}
	if r == 'w' || r == 'W' || r == 'b' || r == 'B' {
		return p.wordEscape(r)
	}
	if s, ok, err := classEscape(r); ok || err != nil {
		p.single(s)
		return err
	}
	switch r {
	case 'A':
		p.test(startOfText(), false)
	case 'z':
		p.test(endOfText(), true)
	case 'Z':
		p.tok.kind, p.tok.node = tokNode, &node{kind: kindLastLine, endOnly: true}
	case 'G':
		p.tok.kind, p.tok.node = tokNode, &node{kind: kindStart}
	case 'R':
		p.tok.kind, p.tok.node = tokNode, anyNewline()
	case 'N':
		p.single(one('\n').negate())
	case 'O':
		p.single(everything)
	case 'p', 'P':
		return p.propertyEscape(r)
	case 'k', 'g':
		if c := p.peek(); c == '<' || c == '\'' {
			return p.refuse(fmt.Sprintf(`reference \%c%c`, r, c))
		}
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.refuse(fmt.Sprintf(`back reference or octal number \%c`, r))
	default:
		code, numbered, err := p.codeEscape(r, false)
		if err != nil {
			return err
		}
		if numbered {
			p.tok.kind, p.tok.char = tokCode, code
		}
	}
	return nil
}

func classEscape(r rune) (set, bool, error) {
	if name := classLetters[r]; name != "" {
		s, err := property(name)
		return s, true, err
	}
	if name := classLetters[r|0x20]; name != "" && r < utf8.RuneSelf {
		s, err := property(name)
		return s.negate(), true, err
	}
	return nil, false, nil
}

func (p *parser) wordEscape(r rune) error {
	word, err := wordOutside()
	switch r {
	case 'w':
		p.single(word)
	case 'W':
		p.single(word.negate())
	case 'b':
		p.test(wordBoundary(word), false)
	case 'B':
		p.test(not(wordBoundary(word)), false)
	}
	return err
}

// anyNewline is \R: once "\r\n" is there, it is not cut.
func anyNewline() *node {
	single := newSet([]span{{'\n', '\f'}, {0x85, 0x85}, {0x2028, 0x2029}})
	return &node{kind: kindGroup, subs: []*node{{kind: kindAlt, subs: []*node{
		{kind: kindText, text: []rune("\r\n")},
		{kind: kindSet, set: single},
		{kind: kindList, subs: []*node{
			{kind: kindSet, set: one('\r')},
			{kind: kindTest, test: not(after(one('\n'), false))},
		}},
	}}}}
}

// propertyEscape reads \p{..}, \p{^..} and \P{..}; without a brace it is a plain letter.
func (p *parser) propertyEscape(r rune) error {
	s, name, ok, err := p.readProperty(r == 'P')
	if err != nil || !ok {
		return err
	}
	if name == "word" {
		word, err := wordOutside()
		if err != nil {
			return err
		}
		inside, err := property("word")
		if err != nil {
			return err
		}
		if s.equal(inside) {
			s = word
		} else {
			s = word.negate()
		}
	}
	p.single(s)
	return nil
}

func (p *parser) readProperty(negated bool) (s set, name string, ok bool, err error) {
	if !p.accept("{") {
		return nil, "", false, nil
	}
	if p.accept("^") {
		negated = !negated
	}
	end := strings.IndexAny(p.rest(), "}(){|")
	if end < 0 || p.rest()[end] != '}' {
		return nil, "", false, p.fail(`\p{ without }`)
	}
	name = p.rest()[:end]
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) || len(name) > 60 {
		return nil, "", false, p.fail(fmt.Sprintf(`property \p{%s}`, name))
	}
	p.pos += end + 1
	if s, err = property(name); err != nil {
		return nil, "", false, err
	}
	if negated {
		s = s.negate()
	}
	name = plainName(name)
	return s, name, true, nil
}

// codeEscape reads the escape of one character; numbered is false for a letter that stands for itself.
func (p *parser) codeEscape(r rune, bracket bool) (code rune, numbered bool, err error) {
	switch r {
	case 'x':
		if p.pos >= len(p.in) {
			return r, false, nil
		}
		return p.hexEscape()
	case 'u':
		if p.pos >= len(p.in) {
			return r, false, nil
		}
		n, digits := p.digits(16, 4)
		if digits < 4 {
			return 0, false, p.fail(`\u without four hexadecimal digits`)
		}
		return n, true, nil
	case 'o':
		if p.peek() == '{' {
			return 0, false, p.refuse(`octal number \o{`)
		}
	case 'c':
		return p.control()
	case 'C':
		if !p.accept("-") {
			return 0, false, p.fail(`\C without -`)
		}
		return p.control()
	case '0', '1', '2', '3', '4', '5', '6', '7':
		p.pos--
		limit := 3
		if !bracket {
			p.pos++
			limit = 2
		}
		n, _ := p.digits(8, limit)
		return p.crude(n)
	}
	if c, ok := controls[r]; ok {
		return c, true, nil
	}
	return r, false, nil
}

func (p *parser) control() (rune, bool, error) {
	if p.pos >= len(p.in) {
		return 0, false, p.fail("control character at the end")
	}
	switch c := p.take(); {
	case c == '?':
		return 0x7F, true, nil
	case c == '\\' || c >= utf8.RuneSelf:
		return 0, false, p.refuse("control character of an escape")
	default:
		return c & 0x1F, true, nil
	}
}

// digits reads up to limit digits of a base.
func (p *parser) digits(base, limit int) (code rune, count int) {
	n := 0
	for count < limit && p.pos < len(p.in) {
		d := strings.IndexByte("0123456789abcdef", p.in[p.pos])
		if c := p.in[p.pos]; c >= 'A' && c <= 'F' {
			d = int(c-'A') + 10
		}
		if d < 0 || d >= base {
			break
		}
		n = min(n*base+d, 1<<31-1)
		p.pos++
		count++
	}
	return rune(n), count
}

// hexEscape reads \xHH and \x{H..}.
func (p *parser) hexEscape() (rune, bool, error) {
	if !p.accept("{") {
		n, _ := p.digits(16, 2)
		return p.crude(n)
	}
	at := p.pos
	n, count := p.digits(16, 8)
	switch {
	case count == 0: // a plain x, and a brace
		p.pos = at - 1
		return 'x', false, nil
	case p.pos >= len(p.in):
		return 0, false, p.fail(`\x{ without }`)
	case !p.accept("}"):
		return 0, false, p.refuse(`\x{ with several numbers`)
	case n > 0x1FFFFF:
		return 0, false, p.fail(fmt.Sprintf(`code point \x{%s}`, p.in[at:p.pos-1]))
	}
	return n, true, nil
}

// crude is a byte by its number. Only ASCII is a character by itself.
func (p *parser) crude(n rune) (rune, bool, error) {
	if n >= utf8.RuneSelf {
		return 0, false, p.refuse(fmt.Sprintf("byte 0x%X of a character", n))
	}
	return n, true, nil
}
