// The tables of a program: what its classes and tests say of each symbol, and their bounds.

package oniguruma

import "fmt"

// maxTables bounds the bytes of each table of a program, and the work of making it.
const maxTables = 1 << 24

// tables makes the alphabet of all sets of the program, and what sets and tests say of its symbols.
func (c *compiler) tables() error {
	p := c.prog
	sets := append([]set(nil), c.sets...)
	for _, t := range c.tests {
		t.sets(func(s set) { sets = append(sets, s) })
	}
	sets = append(sets, one('\n')) // \Z looks at it
	sets = distinct(sets)
	bounds := 2
	for _, s := range sets {
		bounds += 2 * len(s)
	}
	if bounds*len(sets) > maxTables {
		return tooManyClasses(len(sets))
	}
	p.alpha = newAlphabet(sets)
	n := int(p.alpha.edge)
	if (n+1)*max(len(c.sets), (n+1)*len(c.tests)) > maxTables {
		return tooManyClasses(len(sets))
	}
	for _, s := range c.sets {
		takes := make([]bool, n+1)
		for i, r := range p.alpha.examples {
			takes[i] = s.has(r)
		}
		p.takes = append(p.takes, takes)
	}
	for _, t := range c.tests {
		p.holds = append(p.holds, p.alpha.truth(t))
	}
	p.looksBackAt(n)
	return nil
}

func tooManyClasses(n int) error {
	return fmt.Errorf("%d different classes of characters are too many together: %w", n, ErrUnsupported)
}

func distinct(sets []set) []set {
	var out []set
next:
	for _, s := range sets {
		for _, t := range out {
			if s.equal(t) {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

// truth is whether t holds, for every symbol before and every symbol after.
func (a *alphabet) truth(t *test) []bool {
	n := int(a.edge) + 1
	in := map[*test][]bool{}
	var fill func(t *test)
	fill = func(t *test) {
		for _, s := range t.subs {
			fill(s)
		}
		if t.op != testBefore && t.op != testAfter {
			return
		}
		member := make([]bool, n)
		for i, r := range a.examples {
			member[i] = t.set.has(r)
		}
		member[n-1] = t.edge
		in[t] = member
	}
	fill(t)
	out := make([]bool, n*n)
	for b := range n {
		for f := range n {
			out[b*n+f] = t.holds(func(t *test) bool {
				if t.op == testBefore {
					return in[t][b]
				}
				return in[t][f]
			})
		}
	}
	return out
}

// looksBackAt finds the symbols that all tests take for the same when they are before a place: the
// automaton need not tell them apart.
func (p *program) looksBackAt(edge int) {
	n := edge + 1
	p.prior = make([]uint16, n)
	first := map[string]uint16{} // by all that the tests say of a symbol
	row := make([]byte, 0, n*len(p.holds))
	for i := range n {
		row = row[:0]
		for _, h := range p.holds {
			for f := range n {
				bit := byte(0)
				if h[i*n+f] {
					bit = 1
				}
				row = append(row, bit)
			}
		}
		known, ok := first[string(row)]
		if !ok {
			known = uint16(i)
			first[string(row)] = known
		}
		p.prior[i] = known
		p.looksBack = p.looksBack || known != 0
	}
}

func (p *program) testHolds(arg int32, before, after uint16) bool {
	return p.holds[arg][int(before)*(int(p.alpha.edge)+1)+int(after)]
}
