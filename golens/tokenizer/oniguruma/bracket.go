// Parsing bracketed classes: ranges, nested classes, intersections, POSIX names.

package oniguruma

import (
	"fmt"
	"strings"
)

type classState uint8

const (
	classStart classState = iota
	classValue
	classRange
	classComplete
)

// class is a bracketed class that is being read: what of it is done, and what may begin a range.
type class struct {
	p     *parser
	done  []span
	state classState
	from  rune
	named bool // the value is a class of its own and begins no range
	holes bool // a class within was negated
}

// value adds a character, which may end a range.
func (c *class) value(r rune) error {
	switch c.state {
	case classRange:
		if c.from > r {
			return c.p.fail(fmt.Sprintf("range from U+%04X to U+%04X", c.from, r))
		}
		c.done = append(c.done, span{c.from, r})
		c.state = classComplete
		c.named = false
		return nil
	case classValue:
		c.flush()
	}
	c.state, c.from, c.named = classValue, r, false
	return nil
}

// flush adds the character that might have begun a range.
func (c *class) flush() {
	if c.state == classValue && !c.named {
		c.done = append(c.done, span{c.from, c.from})
	}
}

// classes adds a class such as \w.
func (c *class) classes(s set) error {
	if c.state == classRange {
		return c.p.fail("a class at the end of a range")
	}
	c.flush()
	c.done = append(c.done, s...)
	c.state, c.named = classValue, true
	return nil
}

// dash reads a '-' that was just taken.
func (c *class) dash() error {
	ends := strings.HasPrefix(c.p.rest(), "]") || strings.HasPrefix(c.p.rest(), "&&")
	switch {
	case c.state == classValue && !ends:
		if c.named {
			return c.p.fail("a class at the start of a range")
		}
		c.state = classRange
		return nil
	}
	return c.value('-')
}

// bracket reads a class after its '['. The set is not negated yet: see folding.class.
func (p *parser) bracket() (s set, negated bool, err error) {
	if err := p.enter(); err != nil {
		return nil, false, err
	}
	defer func() { p.depth-- }()
	negated = p.accept("^")
	c := &class{p: p}
	if strings.HasPrefix(p.rest(), "]") {
		if !strings.Contains(p.rest()[1:], "]") {
			return nil, false, p.fail("empty class")
		}
		p.pos++
		if err := c.value(']'); err != nil {
			return nil, false, err
		}
	}
	all, cut := everything, false
	for {
		if p.pos >= len(p.in) {
			return nil, false, p.fail("class without ]")
		}
		if p.accept("]") {
			c.flush()
			if negated && cut && c.holes {
				// Oniguruma loses all characters above ASCII from some of these.
				return nil, false, p.refuse("negated class within a negated intersection")
			}
			return all.intersect(newSet(c.done)), negated, nil
		}
		if p.accept("&&") {
			c.flush()
			all = all.intersect(newSet(c.done))
			c = &class{p: p, holes: c.holes}
			cut = true
			continue
		}
		if err := c.item(); err != nil {
			return nil, false, err
		}
	}
}

func (c *class) item() error {
	p := c.p
	switch r := p.take(); r {
	case '-':
		return c.dash()
	case '\\':
		return c.escape()
	case '[':
		if s, ok, err := p.posix(); ok || err != nil {
			if err != nil {
				return err
			}
			return c.classes(s)
		}
		c.flush()
		c.state = classComplete
		inner, negated, err := p.bracket()
		if err != nil {
			return err
		}
		if negated {
			inner, c.holes = inner.negate(), true
		}
		c.done = append(c.done, inner...)
		return nil
	default:
		return c.value(r)
	}
}

func (c *class) escape() error {
	p := c.p
	if p.pos >= len(p.in) {
		return p.fail("backslash at the end")
	}
	r := p.take()
	if s, ok, err := classEscape(r); ok || err != nil {
		if err != nil {
			return err
		}
		return c.classes(s)
	}
	if r == 'p' || r == 'P' {
		s, _, ok, err := p.readProperty(r == 'P')
		if err != nil {
			return err
		}
		if ok {
			return c.classes(s)
		}
		return c.value(r)
	}
	if r == 'M' {
		return p.refuse(`meta character \M`)
	}
	code, _, err := p.codeEscape(r, true)
	if err != nil {
		return err
	}
	return c.value(code)
}

var posixNames = []string{
	"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
	"xdigit", "ascii", "word",
}

// posix reads [:name:] and [:^name:] after its '['; ok is false for something else.
func (p *parser) posix() (s set, ok bool, err error) {
	if !strings.HasPrefix(p.rest(), ":") {
		return nil, false, nil
	}
	end := strings.Index(p.rest(), ":]")
	if end < 1 {
		return nil, false, nil
	}
	name := p.rest()[1:end]
	plain := strings.TrimPrefix(name, "^")
	alpha, err := property("alpha")
	if err != nil {
		return nil, false, err
	}
	if name == "" || strings.ContainsFunc(plain, func(r rune) bool { return !alpha.has(r) }) {
		return nil, false, nil
	}
	for _, known := range posixNames {
		if plain != known {
			continue
		}
		p.pos += end + 2
		if known == "punct" {
			known = "posixpunct"
		}
		s, err = property(known)
		if plain != name {
			s = s.negate()
		}
		return s, true, err
	}
	return nil, false, p.fail(fmt.Sprintf("class [:%s:]", name))
}
