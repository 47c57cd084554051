// Parsing a pattern to its tree: alternatives, groups, options.

package oniguruma

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// options are those of (?imx); each group has its own.
type options struct{ ignoreCase, multiline, extended bool }

type parser struct {
	in    string
	pos   int
	tok   token
	opt   options
	named bool // the pattern has named groups: then the others are not numbered
	depth int
}

// maxDepth bounds how deep groups and classes may be nested: the parser and the compiler recurse.
const maxDepth = 250

func (p *parser) fail(what string) error {
	return fmt.Errorf("at byte %d: %s: %w", p.pos, what, ErrSyntax)
}

func (p *parser) refuse(what string) error {
	return fmt.Errorf("at byte %d: %s: %w", p.pos, what, ErrUnsupported)
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.refuse(fmt.Sprintf("more than %d levels of groups", maxDepth))
	}
	return nil
}

func parse(expr string) (*node, error) {
	if !utf8.ValidString(expr) {
		return nil, fmt.Errorf("not UTF-8: %w", ErrSyntax)
	}
	p := &parser{in: expr}
	if err := p.next(); err != nil {
		return nil, err
	}
	n, err := p.alternatives(tokEnd)
	if err != nil {
		return nil, err
	}
	joinTexts(n)
	if err := checkRounds(n); err != nil {
		return nil, err
	}
	return n, checkBehinds(n, p.named)
}

// alternatives reads up to the token end, which stays the current one.
func (p *parser) alternatives(end tokenKind) (*node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	saved := p.opt
	first, err := p.branch(end)
	if err != nil {
		return nil, err
	}
	alt := &node{kind: kindAlt, subs: []*node{first}}
	for p.tok.kind == tokAlt {
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.branch(end)
		if err != nil {
			return nil, err
		}
		alt.subs = append(alt.subs, n)
	}
	if p.tok.kind != end {
		if end == tokClose {
			return nil, p.fail("group without )")
		}
		return nil, p.fail("unmatched )")
	}
	p.opt = saved
	p.depth--
	if len(alt.subs) == 1 {
		return first, nil
	}
	return alt, nil
}

func (p *parser) branch(end tokenKind) (*node, error) {
	first, err := p.item(end)
	if err != nil {
		return nil, err
	}
	ends := func() bool { return p.tok.kind == tokEnd || p.tok.kind == end || p.tok.kind == tokAlt }
	if ends() {
		return first, nil
	}
	list := &node{kind: kindList, subs: []*node{first}}
	for !ends() {
		n, err := p.item(end)
		if err != nil {
			return nil, err
		}
		if n.kind == kindList { // only a list at the head stays one: it matters to joinTexts
			list.subs = append(list.subs, n.subs...)
		} else {
			list.subs = append(list.subs, n)
		}
	}
	return list, nil
}

