// Plan: from a question to the steps that answer it. Reachability, fusion and lifetimes are decided here only.
package graph

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Plan is the steps that answer a question. It is only read once it is made, by any number of runs at a time.
type Plan struct {
	g     *Graph
	q     Question
	key   string
	steps []step
	dead  []Value // what is there when it begins and will not be read
	peak  atomic.Pointer[peak]
}

// step runs one node, or a fusion or a part in place of its nodes (node is the last of them), and then drops the
// values that nobody reads any more.
type step struct {
	node    int
	op      op.Op // nil: a hook point, or a part
	fusion  *Fusion
	part    *Part
	in, out []Value
	called  bool // hooks are called at this hook point
	kept    bool // and its value is kept
	drop    []Value
}

// planner is a question being planned. Nodes before its start have been executed or skipped for good.
type planner struct {
	g         *Graph
	q         *Question
	parts     []*Part // stretches that somebody else computes, each outside of the others, by First
	reachable []bool
	dead      []Value
}

func newPlan(g *Graph, q Question) (*Plan, error) {
	plan := &Plan{g: g, q: q}
	p := planner{g: g, q: &plan.q, parts: g.partsOf(&plan.q)}
	steps, err := p.steps()
	plan.steps, plan.dead = steps, p.dead
	return plan, err
}

// steps plans all nodes from the question's start on.
func (p *planner) steps() ([]step, error) {
	lastCall := p.lastCall()
	if err := p.markReachable(lastCall); err != nil {
		return nil, err
	}
	steps := p.choose(lastCall)
	p.setDrops(steps, lastCall)
	return steps, nil
}

// have reports values that are there already, or may be absent.
func (p *planner) have(v Value) bool { return p.given(v) || p.g.always(v) }

func (p *planner) given(v Value) bool { return p.q.Given.Has(int(v)) }

func (p *planner) active(node int) bool { return active(p.q.Active, node) }

func (p *planner) called(n *Node) bool { return n.Op == nil && p.q.calls(p.g, n) }

func (p *planner) kept(n *Node) bool { return n.Op == nil && p.q.keeps(p.g, n) }

func (p *planner) watched(n *Node) bool { return p.kept(n) || p.called(n) }

// lastCall is the last node at which a hook or who computes a part is called (or the move to another graph may
// happen), or -1.
func (p *planner) lastCall() int {
	if p.q.Moving {
		return len(p.g.Nodes) - 1
	}
	last := -1
	for i := range p.parts {
		if p.active(p.parts[i].First) {
			last = p.parts[i].Last
		}
	}
	for i := len(p.g.Nodes) - 1; i >= p.q.Start && i > last; i-- {
		if p.called(&p.g.Nodes[i]) {
			return i
		}
	}
	return last
}

// stretches walks over what is planned as a whole, a part or a node, from the front.
func (p *planner) stretches(visit func(first, last int, part *Part, in, out []Value)) {
	next := 0
	for i := p.q.Start; i < len(p.g.Nodes); i++ {
		if next < len(p.parts) && p.parts[next].First == i {
			part := p.parts[next]
			visit(i, part.Last, part, part.In, part.Out)
			next, i = next+1, part.Last
			continue
		}
		visit(i, i, nil, p.g.Nodes[i].In, p.g.Nodes[i].Out)
	}
}

// derive finds which nodes can run, which values there can be, and which node makes each that is not there yet. The
// first node of a part stands for all of it.
func (p *planner) derive() (canRun, derivable []bool, producer []int) {
	nodes := p.g.Nodes
	canRun = make([]bool, len(nodes))
	derivable = make([]bool, len(p.g.names))
	producer = make([]int, len(p.g.names))
	for v := range producer {
		producer[v] = -1
		derivable[v] = p.have(Value(v))
	}
	p.stretches(func(i, _ int, _ *Part, in, out []Value) {
		canRun[i] = true
		for _, v := range in {
			canRun[i] = canRun[i] && (v == None || derivable[v])
		}
		for _, v := range out {
			if !derivable[v] {
				producer[v] = i
				derivable[v] = canRun[i]
			}
		}
	})
	return canRun, derivable, producer
}

// markReachable finds the nodes to run: all that lead to what is wanted or watched, and, because a hook may add
// hooks, flags or edits that make anything after it matter, all that can run before the last called hook.
func (p *planner) markReachable(lastCall int) error {
	nodes := p.g.Nodes
	p.reachable = make([]bool, len(nodes))
	canRun, derivable, producer := p.derive()
	needed := make([]bool, len(p.g.names))
	for _, v := range p.q.Want {
		if !derivable[v] {
			return fmt.Errorf("graph: %s cannot be computed from what was given", p.g.NameOf(v))
		}
		needed[v] = true
	}
	type stretch struct {
		first   int
		looked  bool // somebody sees it whether its result is needed or not
		in, out []Value
	}
	var all []stretch
	p.stretches(func(i, last int, part *Part, in, out []Value) {
		looked := p.active(i) && (last <= lastCall || p.q.Plain)
		if part == nil {
			n := &nodes[i]
			looked = looked || p.watched(n) || (p.active(i) && p.writes(n))
		}
		all = append(all, stretch{i, looked, in, out})
	})
	for _, s := range slices.Backward(all) {
		run := canRun[s.first] && s.looked
		for _, v := range s.out {
			run = run || (needed[v] && producer[v] == s.first)
		}
		p.reachable[s.first] = run && produces(s.out, s.first, producer)
		if !p.reachable[s.first] {
			continue
		}
		for _, v := range s.in {
			if v != None {
				needed[v] = true
			}
		}
	}
	return nil
}

