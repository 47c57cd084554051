// Tests of planning and running on graphs made by hand. This file has the helpers.
package graph_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// each is an operation on elements that notes in ran that it ran. An absent optional input counts as 0.
type each struct {
	name string
	ran  *[]string
	f    func(x ...float32) float32
	fail error
	peak *int64 // the most bytes that were alive
}

func (e *each) Name() string { return e.name }

func (e *each) Infer(in []op.Type) ([]op.Type, error) { return in[:1:1], nil }

func (e *each) Run(_ backend.Backend, in, outs []*tensor.Tensor) error {
	*e.ran = append(*e.ran, e.name)
	if e.fail != nil {
		return e.fail
	}
	out := outs[0]
	if e.peak != nil {
		*e.peak = max(*e.peak, tensor.Count().Bytes)
	}
	x := make([]float32, len(in))
	for i := range out.Float32s() {
		for j, t := range in {
			if x[j] = 0; t != nil {
				x[j] = t.Float32s()[i]
			}
		}
		out.Float32s()[i] = e.f(x...)
	}
	return nil
}

// rig is a graph with a registry, and what happened in its runs.
type rig struct {
	t     *testing.T
	g     *graph.Graph
	hooks *hook.Registry
	ran   []string
}

// newRig checks at the test's end that nothing was left behind.
func newRig(t *testing.T) *rig {
	t.Helper()
	before := tensor.Count().Storages
	t.Cleanup(func() {
		if after := tensor.Count().Storages; after != before && !t.Failed() {
			t.Errorf("%d storages are left behind", after-before)
		}
	})
	return &rig{t: t, g: graph.New(), hooks: hook.NewRegistry()}
}

func (r *rig) op(name string, f func(x ...float32) float32, in ...graph.Value) graph.Value {
	return r.g.Apply(name, &each{name: name, ran: &r.ran, f: f}, in...)
}

// point puts a hook point on v; a point of that name is registered once, for all graphs of the rig.
func (r *rig) point(name string, v graph.Value, resize bool) graph.Value {
	p, ok := r.hooks.Lookup(name)
	if !ok {
		p, _ = r.hooks.AddPoint(name, "")
	}
	return r.g.Hook(name, p.Index, v, resize)
}

func (r *rig) index(point string) int {
	r.t.Helper()
	p, ok := r.hooks.Lookup(point)
	if !ok {
		r.t.Fatalf("no hook point %s", point)
	}
	return p.Index
}

func (r *rig) add(point string, f hook.Func) int64 {
	r.t.Helper()
	id, err := r.hooks.Add(r.index(point), hook.Handle{Fn: f, Level: hook.NoLevel}, false)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) value(name string) graph.Value {
	r.t.Helper()
	v, err := r.g.Value(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *rig) tensor(values []float32, shape ...int) *tensor.Tensor {
	r.t.Helper()
	t, err := tensor.FromFloat32s(values, shape...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(t.Release)
	return t
}

// asked is a question and what it is run with.
type asked struct {
	graph.Question
	graph.Env
}

// question gives x and asks for values by name; keep lists points.
func (r *rig) question(x *tensor.Tensor, want []string, keep ...string) *asked {
	q := &asked{Env: graph.Env{Backend: cpu.CPU{}, Hooks: r.hooks}}
	q.Env.Given.Put(r.value("x"), x)
	for _, name := range want {
		q.Want = append(q.Want, r.value(name))
	}
	for _, name := range keep {
		q.Keep.Add(r.index(name))
	}
	return q
}

// answer plans and runs.
func (r *rig) answer(ctx context.Context, q *asked) (*graph.Answer, error) {
	q.Question.Given = q.Env.Given.Values()
	q.Called = nil
	if q.Hooks != nil {
		q.Generation, q.Called = q.Hooks.Watched(hook.Forward)
	}
	if q.Env.Parts != nil {
		q.Question.Parts = q.Env.Parts(r.g)
	}
	plan, err := r.g.Plan(&q.Question)
	if err != nil {
		return nil, err
	}
	return plan.Run(ctx, &q.Env)
}

func (r *rig) run(q *asked) *graph.Answer {
	r.t.Helper()
	r.ran = nil
	a, err := r.answer(context.Background(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(a.Release)
	return a
}

func (r *rig) fails(q *asked) error {
	r.t.Helper()
	r.ran = nil
	before := tensor.Count().Storages
	a, err := r.answer(context.Background(), q)
	if err == nil {
		a.Release()
		r.t.Fatal("the run succeeded")
	}
	if after := tensor.Count().Storages; after != before {
		r.t.Errorf("a failed run left %d storages", after-before)
	}
	return err
}

func (r *rig) sees(what string, t *tensor.Tensor, want ...float32) {
	r.t.Helper()
	if t == nil || !slices.EqualFunc(t.Float32s(), want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
		r.t.Errorf("%s: %v, want %v", what, t.Float32s(), want)
	}
}

func (r *rig) didRun(want ...string) {
	r.t.Helper()
	if !slices.Equal(r.ran, want) {
		r.t.Errorf("ran %v, want %v", r.ran, want)
	}
}

// edit is a hook that works in place.
func edit(f func(v []float32)) hook.Func {
	return func(t *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
		f(t.Float32s())
		return nil, nil
	}
}

func give(values []float32, shape ...int) hook.Func {
	return func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		return tensor.FromFloat32s(values, shape...)
	}
}

func nothing(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, nil }

func double(x ...float32) float32 { return 2 * x[0] }
func next(x ...float32) float32   { return x[0] + 1 }
func sum(x ...float32) float32    { return x[0] + x[1] }

// residual is one layer: x -> in -> double -> mid -> next -> out, then in + out -> sum -> tail. "both" stands for
// double and next.
func residual(t *testing.T) *rig {
	r := newRig(t)
	x := r.g.Input("x")
	in := r.point("in", x, true)
	first := r.g.Len()
	mid := r.point("mid", r.op("double", double, in), false)
	y := r.op("next", next, mid)
	r.g.Fuse(first, &each{name: "both", ran: &r.ran, f: func(x ...float32) float32 { return 2*x[0] + 1 }}, y, in)
	out := r.point("out", y, false)
	s := r.point("sum", r.op("add", sum, in, out), true)
	r.point("tail", r.op("half", func(x ...float32) float32 { return x[0] / 2 }, s), false)
	return r
}
