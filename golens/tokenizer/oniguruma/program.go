// Compiling the tree to a program over classes, which automaton and backtracker run.

package oniguruma

import "fmt"

type opcode uint8

const (
	opMatch  opcode = iota
	opChar          // a symbol of sets[arg], then x
	opSplit         // x, and y if that fails
	opTest          // tests[arg], then x
	opLast          // \Z, then x
	opStart         // \G, then x
	opAtomic        // the program at sub, then x if it took nothing, else y
	opLook          // looks[arg], then x
	opArrive        // the end of a look-behind of several lengths: only at the place it was asked for
)

type inst struct {
	op   opcode
	arg  int32
	x, y int32
}

// look is a look-ahead, or a look-behind of lo to hi characters.
type look struct {
	sub     int32
	behind  bool
	negated bool
	lo, hi  int
}

// program is what a pattern compiles to. A place in it says all that is left to match, so that to come
// to a place of the program at a place of the text a second time is never worth a try.
type program struct {
	insts     []inst
	start     int32
	alpha     *alphabet
	takes     [][]bool // for each set, whether a symbol is in it
	holds     [][]bool // for each test, whether it holds: by the symbol before and the symbol after
	looks     []look
	prior     []uint16 // for each symbol, the first one that is the same for tests that look back
	looksBack bool
	simple    bool // only what the automaton does
	starts    bool // looks for \G
}

// maxInsts bounds the size of a program; {n,m} writes out its body.
const maxInsts = 1 << 16

// maxSets is more than maxTables allows.
const maxSets = 1 << 12

type compiler struct {
	prog  *program
	sets  []set
	tests []*test
	full  bool
}

func compile(root *node) (*program, error) {
	c := &compiler{prog: &program{simple: true}}
	p := c.prog
	match := c.emit(inst{op: opMatch})
	p.start = c.node(root, match, match, false)
	if len(c.sets) > maxSets {
		return nil, tooManyClasses(len(c.sets))
	}
	if c.full {
		return nil, fmt.Errorf("more than %d steps when written out: %w", maxInsts, ErrUnsupported)
	}
	if err := c.tables(); err != nil {
		return nil, err
	}
	return p, nil
}

func (c *compiler) emit(i inst) int32 {
	if len(c.prog.insts) >= maxInsts {
		c.full = true
		return 0
	}
	c.prog.insts = append(c.prog.insts, i)
	return int32(len(c.prog.insts) - 1)
}

func (c *compiler) set(s set) int32 {
	if len(c.sets) > maxSets {
		c.full = true
		return 0
	}
	for i, t := range c.sets {
		if t.equal(s) {
			return int32(i)
		}
	}
	c.sets = append(c.sets, s)
	return int32(len(c.sets) - 1)
}

// node compiles n to a program that goes on at idle if n took no character and at busy if it took
// some. The two differ within the body of a loop: a round that took nothing leaves the loop.
func (c *compiler) node(n *node, idle, busy int32, behind bool) int32 {
	if c.full {
		return 0
	}
	switch n.kind {
	case kindText:
		return c.text(n, busy, behind)
	case kindSet:
		return c.emit(inst{op: opChar, arg: c.set(n.set), x: busy})
	case kindList:
		return c.list(n.subs, idle, busy, behind)
	case kindAlt:
		at := c.node(n.subs[len(n.subs)-1], idle, busy, behind)
		for i := len(n.subs) - 2; i >= 0; i-- {
			at = c.emit(inst{op: opSplit, x: c.node(n.subs[i], idle, busy, behind), y: at})
		}
		return at
	case kindRepeat:
		return c.repeat(n, idle, busy, behind)
	case kindGroup:
		return c.node(n.subs[0], idle, busy, behind)
	case kindAtomic:
		return c.atomic(n, idle, busy, behind)
	case kindTest:
		return c.test(n.test, idle)
	case kindLastLine:
		c.prog.simple = false
		return c.emit(inst{op: opLast, x: idle})
	case kindStart:
		c.prog.simple, c.prog.starts = false, true
		return c.emit(inst{op: opStart, x: idle})
	case kindAhead, kindBehind:
		return c.look(n, idle, behind)
	}
	return idle
}

func (c *compiler) test(t *test, next int32) int32 {
	c.tests = append(c.tests, t)
	return c.emit(inst{op: opTest, arg: int32(len(c.tests) - 1), x: next})
}

func (c *compiler) text(n *node, next int32, behind bool) int32 {
	if n.fold {
		f, err := foldTable()
		if err != nil {
			return next // Compile has read the table before
		}
		return c.node(f.text(n.text, behind), next, next, behind)
	}
	for i := len(n.text) - 1; i >= 0; i-- {
		next = c.emit(inst{op: opChar, arg: c.set(one(n.text[i])), x: next})
	}
	return next
}

func (c *compiler) list(items []*node, idle, busy int32, behind bool) int32 {
	for i := len(items) - 1; i >= 0; i-- {
		before := busy
		if idle != busy && i > 0 {
			busy = c.node(items[i], busy, busy, behind)
		}
		if idle == before {
			idle = c.node(items[i], idle, idle, behind)
			busy = idle
			continue
		}
		idle = c.node(items[i], idle, before, behind)
	}
	return idle
}

