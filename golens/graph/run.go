// Run: executing a plan. Hooks are called here, through hook.Fire, and nowhere else.
package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// pollEvery is how often a run asks whether it should end.
const pollEvery = 50 * time.Millisecond

// Env is all of a run that is no plan: where it computes, on what, and who is called.
type Env struct {
	Backend backend.Backend
	Weights Weights
	Given   Inputs         // the values of the question's Given
	Kept    *[]Kept        // where kept edges go: those of the run that this one is a part of; nil: the answer's
	Hooks   *hook.Registry // nil: no hooks are called
	// Generation is the registry's when the question took its hooks.
	Generation uint64
	Foreign    hook.Caller // calls hooks that are not Go functions
	// Parts says which stretches of a graph somebody else computes now, as a question does. Nil: none ever.
	Parts func(g *Graph) bitset.Set
	Call  func(c *Call) error // has one computed
	Poll  func() error        // asked now and then whether to go on
	// Renew is asked after hooks changed: a graph other than the running one takes the rest over (renew.go). Nil,
	// or a nil answer: the graph stays.
	Renew func() (*Renewal, error)
}

// Weights are what Graph.Weight names.
type Weights interface {
	// Weight is a weight as operations read it at this moment. The caller releases it.
	Weight(index int) (*tensor.Tensor, error)
}

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

// run is a question being answered. g, plan and q are those of the rest, after hooks changed.
type run struct {
	g          *Graph
	plan       *Plan
	q          Question
	env        *Env
	first      []Value  // what the first question wanted: by these names the answer is given
	next       *Renewal // the graph that is to take over; nil: none
	cells      cells
	scratch    op.Scratch
	inputs     []*tensor.Tensor
	answer     *Answer
	kept       *[]Kept
	through    []through
	points     []*hook.Point
	edge       editable // the one whose hooks are called
	generation uint64
	polled     time.Time
}

// Run answers the question of a plan. Whatever happens, nothing of the run stays behind but the answer.
func (p *Plan) Run(ctx context.Context, env *Env) (*Answer, error) {
	r := &run{
		g: p.g, plan: p, q: p.q, env: env, first: p.q.Want, generation: env.Generation, polled: time.Now(),
		cells: newCells(env.Backend, len(p.g.names)), answer: &Answer{Values: map[Value]*tensor.Tensor{}},
	}
	if r.kept = env.Kept; r.kept == nil {
		r.answer.Kept = make([]Kept, 0, p.q.Keep.Len())
		r.kept = &r.answer.Kept
	}
	if env.Hooks != nil {
		r.points = env.Hooks.Points()
	}
	answered := false
	defer func() { // also when a hook panics
		r.cells.dropAll()
		for _, l := range r.through {
			r.cells.leave(l.cell)
		}
		if !answered {
			r.answer.Release()
		}
	}()
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := r.execute(ctx); err != nil {
		return nil, err
	}
	if err := r.returnThrough(); err != nil {
		return nil, err
	}
	answered = true
	return r.answer, nil
}

// begin takes what is given.
func (r *run) begin() error {
	for _, in := range r.env.Given {
		switch {
		case r.g.kinds[in.Value] == lent:
			r.cells.put(in.Value, in.T.Retain())
			continue
		case in.Through:
			r.passThrough(in.Value, in.T)
			continue
		}
		own, err := r.cells.clone(in.T) // hooks may edit what they are given, and the caller's memory is not theirs
		if err != nil {
			return fmt.Errorf("graph: %s: %w", r.g.NameOf(in.Value), err)
		}
		r.cells.put(in.Value, own)
	}
	return nil
}

func (r *run) execute(ctx context.Context) error {
	for {
		start, err := r.steps(ctx)
		if err != nil {
			return err
		}
		if start >= len(r.g.Nodes) {
			break
		}
		if err := r.replan(start); err != nil {
			return err
		}
	}
	if err := r.env.Backend.Sync(); err != nil {
		return err
	}
	for i, v := range r.q.Want {
		t, err := r.cells.keep(v)
		if err != nil {
			return err
		}
		r.answer.Values[r.first[i]] = t
	}
	return nil
}

