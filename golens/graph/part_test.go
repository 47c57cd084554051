// Tests of parts: stretches of a graph that somebody else computes.
package graph_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// part declares the nodes from the one that makes first to the one that makes last as a part.
func (r *rig) part(name, first, last string) {
	from, to := r.maker(first), r.maker(last)
	in, out := r.g.Nodes[from].In[0], r.g.Nodes[to].Out
	tail := r.g.Nodes[to+1:]
	r.g.Nodes = r.g.Nodes[:to+1]
	r.g.AddPart(name, from, in, out)
	r.g.Nodes = append(r.g.Nodes, tail...)
}

func (r *rig) maker(value string) int {
	v := r.value(value)
	return slices.IndexFunc(r.g.Nodes, func(n graph.Node) bool { return slices.Contains(n.Out, v) })
}

// elsewhere has the named parts computed by f, and notes their names in ran.
func (r *rig) elsewhere(q *asked, f func(c *graph.Call) error, names ...string) {
	q.Env.Parts = func(g *graph.Graph) bitset.Set {
		var parts bitset.Set
		for _, name := range names {
			p, ok := g.Part(name)
			if !ok {
				r.t.Fatalf("no part %s", name)
			}
			parts.Add(p.Index)
		}
		return parts
	}
	q.Call = func(c *graph.Call) error {
		r.ran = append(r.ran, "<"+c.Part.Name+">")
		return f(c)
	}
}

// scaled answers with what went in, multiplied.
func scaled(by float32) func(c *graph.Call) error {
	return func(c *graph.Call) error {
		out, err := c.In[0].Clone()
		if err != nil {
			return err
		}
		for i := range out.Float32s() {
			out.Float32s()[i] *= by
		}
		c.Out[0] = out
		return nil
	}
}

func TestPartsTakeThePlaceOfTheirNodes(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  []string
		keep  []string
		hook  string
		plain bool
		parts []string
		ran   []string
	}{
		{"inside a fusion", []string{"tail"}, nil, "", false, []string{"p"}, []string{"<p>", "next", "add", "half"}},
		{"plain", []string{"tail"}, nil, "", true, []string{"p"}, []string{"<p>", "next", "add", "half"}},
		{"as a hook, whether it is needed or not", nil, nil, "", false, []string{"p"}, []string{"<p>"}},
		{"nested: the outer one alone", []string{"tail"}, nil, "", false, []string{"p", "q"}, []string{"<q>", "add", "half"}},
		{"what is kept inside is not the run's business", []string{"tail"}, []string{"mid"}, "", false, []string{"q"}, []string{"<q>", "add", "half"}},
		{"nor what hooks are called inside", []string{"tail"}, nil, "mid", false, []string{"q"}, []string{"<q>", "add", "half"}},
		{"a run that ends inside", []string{"mid"}, nil, "", false, []string{"q"}, []string{"double"}},
		{"a hook point", []string{"tail"}, nil, "mid", false, []string{"mid"}, []string{"double", "<mid>", "next", "add", "half"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := residual(t)
			r.part("p", "double", "double")
			r.part("q", "double", "next")
			if c.hook != "" {
				r.add(c.hook, nothing)
			}
			x := r.tensor([]float32{1, 2}, 2)
			q := r.question(x, c.want, c.keep...)
			q.Plain = c.plain
			r.elsewhere(q, scaled(2), c.parts...)
			if a := r.run(q); len(a.Kept) != 0 {
				t.Errorf("%d kept", len(a.Kept))
			}
			r.didRun(c.ran...)
		})
	}
}

func TestPartsGiveAndTake(t *testing.T) {
	r := residual(t)
	r.part("p", "double", "double")
	x := r.tensor([]float32{1, 2}, 2)
	plain := r.run(r.question(x, []string{"tail"})).Values[r.value("tail")]
	q := r.question(x, []string{"tail"})
	r.elsewhere(q, scaled(2), "p")
	r.sees("the same as the node", r.run(q).Values[r.value("tail")], plain.Float32s()...)

	r.elsewhere(q, func(c *graph.Call) error {
		for i := range c.In[0].Float32s() {
			c.In[0].Float32s()[i] = 0 // live: the residual stream itself
		}
		c.Same = true
		return nil
	}, "p")
	zeros := r.run(r.question(r.tensor([]float32{0, 0}, 2), []string{"tail"})).Values[r.value("tail")]
	r.sees("an edit in place", r.run(q).Values[r.value("tail")], zeros.Float32s()...)

	boom := errors.New("boom")
	r.elsewhere(q, func(c *graph.Call) error {
		if err := scaled(2)(c); err != nil {
			return err
		}
		return boom
	}, "p")
	if err := r.fails(q); !errors.Is(err, boom) {
		t.Errorf("the error came out as %v", err)
	}
}

func TestWhatALentTensorLearns(t *testing.T) {
	r := residual(t)
	x := r.tensor([]float32{1, 2}, 2)
	q := r.question(x, []string{"tail"})
	q.Env.Given[0].Through = true
	var saved *tensor.Tensor
	r.add("in", func(v *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
		saved = v.Retain()
		return nil, nil
	})
	r.add("in", edit(func(v []float32) { v[0] = 5 }))
	r.run(q)
	r.sees("the giver's", x, 5, 2)
	r.sees("what a hook saved", saved, 1, 2)
	saved.Release()
}