// writes reports whether a node writes to memory that the question lends: it runs whoever wants its value.
func (p *planner) writes(n *Node) bool { return n.Writes > 0 && p.given(n.In[n.Writes-1]) }

// produces is false for a node whose outputs were all given: it would compute what the question replaced.
func produces(out []Value, i int, producer []int) bool {
	for _, v := range out {
		if producer[v] == i {
			return true
		}
	}
	return false
}

// choose turns reachable nodes into steps, a fusion wherever one is allowed.
func (p *planner) choose(lastCall int) []step {
	steps := make([]step, 0, len(p.g.Nodes)-p.q.Start)
	f, next := 0, 0
	for i := p.q.Start; i < len(p.g.Nodes); i++ {
		if next < len(p.parts) && p.parts[next].First == i {
			part := p.parts[next]
			if p.reachable[i] {
				steps = append(steps, step{node: part.Last, part: part, in: part.In, out: part.Out})
			}
			next, i = next+1, part.Last
			continue
		}
		for f < len(p.g.Fusions) && p.g.Fusions[f].First < i {
			f++
		}
		chosen := -1
		for j := f; j < len(p.g.Fusions) && p.g.Fusions[j].First == i; j++ {
			if p.mayFuse(&p.g.Fusions[j], lastCall) && (chosen < 0 || p.g.Fusions[j].Last > p.g.Fusions[chosen].Last) {
				chosen = j
			}
		}
		if chosen >= 0 {
			fusion := &p.g.Fusions[chosen]
			steps = append(steps, step{node: fusion.Last, op: fusion.Op, fusion: fusion, in: fusion.In, out: []Value{fusion.Out}})
			i = fusion.Last
			continue
		}
		if p.reachable[i] {
			n := &p.g.Nodes[i]
			steps = append(steps, step{node: i, op: n.Op, in: n.In, out: n.Out, called: p.called(n), kept: p.kept(n)})
		}
	}
	return steps
}

// mayFuse allows a fusion when its result is needed, no edge inside it is watched, wanted or read further on, and no
// part in its way.
func (p *planner) mayFuse(f *Fusion, lastCall int) bool {
	if p.q.Plain || !p.reachable[f.Last] || !(f.Exact || p.q.DType == tensor.Float32) {
		return false
	}
	for i := range p.parts {
		if f.First <= p.parts[i].Last && p.parts[i].First <= f.Last {
			return false
		}
	}
	for i := f.First; i <= f.Last; i++ {
		n := &p.g.Nodes[i]
		if p.watched(n) {
			return false
		}
		for _, v := range n.Out {
			if v != f.Out && (p.have(v) || p.isWanted(v) || p.readBehind(v, f.Last, lastCall)) {
				return false
			}
		}
	}
	return !p.have(f.Out)
}

// readBehind: a node behind last reads v, or may have to when a hook in between adds a hook there.
func (p *planner) readBehind(v Value, last, lastCall int) bool {
	for _, reader := range p.g.readers[v] {
		if reader > last && (p.reachable[reader] || (last < lastCall && lastCall < reader)) {
			return true
		}
	}
	return false
}

func (p *planner) isWanted(v Value) bool {
	for _, w := range p.q.Want {
		if v == w {
			return true
		}
	}
	return false
}

// setDrops notes after which step each value is read for the last time. While hooks are still to be called,
// values stay for as long as any node of the whole graph could read them, so that the rest can be planned anew.
func (p *planner) setDrops(steps []step, lastCall int) {
	const forever = int(^uint(0) >> 1)
	last := make([]int, len(p.g.names))
	for v := range last {
		last[v] = -1
	}
	read := func(in []Value, at int) {
		for _, v := range in {
			if v != None && at > last[v] {
				last[v] = at
			}
		}
	}
	for i := range steps {
		read(steps[i].in, steps[i].node)
		read(steps[i].out, steps[i].node)
	}
	for i := p.q.Start; i < len(p.g.Nodes); i++ {
		read(p.g.Nodes[i].In, min(i, lastCall))
	}
	for _, v := range p.q.Want {
		last[v] = forever
	}
	at := make([]int, len(p.g.Nodes)) // first step at or behind a node; -1: there is none
	next := len(steps) - 1
	for i := len(p.g.Nodes) - 1; i >= p.q.Start; i-- {
		for next > 0 && steps[next-1].node >= i {
			next--
		}
		at[i] = -1
		if next >= 0 && steps[next].node >= i {
			at[i] = next
		}
	}
	for v, i := range last {
		switch {
		case i == forever:
			continue
		case i < 0:
			if p.given(Value(v)) {
				p.dead = append(p.dead, Value(v))
			}
			continue
		}
		if s := at[i]; s >= 0 && i >= p.q.Start && p.g.kinds[v] != weight {
			steps[s].drop = append(steps[s].drop, Value(v))
		}
	}
}