// item reads one item with its repetitions; the token after it becomes the current one.
func (p *parser) item(end tokenKind) (*node, error) {
	grouped := false
	var n *node
	switch p.tok.kind {
	case tokEnd, tokAlt, end:
		return &node{kind: kindEmpty}, nil
	case tokClose:
		return nil, p.fail("unmatched )")
	case tokRepeat:
		return nil, p.fail("a repetition of nothing")
	case tokText:
		n = &node{kind: kindText, fold: p.opt.ignoreCase}
		for p.tok.kind == tokText {
			n.text = append(n.text, p.tok.char)
			if err := p.next(); err != nil {
				return nil, err
			}
		}
		return p.repeated(n, false)
	case tokCode:
		n = &node{kind: kindText, fold: p.opt.ignoreCase, text: []rune{p.tok.char}}
	case tokNode:
		n = p.tok.node
	case tokBracket:
		s, negated, err := p.bracket()
		if err != nil {
			return nil, err
		}
		if n, err = p.classNode(s, negated); err != nil {
			return nil, err
		}
	case tokOpen:
		var rest bool
		var err error
		if n, grouped, rest, err = p.group(end); err != nil || rest {
			return n, err
		}
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	return p.repeated(n, grouped)
}

func (p *parser) classNode(s set, negated bool) (*node, error) {
	if p.opt.ignoreCase {
		f, err := foldTable()
		if err != nil {
			return nil, err
		}
		return f.class(s, negated), nil
	}
	if negated {
		s = s.negate()
	}
	return &node{kind: kindSet, set: s}, nil
}

// repeated reads the repetitions after n. One after a text takes its last character only.
func (p *parser) repeated(n *node, grouped bool) (*node, error) {
	var head *node
	for ; p.tok.kind == tokRepeat; grouped = false {
		if !repeatable(n) {
			return nil, p.fail("a repetition of an anchor")
		}
		t := p.tok
		if t.min != 1 || t.max != 1 {
			if n.kind == kindText && !grouped && len(n.text) > 1 {
				last := len(n.text) - 1
				head = &node{kind: kindText, fold: n.fold, text: n.text[:last]}
				n = &node{kind: kindText, fold: n.fold, text: n.text[last:]}
			}
			q, err := repeat(n, t.min, t.max, t.lazy)
			if err != nil {
				return nil, err
			}
			if t.possessive {
				q = &node{kind: kindAtomic, subs: []*node{q}}
			}
			n = q
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if head != nil {
		return &node{kind: kindList, subs: []*node{head, n}}, nil
	}
	return n, nil
}

// repeatable says whether Oniguruma lets n be repeated.
func repeatable(n *node) bool {
	switch n.kind {
	case kindTest, kindLastLine, kindStart, kindAhead, kindBehind:
		return false
	case kindAlt:
		for _, s := range n.subs {
			if !repeatable(s) {
				return false
			}
		}
	}
	return true
}

// group reads a group up to its ')', which stays the current token. grouped is true for (?:...).
// After (?i) everything up to the end of the enclosing group is read, and rest is true.
func (p *parser) group(end tokenKind) (n *node, grouped, rest bool, err error) {
	if !p.accept("?") {
		if p.peek() == '*' {
			return nil, false, false, p.refuse("callout (*")
		}
		n, err = p.body(&node{kind: kindGroup, capture: true})
		return n, false, false, err
	}
	switch {
	case p.accept(":"):
		if err = p.next(); err == nil {
			n, err = p.alternatives(tokClose)
		}
		return n, true, false, err
	case p.accept("="):
		n, err = p.body(&node{kind: kindAhead})
	case p.accept("!"):
		n, err = p.body(&node{kind: kindAhead, negated: true})
	case p.accept(">"):
		n, err = p.body(&node{kind: kindAtomic})
	case p.accept("<="):
		n, err = p.body(&node{kind: kindBehind})
	case p.accept("<!"):
		n, err = p.body(&node{kind: kindBehind, negated: true})
	case p.accept("<"):
		n, err = p.namedGroup('>')
	case p.accept("'"):
		n, err = p.namedGroup('\'')
	case p.pos >= len(p.in):
		err = p.fail("group without )")
	case strings.ContainsRune("~({", p.peek()):
		err = p.refuse(fmt.Sprintf("group (?%c", p.peek()))
	default:
		n, rest, err = p.optionGroup(end)
	}
	return n, false, rest, err
}

func (p *parser) body(n *node) (*node, error) {
	if err := p.next(); err != nil {
		return nil, err
	}
	inner, err := p.alternatives(tokClose)
	if err != nil {
		return nil, err
	}
	n.subs = []*node{inner}
	return n, nil
}

func (p *parser) namedGroup(end rune) (*node, error) {
	at := strings.IndexAny(p.rest(), string(end)+")")
	if at < 0 || rune(p.rest()[at]) != end || at == 0 {
		return nil, p.fail("name of a group without end")
	}
	name := p.rest()[:at]
	word, err := wordOutside()
	if err != nil {
		return nil, err
	}
	for i, r := range name {
		if !word.has(r) || i == 0 && r >= '0' && r <= '9' {
			return nil, p.fail(fmt.Sprintf("name of a group %s", jsontext.Quote(name)))
		}
	}
	p.pos += at + 1
	p.named = true
	return p.body(&node{kind: kindGroup, capture: true, named: true})
}

// optionGroup reads (?imx-imx) and (?imx-imx:...).
func (p *parser) optionGroup(end tokenKind) (n *node, rest bool, err error) {
	opt, on := p.opt, true
	for {
		if p.pos >= len(p.in) {
			return nil, false, p.fail("group without )")
		}
		switch r := p.take(); r {
		case '-':
			on = false
		case 'i':
			opt.ignoreCase = on
		case 'm':
			opt.multiline = on
		case 'x':
			opt.extended = on
		case ':', ')':
			saved := p.opt
			p.opt = opt
			defer func() { p.opt = saved }()
			n = &node{kind: kindGroup}
			if r == ':' {
				n, err = p.body(n)
				return n, false, err
			}
			if err = p.next(); err != nil {
				return nil, true, err
			}
			inner, err := p.alternatives(end)
			n.subs = []*node{inner}
			return n, true, err
		case 'W', 'D', 'S', 'P', 'y', 'C', 'I', 'L':
			return nil, false, p.refuse(fmt.Sprintf("option (?%c", r))
		default:
			return nil, false, p.fail(fmt.Sprintf("group (?%c", r))
		}
	}
}