// repeat writes the rounds that must be, then those that may be or a loop.
func (c *compiler) repeat(n *node, idle, busy int32, behind bool) int32 {
	body := n.subs[0]
	items := make([]*node, 0, min(n.min, maxInsts)+1)
	for range n.min {
		items = append(items, body)
		if len(items) > maxInsts {
			c.full = true
			return 0
		}
	}
	switch {
	case n.max == unbounded:
		items = append(items, &node{kind: kindRepeat, max: unbounded, lazy: n.lazy, subs: n.subs})
		if n.min == 0 {
			return c.loop(n, idle, busy, behind)
		}
	case n.max > n.min:
		if n.min == 0 {
			return c.options(n, idle, busy, behind)
		}
		items = append(items, &node{kind: kindRepeat, max: n.max - n.min, lazy: n.lazy, subs: n.subs})
	}
	return c.list(items, idle, busy, behind)
}

func (c *compiler) split(lazy bool, body, leave int32) int32 {
	if lazy {
		return c.emit(inst{op: opSplit, x: leave, y: body})
	}
	return c.emit(inst{op: opSplit, x: body, y: leave})
}

// loop is n*. A round that takes nothing leaves it.
func (c *compiler) loop(n *node, idle, busy int32, behind bool) int32 {
	again := c.emit(inst{op: opSplit})
	body := c.node(n.subs[0], busy, again, behind)
	if n.lazy {
		c.prog.insts[again].x, c.prog.insts[again].y = busy, body
	} else {
		c.prog.insts[again].x, c.prog.insts[again].y = body, busy
	}
	if idle == busy {
		return again
	}
	return c.split(n.lazy, c.node(n.subs[0], idle, again, behind), idle)
}

// options is n{0,max}: each round may be followed by the next.
func (c *compiler) options(n *node, idle, busy int32, behind bool) int32 {
	leaveIdle, leaveBusy := idle, busy
	for range n.max {
		if c.full {
			return 0
		}
		nextBusy := busy
		if leaveIdle != leaveBusy {
			nextBusy = c.split(n.lazy, c.node(n.subs[0], busy, busy, behind), leaveBusy)
		}
		idle = c.split(n.lazy, c.node(n.subs[0], idle, busy, behind), leaveIdle)
		if leaveIdle == leaveBusy {
			busy = idle
		} else {
			busy = nextBusy
		}
	}
	return idle
}

// sub compiles a program of its own, which ends with last.
func (c *compiler) sub(n *node, last opcode, behind bool) int32 {
	end := c.emit(inst{op: last})
	return c.node(n, end, end, behind)
}

func (c *compiler) look(n *node, next int32, behind bool) int32 {
	behindHere := behind || n.kind == kindBehind
	body := n.subs[0]
	if t, ok := lookTest(unfold(body, behindHere), n.kind == kindBehind); ok {
		if n.negated {
			t = not(t)
		}
		return c.test(t, next)
	}
	c.prog.simple = false
	l := look{behind: n.kind == kindBehind, negated: n.negated}
	last := opMatch
	if l.behind {
		if l.lo, l.hi = unfold(body, true).lengths(); l.lo != l.hi {
			last = opArrive
		}
	}
	l.sub = c.sub(body, last, behindHere)
	c.prog.looks = append(c.prog.looks, l)
	return c.emit(inst{op: opLook, arg: int32(len(c.prog.looks) - 1), x: next})
}

// unfold is n with its texts where case is ignored as what they stand for.
func unfold(n *node, behind bool) *node {
	if n.kind == kindText && n.fold {
		f, err := foldTable()
		if err != nil {
			return n
		}
		return f.text(n.text, behind)
	}
	if len(n.subs) == 0 {
		return n
	}
	out := *n
	out.subs = make([]*node, len(n.subs))
	for i, s := range n.subs {
		out.subs[i] = unfold(s, behind)
	}
	return &out
}

// atomic does without the construct where it changes nothing, and for repetitions of one class: there
// it says that no further character of the class follows.
func (c *compiler) atomic(n *node, idle, busy int32, behind bool) int32 {
	body := unfold(n.subs[0], behind)
	for (body.kind == kindGroup || body.kind == kindList) && len(body.subs) == 1 {
		body = body.subs[0]
	}
	if single(body) {
		return c.node(body, idle, busy, behind)
	}
	if body.kind == kindRepeat && !body.lazy && (body.max == unbounded || body.min == 0 && body.max == 1) {
		inner := body.subs[0]
		for (inner.kind == kindGroup || inner.kind == kindList) && len(inner.subs) == 1 {
			inner = inner.subs[0]
		}
		if inner.kind == kindSet {
			none := &node{kind: kindTest, test: not(after(inner.set, false))}
			if body.max == unbounded {
				return c.list([]*node{body, none}, idle, busy, behind)
			}
			return c.node(&node{kind: kindAlt, subs: []*node{inner, none}}, idle, busy, behind)
		}
	}
	c.prog.simple = false
	sub := c.sub(n.subs[0], opMatch, behind)
	return c.emit(inst{op: opAtomic, arg: sub, x: idle, y: busy})
}

// single says whether n can match in one way at most.
func single(n *node) bool {
	switch n.kind {
	case kindEmpty, kindSet, kindTest, kindLastLine, kindStart, kindAhead, kindBehind, kindAtomic:
		return true
	case kindText:
		return !n.fold
	case kindGroup, kindList:
		for _, s := range n.subs {
			if !single(s) {
				return false
			}
		}
		return true
	case kindRepeat:
		return n.min == n.max && single(n.subs[0])
	}
	return false
}
