// Cutting a pattern into tokens, repetitions among them.

package oniguruma

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokText
	tokCode // a character by its number, a text of its own
	tokNode
	tokRepeat
	tokAlt
	tokOpen
	tokClose
	tokBracket
)

type token struct {
	kind             tokenKind
	char             rune
	node             *node
	min, max         int
	lazy, possessive bool
	start            int
}

const maxRepeat = 100000

func (p *parser) rest() string { return p.in[p.pos:] }

func (p *parser) peek() rune {
	if p.pos >= len(p.in) {
		return -1
	}
	r, _ := utf8.DecodeRuneInString(p.in[p.pos:])
	return r
}

func (p *parser) take() rune {
	r, n := utf8.DecodeRuneInString(p.in[p.pos:])
	p.pos += n
	return r
}

func (p *parser) accept(s string) bool {
	if strings.HasPrefix(p.rest(), s) {
		p.pos += len(s)
		return true
	}
	return false
}

// next reads the next token outside of brackets.
func (p *parser) next() error {
	if err := p.skipComments(); err != nil {
		return err
	}
	p.tok = token{start: p.pos}
	if p.pos >= len(p.in) {
		return nil
	}
	r := p.take()
	p.tok.kind, p.tok.char = tokText, r
	switch r {
	case '\\':
		return p.escape()
	case '.':
		p.single(p.dot())
	case '*':
		p.repetition(0, unbounded)
	case '+':
		p.repetition(1, unbounded)
	case '?':
		p.repetition(0, 1)
	case '{':
		return p.interval()
	case '|':
		p.tok.kind = tokAlt
	case '(':
		p.tok.kind = tokOpen
	case ')':
		p.tok.kind = tokClose
	case '^':
		p.test(startOfLine(), false)
	case '$':
		p.test(endOfLine(), false)
	case '[':
		p.tok.kind = tokBracket
	}
	return nil
}

func (p *parser) dot() set {
	if p.opt.multiline {
		return everything
	}
	return one('\n').negate()
}

func (p *parser) single(s set) { p.tok.kind, p.tok.node = tokNode, &node{kind: kindSet, set: s} }

func (p *parser) test(t *test, endOnly bool) {
	p.tok.kind, p.tok.node = tokNode, &node{kind: kindTest, test: t, endOnly: endOnly}
}

// skipComments passes (?#...) and, where (?x) holds, white space and # to the end of the line.
func (p *parser) skipComments() error {
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; {
		case strings.HasPrefix(p.rest(), "(?#"):
			p.pos += 3
			for {
				if p.pos >= len(p.in) {
					return p.fail("comment without end")
				}
				r := p.take()
				if r == '\\' && p.pos < len(p.in) {
					p.take()
				} else if r == ')' {
					break
				}
			}
		case p.opt.extended && strings.IndexByte(" \t\n\r\f", c) >= 0:
			p.pos++
		case p.opt.extended && c == '#':
			for p.pos < len(p.in) && p.take() != '\n' {
			}
		default:
			return nil
		}
	}
	return nil
}

// repetition reads what may follow * + ?: a '?' for few, a '+' for never giving back.
func (p *parser) repetition(lo, hi int) {
	p.tok.kind, p.tok.min, p.tok.max = tokRepeat, lo, hi
	if p.accept("?") {
		p.tok.lazy = true
	} else if p.accept("+") {
		p.tok.possessive = true
	}
}

// number reads digits; no digits are 0.
func (p *parser) number() (int, error) {
	n := 0
	for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' {
		n = n*10 + int(p.in[p.pos]-'0')
		if n > maxRepeat {
			return 0, p.fail(fmt.Sprintf("repetition of more than %d", maxRepeat))
		}
		p.pos++
	}
	return n, nil
}

// interval reads {n}, {n,}, {,m}, {n,m}. {m,n} with m > n is possessive {n,m} there; only {n,m} may
// be lazy, and a '+' is a repetition of its own. Anything else is a plain brace.
func (p *parser) interval() error {
	start := p.pos
	lo, err := p.number()
	if err != nil {
		return err
	}
	noLow := p.pos == start
	hi, fixed := lo, true
	if p.accept(",") {
		fixed = false
		at := p.pos
		if hi, err = p.number(); err != nil {
			return err
		}
		if p.pos == at {
			hi = unbounded
		}
	}
	if (noLow && (fixed || hi == unbounded)) || !p.accept("}") {
		p.pos = start
		return nil
	}
	p.tok.kind = tokRepeat
	if hi != unbounded && lo > hi {
		lo, hi = hi, lo
		p.tok.possessive = true
	}
	p.tok.min, p.tok.max = lo, hi
	if !fixed && !p.tok.possessive && p.accept("?") {
		p.tok.lazy = true
	}
	return nil
}
