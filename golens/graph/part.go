// Part: a stretch of nodes that somebody else computes, such as a module that a user put in a component's place.
package graph

import (
	"cmp"
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Part is the nodes First to Last with the values that pass its borders. Every component of a model is one, and
// every hook point.
type Part struct {
	Name        string
	Index       int // among the parts of its graph
	First, Last int
	In          []Value // made outside and read inside; the first is what goes in
	Out         []Value // the first is what comes out
}

// Call asks somebody else for what comes out of a part.
type Call struct {
	Part  *Part
	Graph *Graph
	// In holds a tensor for each value of Part.In, nil where an optional one is absent. They are live: what is
	// written to them, every later reader of those values sees.
	In   []*tensor.Tensor
	Kept int // how many edges the run has kept so far
	// Out is filled by who is called, a reference for each value of Part.Out; only the first must be there.
	Out  []*tensor.Tensor
	Same bool // what comes out is what went in, the same memory; Out[0] stays nil
}

// AddPart says that the nodes from first on are a part, and what comes out of it. in is what goes in; what else is
// read inside, and also of these, is found by itself.
func (g *Graph) AddPart(name string, first int, in Value, out []Value, also ...Value) {
	p := Part{Name: name, First: first, Last: len(g.Nodes) - 1, In: []Value{in}, Out: out}
	known := map[Value]bool{in: true, None: true}
	add := func(v Value) {
		if !known[v] && g.kinds[v] != weight {
			p.In = append(p.In, v)
		}
		known[v] = true
	}
	for _, n := range g.Nodes[first:] {
		for _, v := range n.In {
			add(v)
		}
		for _, v := range n.Out {
			known[v] = true
		}
	}
	for _, v := range also {
		add(v)
	}
	p.Index = len(g.parts)
	g.parts = append(g.parts, p)
	g.partOf[name] = p.Index
}

// Part finds a part by name: that of a component, or of a hook point.
func (g *Graph) Part(name string) (Part, bool) {
	i, ok := g.partOf[name]
	if !ok {
		return Part{}, false
	}
	return g.parts[i], true
}

// IsLent reports whether a value is the caller's own memory, to which the run writes.
func (g *Graph) IsLent(v Value) bool { return g.kinds[v] == lent }

// Covers reports whether every node of q lies in p.
func (p *Part) Covers(q *Part) bool { return p.First <= q.First && p.Last >= q.Last }

// hides reports whether a node inside p makes v, and nobody outside sees it.
func (p *Part) hides(g *Graph, v Value) bool {
	return !slices.Contains(p.Out, v) && slices.ContainsFunc(g.Nodes[p.First:p.Last+1], func(n Node) bool { return slices.Contains(n.Out, v) })
}

// partsOf are the parts of a question that count: those that begin at its start or behind it, lie in no other, and are
// run to their end (a run that stops inside one computes what it needs of it). They come by First.
func (g *Graph) partsOf(q *Question) []*Part {
	var parts []*Part
	for i := range q.Parts.All() {
		p := &g.parts[i]
		if p.First >= q.Start && !slices.ContainsFunc(q.Want, func(v Value) bool { return p.hides(g, v) }) {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(p, q *Part) int { return cmp.Or(cmp.Compare(p.First, q.First), cmp.Compare(q.Last, p.Last)) })
	end := -1
	return slices.DeleteFunc(parts, func(p *Part) bool {
		if p.Last <= end {
			return true
		}
		end = p.Last
		return false
	})
}

// call has a part computed by whom the question names. It reports whether hooks or graph changed meanwhile.
func (r *run) call(p *Part) (stale bool, err error) {
	c := &Call{Part: p, Graph: r.g, In: make([]*tensor.Tensor, len(p.In)), Kept: len(*r.kept), Out: make([]*tensor.Tensor, len(p.Out))}
	for i, v := range p.In {
		if r.cells.of[v] == nil {
			continue
		}
		if r.g.kinds[v] == lent {
			c.In[i] = r.cells.of[v].t
			continue
		}
		if c.In[i], err = (&editable{cells: &r.cells, out: v}).Exclusive(); err != nil {
			return false, err
		}
	}
	if err := r.env.Call(c); err != nil {
		for _, t := range c.Out {
			t.Release()
		}
		return false, err
	}
	if c.Same {
		r.cells.share(p.Out[0], p.In[0])
	}
	for i, t := range c.Out {
		if t != nil {
			r.cells.put(p.Out[i], t)
		}
	}
	if n := &r.g.Nodes[p.Last]; p.First == p.Last && n.Op == nil && r.q.keeps(r.g, n) {
		if err := r.keep(n); err != nil {
			return false, err
		}
	}
	return r.changed()
}
