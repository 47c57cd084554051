package oniguruma

// tables makes the alphabet of all sets of the program, and what sets and tests say of its symbols.
func (c *compiler) tables() {
	p := c.prog
	sets := append([]set(nil), c.sets...)
	for _, t := range c.tests {
		t.sets(func(s set) { sets = append(sets, s) })
	}
	sets = append(sets, one('\n')) // \Z looks at it
	sets = distinct(sets)
	p.alpha = newAlphabet(sets)
	n := int(p.alpha.edge)
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
	same := func(a, b int) bool {
		for _, h := range p.holds {
			for f := range n {
				if h[a*n+f] != h[b*n+f] {
					return false
				}
			}
		}
		return true
	}
	for i := range n {
		p.prior[i] = uint16(i)
		for k := range i {
			if same(k, i) {
				p.prior[i] = uint16(k)
				break
			}
		}
		if p.prior[i] != 0 {
			p.looksBack = true
		}
	}
}

func (p *program) testHolds(arg int32, before, after uint16) bool {
	return p.holds[arg][int(before)*(int(p.alpha.edge)+1)+int(after)]
}
