// Run: executing the plan of a question. Hooks are called here, through hook.Fire, and nowhere else.
package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// pollEvery is how often a run asks whether it should end.
const pollEvery = 50 * time.Millisecond

// Question is one use of a graph: what is given, what is wanted, who watches.
type Question struct {
	Given   map[Value]*tensor.Tensor // borrowed for the run
	Through map[Value]bool           // given values to which edits in place are written at the end of the run
	Want    []Value
	Keep    func(point int) bool // edges whose values are kept, each after its hooks; nil: none
	Kept    *[]Kept              // where to keep them: those of the run that this one is a part of; nil: the answer's
	Hooks   *hook.Registry       // nil: no hooks are called
	Foreign hook.Caller          // calls hooks that are not Go functions
	// Parts makes a list of the stretches of a graph that somebody else computes now, in any order, nested ones too.
	// Call has one computed; hooks and kept edges inside it are then the callee's business. Nil: none.
	Parts func(g *Graph) []Part
	Call  func(c *Call) error
	// Active bounds the nodes at which hooks are called and edges kept: those of a component that is called by
	// itself, or from the layer on where a run starts. None means all. Nodes outside run if their values are needed.
	Active []Range
	Plain  bool         // run node by node, without fusion or pruning: the same bits, slower
	Poll   func() error // asked now and then whether to go on
	// Renew is asked after hooks changed: a graph other than the running one takes the rest over (renew.go). Nil,
	// or a nil answer: the graph stays.
	Renew func() (*Renewal, error)
}

// Range is the nodes First to Last-1.
type Range struct{ First, Last int }

// Kept is an edge's value, in execution order.
type Kept struct {
	Point int
	T     *tensor.Tensor
}

// Answer holds what was asked for. The caller releases every tensor in it.
type Answer struct {
	Values map[Value]*tensor.Tensor
	Kept   []Kept
}

// Release drops all tensors of an answer.
func (a *Answer) Release() {
	for _, t := range a.Values {
		t.Release()
	}
	for _, k := range a.Kept {
		k.T.Release()
	}
}

// run is a question being answered. graph, want and active are the question's, until another graph takes over.
type run struct {
	g          *Graph
	want       []Value
	active     []Range
	q          *Question
	next       *Renewal // the graph that is to take over; nil: none
	backend    backend.Backend
	cells      cells
	answer     *Answer
	kept       *[]Kept
	lent       []lent
	generation uint64
	polled     time.Time
}

// Run answers a question. Whatever happens, nothing of the run stays behind but the answer.
func (g *Graph) Run(ctx context.Context, b backend.Backend, q *Question) (*Answer, error) {
	r := &run{
		g: g, want: q.Want, active: q.Active, q: q, backend: b, polled: time.Now(),
		cells: cells{b, make([]*cell, len(g.names))}, answer: &Answer{Values: map[Value]*tensor.Tensor{}},
	}
	if r.kept = q.Kept; r.kept == nil {
		r.kept = &r.answer.Kept
	}
	answered := false
	defer func() { // also when a hook panics
		r.cells.dropAll()
		for _, l := range r.lent {
			r.cells.leave(l.cell)
		}
		if !answered {
			r.answer.Release()
		}
	}()
	for v, t := range q.Given {
		if g.lent[v] {
			r.cells.put(v, t.Retain())
			continue
		}
		if q.Through[v] {
			r.lend(v, t)
			continue
		}
		own, err := t.Clone() // hooks may edit what they are given, and the caller's memory is not theirs
		if err != nil {
			return nil, fmt.Errorf("graph: %s: %w", g.NameOf(v), err)
		}
		r.cells.put(v, own)
	}
	if err := r.execute(ctx); err != nil {
		return nil, err
	}
	r.returnLent()
	answered = true
	return r.answer, nil
}

func (r *run) execute(ctx context.Context) error {
	for start := 0; start < len(r.g.Nodes); {
		steps, err := r.plan(start)
		if err != nil {
			return err
		}
		start = len(r.g.Nodes)
		for i := range steps {
			if err := r.poll(ctx); err != nil {
				return err
			}
			stale, err := r.step(&steps[i])
			if err != nil {
				return err
			}
			if stale {
				start = r.resume(steps[i].node)
				break
			}
		}
	}
	for i, v := range r.want {
		t, err := r.cells.keep(v)
		if err != nil {
			return err
		}
		r.answer.Values[r.q.Want[i]] = t
	}
	return nil
}

