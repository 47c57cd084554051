// Renew: a hook that flips a flag changes the model's graph, and the rest of the run goes on in the new one.
package graph

// Renewal is the graph that a model has now, with a running question's Want and Active as they are in it.
type Renewal struct {
	Graph  *Graph
	Want   []Value // as many as the question's, in its order
	Active []Range
}

// renew asks, after hooks changed, whether another graph is to take over.
func (r *run) renew() error {
	r.next = nil
	if r.env.Renew == nil {
		return nil
	}
	next, err := r.env.Renew()
	if err == nil && next != nil && next.Graph != r.g {
		r.next = next
	}
	return err
}

// canMove reports whether the waiting graph can take over behind this hook point: it has the point too, and from
// the values that are there, by name, it can compute all that lies behind. Inside a layer whose wiring the flag
// changes it often cannot; the old graph then runs on to the next point where it can.
func (r *run) canMove(point int) bool {
	if r.next == nil {
		return false
	}
	edge, ok := r.next.Graph.Edges[point]
	if !ok {
		return false
	}
	g := r.next.Graph
	q := Question{Start: edge.Node + 1, Want: r.next.Want, Parts: r.replaced(g)}
	for v, name := range g.names {
		if old, known := r.g.byName[name]; known && r.cells.of[old] != nil {
			q.Given.Add(v)
		}
	}
	p := planner{g: g, q: &q, parts: g.partsOf(&q)}
	canRun, derivable, producer := p.derive()
	complete := true
	p.stretches(func(i, _ int, _ *Part, _, out []Value) {
		if active(r.next.Active, i) && !canRun[i] && produces(out, i, producer) {
			complete = false
		}
	})
	if !complete {
		return false
	}
	for _, v := range r.next.Want {
		if !derivable[v] {
			return false
		}
	}
	return true
}

// resume is the node to go on from when the node done is the last that was executed. If the waiting graph can take
// over here, it does: values go over by name, still sharing memory as they did.
func (r *run) resume(done int) int {
	n := &r.g.Nodes[done]
	if !r.canMove(n.Point) {
		return done + 1
	}
	g := r.next.Graph
	moved := make([]*cell, len(g.names))
	for v := range r.cells.of {
		if to, ok := g.byName[r.g.names[v]]; ok {
			moved[to], r.cells.of[v] = r.cells.of[v], nil
		}
	}
	r.cells.dropAll()
	r.cells.of = moved
	r.g, r.q.Want, r.q.Active, r.next = g, r.next.Want, r.next.Active, nil
	return g.Edges[n.Point].Node + 1
}
