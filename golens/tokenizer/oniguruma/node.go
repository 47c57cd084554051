// The tree that a pattern is parsed to, and the lengths of what it matches.

package oniguruma

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

type kind uint8

const (
	kindEmpty    kind = iota
	kindText          // text, as written; fold says whether case is ignored
	kindSet           // one character of set
	kindList          // subs, one after the other
	kindAlt           // one of subs, the earlier first
	kindRepeat        // subs[0], min to max times
	kindGroup         // subs[0]; capture says whether it is numbered
	kindAtomic        // subs[0], never entered again once it matched
	kindTest          // a look at the characters before and after: test
	kindLastLine      // \Z: the end, or a newline at the end
	kindStart         // \G: where the search began
	kindAhead         // look-ahead for subs[0], negated or not
	kindBehind        // look-behind
)

const unbounded = -1

type node struct {
	kind     kind
	text     []rune
	fold     bool
	set      set
	subs     []*node
	min, max int
	lazy     bool
	capture  bool
	named    bool
	negated  bool
	test     *test
	endOnly  bool // a test that Oniguruma does not allow in a look-behind: \z
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// quantifierType numbers ? * + ?? *? +?, and is -1 for other repetitions.
func (n *node) quantifierType() int {
	t := -1
	switch {
	case n.min == 0 && n.max == 1:
		t = 0
	case n.min == 0 && n.max == unbounded:
		t = 1
	case n.min == 1 && n.max == unbounded:
		t = 2
	}
	if t >= 0 && n.lazy {
		t += 3
	}
	return t
}

type reduction uint8

const (
	keepBoth reduction = iota
	keepInner
	toStar
	toPlus
	toLazyStar
	toLazyOption
	toPlusInLazyOption
)

// reductions are what Oniguruma makes of a repetition of a repetition: the inner one by row, the outer
// one by column. Not all of them keep the meaning, so they have to be made here as well.
var reductions = [6][6]reduction{
	{keepInner, toStar, toStar, toLazyOption, toLazyStar, keepBoth},
	{keepInner, keepInner, keepInner, toPlusInLazyOption, toPlusInLazyOption, keepInner},
	{toStar, toStar, keepInner, keepBoth, toPlusInLazyOption, keepInner},
	{keepInner, toLazyStar, toLazyStar, keepInner, toLazyStar, toLazyStar},
	{keepInner, keepInner, keepInner, keepInner, keepInner, keepInner},
	{keepBoth, toStar, toPlus, toLazyStar, toLazyStar, keepInner},
}

// repeat is a repetition of body as Oniguruma reads it.
func repeat(body *node, lo, hi int, lazy bool) (*node, error) {
	q := &node{kind: kindRepeat, min: lo, max: hi, lazy: lazy, subs: []*node{body}}
	if body.kind != kindRepeat {
		return q, nil
	}
	outer, inner := q.quantifierType(), body.quantifierType()
	if inner >= 0 && outer < 0 {
		if (inner == 1 || inner == 2) && hi != unbounded && hi > 1 && !lazy {
			q.max = max(lo, 1)
		}
		return q, nil
	}
	if outer < 0 || inner < 0 {
		if lo == hi && body.min == body.max {
			n := int64(lo) * int64(body.min)
			if n > 1<<31-1 {
				return nil, fmt.Errorf("repetition {%d} of {%d}: %w: too many", lo, body.min, ErrSyntax)
			}
			return &node{kind: kindRepeat, min: int(n), max: int(n), lazy: lazy, subs: body.subs}, nil
		}
		return q, nil
	}
	with := func(lo, hi int, lazy bool) *node {
		return &node{kind: kindRepeat, min: lo, max: hi, lazy: lazy, subs: body.subs}
	}
	switch reductions[inner][outer] {
	case keepInner:
		return body, nil
	case toStar:
		return with(0, unbounded, false), nil
	case toPlus:
		return with(1, unbounded, false), nil
	case toLazyStar:
		return with(0, unbounded, true), nil
	case toLazyOption:
		return with(0, 1, true), nil
	case toPlusInLazyOption:
		return &node{kind: kindRepeat, min: 0, max: 1, lazy: true, subs: []*node{with(1, unbounded, false)}}, nil
	}
	return q, nil
}

// lengths are the smallest and the largest number of characters of a match.
func (n *node) lengths() (lo, hi int) {
	switch n.kind {
	case kindText:
		return len(n.text), len(n.text)
	case kindSet:
		return 1, 1
	case kindGroup, kindAtomic:
		return n.subs[0].lengths()
	case kindList:
		for _, s := range n.subs {
			l, h := s.lengths()
			lo, hi = add(lo, l), add(hi, h)
		}
	case kindAlt:
		for i, s := range n.subs {
			l, h := s.lengths()
			if i == 0 {
				lo, hi = l, h
			}
			lo = min(lo, l)
			if hi != unbounded && (h == unbounded || h > hi) {
				hi = h
			}
		}
	case kindRepeat:
		l, h := n.subs[0].lengths()
		lo = times(l, n.min)
		switch {
		case h == 0 || n.max == 0:
			hi = 0
		case h == unbounded || n.max == unbounded:
			hi = unbounded
		default:
			hi = times(h, n.max)
		}
	}
	return lo, hi
}

func add(a, b int) int {
	if a == unbounded || b == unbounded {
		return unbounded
	}
	return min(a+b, 1<<30)
}

func times(a, b int) int { return int(min(int64(a)*int64(b), 1<<30)) }