func (r *run) plan(start int) ([]step, error) {
	if r.q.Hooks != nil {
		r.generation = r.q.Hooks.Generation()
	}
	p := planner{g: r.g, start: start, want: r.want, parts: r.partsFrom(r.g, start, r.want), plain: r.q.Plain, moving: r.next != nil, have: func(v Value) bool { return r.cells.of[v] != nil || r.g.optional[v] }}
	p.lent = func(v Value) bool { return r.cells.of[v] != nil }
	p.active = func(node int) bool { return active(r.active, node) }
	p.kept = func(point int) bool { return r.q.Keep != nil && r.inRange(point) && r.q.Keep(point) }
	p.called = func(point int) bool {
		return r.q.Hooks != nil && r.inRange(point) && r.q.Hooks.Watched(point, hook.Forward)
	}
	steps, err := p.steps()
	for _, v := range p.dead {
		r.cells.drop(v)
	}
	return steps, err
}

// active reports whether hooks are called at a node.
func active(ranges []Range, node int) bool {
	for _, r := range ranges {
		if node >= r.First && node < r.Last {
			return true
		}
	}
	return len(ranges) == 0
}

func (r *run) inRange(point int) bool { return active(r.active, r.g.Edges[point].Node) }

// step executes one step; it reports whether hooks or graph changed, so that the rest must be planned anew.
func (r *run) step(s *step) (stale bool, err error) {
	switch n := &r.g.Nodes[s.node]; {
	case s.part != nil:
		stale, err = r.call(s.part)
	case s.fusion != nil:
		err = r.apply(s.fusion.Op.Forward, s.fusion.In, []Value{s.fusion.Out})
	case n.Op != nil:
		err = r.apply(n.Op.Forward, n.In, n.Out)
	default:
		stale, err = r.hook(n, s.called)
	}
	if err != nil {
		return false, err
	}
	if !stale {
		for _, v := range s.drop {
			r.cells.drop(v)
		}
	}
	return stale, nil
}

func (r *run) apply(forward func(backend.Backend, []*tensor.Tensor) ([]*tensor.Tensor, error), in, out []Value) error {
	inputs := make([]*tensor.Tensor, len(in))
	for i, v := range in {
		if v != None && r.cells.of[v] != nil {
			inputs[i] = r.cells.of[v].t
		}
	}
	outputs, err := forward(r.backend, inputs)
	if err != nil {
		return fmt.Errorf("%w (at %s)", err, r.g.NameOf(out[0]))
	}
	for i, v := range out {
		r.cells.put(v, outputs[i])
	}
	return nil
}

// hook passes a value over a hook point: its hooks are called, then it is kept if that was asked for.
func (r *run) hook(n *Node, called bool) (stale bool, err error) {
	out := n.Out[0]
	r.cells.share(out, n.In[0])
	if !r.inRange(n.Point) {
		return false, nil
	}
	if called {
		p, err := r.q.Hooks.Point(n.Point)
		if err != nil {
			return false, err
		}
		e := &editable{cells: &r.cells, out: out, resize: r.g.Edges[n.Point].Resize}
		if err := r.q.Hooks.Fire(p, hook.Forward, e, r.q.Foreign); err != nil {
			return false, err
		}
		if stale, err = r.changed(); err != nil {
			return false, err
		}
	}
	if err := r.keep(n); err != nil {
		return false, err
	}
	return stale || r.canMove(n.Point), nil
}

// changed reports, after somebody was called, whether hooks or graph are not what was planned with.
func (r *run) changed() (bool, error) {
	r.polled = time.Now()
	if r.q.Hooks == nil || r.q.Hooks.Generation() == r.generation {
		return false, nil
	}
	return true, r.renew()
}

// keep keeps the value behind a hook point if that was asked for.
func (r *run) keep(n *Node) error {
	if r.q.Keep == nil || !r.inRange(n.Point) || !r.q.Keep(n.Point) {
		return nil
	}
	t, err := r.cells.keep(n.Out[0])
	if err != nil {
		return err
	}
	*r.kept = append(*r.kept, Kept{n.Point, t})
	return nil
}

func (r *run) poll(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.q.Poll == nil || time.Since(r.polled) < pollEvery {
		return nil
	}
	r.polled = time.Now()
	return r.q.Poll()
}