// steps runs the plan, and gives the node to go on from when that is not its end.
func (r *run) steps(ctx context.Context) (start int, err error) {
	for _, v := range r.plan.dead {
		r.cells.drop(v)
	}
	for i := range r.plan.steps {
		s := &r.plan.steps[i]
		if s.op != nil || s.called || s.part != nil {
			if err := r.poll(ctx); err != nil {
				return 0, err
			}
		}
		stale, err := r.step(s)
		if err != nil {
			return 0, err
		}
		if stale {
			return r.resume(s.node), nil
		}
		for _, v := range s.drop {
			r.cells.drop(v)
		}
	}
	return len(r.g.Nodes), nil
}

// replan asks for the plan of the rest, from a node on, as hooks and graph are now.
func (r *run) replan(start int) error {
	r.q.Start, r.q.Moving, r.q.Given, r.q.Parts = start, r.next != nil, r.cells.there(), r.replaced(r.g)
	if r.env.Hooks != nil {
		r.generation, r.q.Called = r.env.Hooks.Watched(hook.Forward)
	}
	var err error
	r.plan, err = r.g.Plan(&r.q)
	return err
}

// replaced is which parts of a graph somebody else computes now.
func (r *run) replaced(g *Graph) bitset.Set {
	if r.env.Parts == nil {
		return nil
	}
	return r.env.Parts(g)
}

// step executes one step; it reports whether hooks or graph changed, so that the rest must be planned anew.
func (r *run) step(s *step) (stale bool, err error) {
	switch {
	case s.part != nil:
		return r.call(s.part)
	case s.op != nil:
		return false, r.apply(s)
	default:
		return r.hook(s)
	}
}

func (r *run) apply(s *step) error {
	r.inputs = r.inputs[:0]
	defer r.releaseWeights(s)
	for _, v := range s.in {
		t, err := r.input(v)
		if err != nil {
			return fmt.Errorf("graph: %s: %w", r.g.NameOf(v), err)
		}
		r.inputs = append(r.inputs, t)
	}
	outputs, err := r.scratch.Apply(r.env.Backend, s.op, r.inputs)
	if err != nil {
		return fmt.Errorf("%w (at %s)", err, r.g.NameOf(s.out[0]))
	}
	for i, v := range s.out {
		r.cells.put(v, outputs[i])
	}
	return nil
}

// input is a value as operations read it; weights are retained.
func (r *run) input(v Value) (*tensor.Tensor, error) {
	switch {
	case v == None:
		return nil, nil
	case r.g.kinds[v] == weight:
		return r.env.Weights.Weight(r.g.weights[v])
	case r.cells.of[v] == nil:
		return nil, nil
	}
	return r.cells.of[v].t, nil
}

func (r *run) releaseWeights(s *step) {
	for i, t := range r.inputs {
		if v := s.in[i]; v != None && r.g.kinds[v] == weight {
			t.Release()
		}
	}
}

// hook passes a value over a hook point: its hooks are called, then it is kept if that was asked for.
func (r *run) hook(s *step) (stale bool, err error) {
	n := &r.g.Nodes[s.node]
	out := n.Out[0]
	r.cells.share(out, n.In[0])
	if s.called {
		r.edge = editable{cells: &r.cells, out: out, resize: r.g.Edges[n.Point].Resize}
		if err := r.env.Hooks.Fire(r.points[n.Point], hook.Forward, &r.edge, r.env.Foreign); err != nil {
			return false, err
		}
		if stale, err = r.changed(); err != nil {
			return false, err
		}
	}
	if s.kept {
		if err := r.keep(n); err != nil {
			return false, err
		}
	}
	return stale || (r.next != nil && r.q.inRange(r.g, n) && r.canMove(n.Point)), nil
}

// changed reports, after somebody was called, whether hooks or graph are not what was planned with.
func (r *run) changed() (bool, error) {
	r.polled = time.Now()
	if r.env.Hooks == nil || r.env.Hooks.Generation() == r.generation {
		return false, nil
	}
	return true, r.renew()
}

// keep keeps the value behind a hook point.
func (r *run) keep(n *Node) error {
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
	if r.env.Poll == nil || time.Since(r.polled) < pollEvery {
		return nil
	}
	r.polled = time.Now()
	return r.env.Poll()
}
