// Anchors, word boundaries and look-arounds of one class: tests of the characters on either side of a place.

package oniguruma

type testOp uint8

const (
	testNever testOp = iota
	testBefore
	testAfter
	testNot
	testAnd
	testOr
)

// test is a condition on the character before a place and the one after it; edge says what holds
// where there is none, at the start or the end of the text.
type test struct {
	op   testOp
	set  set
	edge bool
	subs []*test
}

func before(s set, edge bool) *test { return &test{op: testBefore, set: s, edge: edge} }
func after(s set, edge bool) *test  { return &test{op: testAfter, set: s, edge: edge} }
func not(t *test) *test             { return &test{op: testNot, subs: []*test{t}} }
func both(ts ...*test) *test        { return &test{op: testAnd, subs: ts} }
func either(ts ...*test) *test      { return &test{op: testOr, subs: ts} }
func always() *test                 { return not(&test{}) }

// sets gives every set in t.
func (t *test) sets(f func(set)) {
	if t.op == testBefore || t.op == testAfter {
		f(t.set)
	}
	for _, s := range t.subs {
		s.sets(f)
	}
}

func (t *test) holds(in func(t *test) bool) bool {
	switch t.op {
	case testBefore, testAfter:
		return in(t)
	case testNot:
		return !t.subs[0].holds(in)
	case testAnd:
		for _, s := range t.subs {
			if !s.holds(in) {
				return false
			}
		}
		return true
	case testOr:
		for _, s := range t.subs {
			if s.holds(in) {
				return true
			}
		}
	}
	return false
}

func startOfText() *test { return before(nil, true) }
func endOfText() *test   { return after(nil, true) }

// startOfLine does not hold after a newline that ends the text.
func startOfLine() *test {
	return either(startOfText(), both(before(one('\n'), false), not(endOfText())))
}

func endOfLine() *test { return after(one('\n'), true) }

func wordBoundary(word set) *test {
	b, a := before(word, false), after(word, false)
	return either(both(b, not(a)), both(not(b), a))
}

// lookTest is a look-ahead or look-behind for n as a test, when it needs no more than one character.
func lookTest(n *node, behind bool) (*test, bool) {
	switch n.kind {
	case kindEmpty:
		return always(), true
	case kindSet:
		if behind {
			return before(n.set, false), true
		}
		return after(n.set, false), true
	case kindText:
		if len(n.text) == 1 && !n.fold {
			return lookTest(&node{kind: kindSet, set: one(n.text[0])}, behind)
		}
	case kindTest:
		return n.test, true
	case kindGroup, kindAtomic:
		return lookTest(n.subs[0], behind)
	case kindAlt:
		out := &test{op: testOr}
		for _, s := range n.subs {
			t, ok := lookTest(s, behind)
			if !ok {
				return nil, false
			}
			out.subs = append(out.subs, t)
		}
		return out, true
	case kindList:
		return lookList(n.subs, behind)
	case kindRepeat: // the first character decides, when nothing has to follow
		if behind || n.min > 1 {
			break
		}
		if n.min == 0 {
			return always(), true
		}
		return lookTest(n.subs[0], behind)
	}
	return nil, false
}

// lookList takes tests at the place itself, and one item that is a character at the far side of them.
func lookList(items []*node, behind bool) (*test, bool) {
	out := &test{op: testAnd}
	for i, s := range items {
		lo, hi := s.lengths()
		last := i == len(items)-1
		if behind {
			last = i == 0
		}
		if !last && (lo != 0 || hi != 0) {
			return nil, false
		}
		t, ok := lookTest(s, behind)
		if !ok {
			return nil, false
		}
		out.subs = append(out.subs, t)
	}
	return out, true
}
