// Tests of a run that goes on in another graph, because a hook flipped a flag.
package graph_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// switching is a rig whose model has two graphs of two layers. With the flag, layer n has a hook point "n.split"
// in place of "n.joint", in front of its operation, and reads the stream as it came in through "n.in".
type switching struct {
	*rig
	graphs  [2]*graph.Graph
	flag    int
	seen    []string
	renewed int
}

func newSwitching(t *testing.T) *switching {
	s := &switching{rig: newRig(t)}
	for flag := range s.graphs {
		s.g = graph.New()
		x := s.g.Input("x")
		for _, layer := range []string{"0", "1"} {
			in := s.point(layer+".in", x, true)
			branch := s.point(layer+[]string{".joint", ".split"}[flag], in, false)
			y := s.op(layer+".double", double, branch)
			y = s.point(layer+".out", y, false)
			x = s.op(layer+".add", sum, in, y)
		}
		s.point("last", x, true)
		s.graphs[flag] = s.g
	}
	s.g = s.graphs[0]
	return s
}

// watch notes at every point of both graphs that its hook was called.
func (s *switching) watch() {
	for _, p := range s.hooks.Points() {
		s.add(p.Name, func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
			s.seen = append(s.seen, p.Name)
			return nil, nil
		})
	}
}

// flipAt flips the flag once, in a hook.
func (s *switching) flipAt(point string) {
	s.add(point, func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		s.flag = 1
		s.hooks.Touch()
		return nil, nil
	})
}

func (s *switching) ask(want bool, keep ...string) *asked {
	var names []string
	if want {
		names = []string{"last"}
	}
	q := s.question(s.tensor([]float32{1}, 1), names, keep...)
	q.Renew = func() (*graph.Renewal, error) {
		s.renewed++
		g := s.graphs[s.flag]
		r := &graph.Renewal{Graph: g}
		if want {
			v, err := g.Value("last")
			if err != nil {
				return nil, err
			}
			r.Want = []graph.Value{v}
		}
		return r, nil
	}
	return q
}

func TestFlagFlippedOnTheWay(t *testing.T) {
	for _, c := range []struct {
		at   string
		seen []string
	}{
		{"0.in", []string{"0.in", "0.split", "0.out", "1.in", "1.split", "1.out", "last"}},
		{"0.joint", []string{"0.in", "0.joint", "0.out", "1.in", "1.split", "1.out", "last"}}, // no such point there: from 0.out on
		{"0.out", []string{"0.in", "0.joint", "0.out", "1.in", "1.split", "1.out", "last"}},
		{"1.joint", []string{"0.in", "0.joint", "0.out", "1.in", "1.joint", "1.out", "last"}},
		{"last", []string{"0.in", "0.joint", "0.out", "1.in", "1.joint", "1.out", "last"}},
	} {
		for _, want := range []bool{true, false} {
			s := newSwitching(t)
			s.watch()
			s.flipAt(c.at)
			a := s.run(s.ask(want, "0.in", "last"))
			if !slices.Equal(s.seen, c.seen) {
				t.Errorf("flipped at %s: hooks fired at %v, want %v", c.at, s.seen, c.seen)
			}
			s.didRun("0.double", "0.add", "1.double", "1.add")
			if len(a.Kept) != 2 || s.renewed != 1 {
				t.Fatalf("flipped at %s: %d kept, renewed %d times", c.at, len(a.Kept), s.renewed)
			}
			s.sees("kept before", a.Kept[0].T, 1)
			s.sees("kept behind", a.Kept[1].T, 9)
			if want {
				s.sees("last", a.Values[s.value("last")], 9)
			}
		}
	}
}

// TestHookThatOnlyTheNewGraphHas: nothing of the old graph is asked for behind the flip, and still the run gets to
// where the new one can take over.
func TestHookThatOnlyTheNewGraphHas(t *testing.T) {
	s := newSwitching(t)
	s.flipAt("0.joint")
	s.add("1.split", func(v *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
		s.seen = append(s.seen, p.Name)
		return nil, nil
	})
	s.run(s.ask(false))
	if want := []string{"1.split"}; !slices.Equal(s.seen, want) {
		t.Errorf("hooks fired at %v, want %v", s.seen, want)
	}
	s.didRun("0.double", "0.add")
}

// TestSharingGoesOver: an edit in place behind the flip still reaches the stream, as in one graph.
func TestSharingGoesOver(t *testing.T) {
	s := newSwitching(t)
	s.flipAt("0.in")
	s.add("0.split", edit(func(v []float32) { v[0] = 10 }))
	a := s.run(s.ask(true, "0.in"))
	s.sees("last", a.Values[s.value("last")], 90)
	s.sees("kept before", a.Kept[0].T, 1)
}

// TestNothingToGoOverTo: a graph that lacks what lies behind is never taken; nor is one when nobody gives any.
func TestNothingToGoOverTo(t *testing.T) {
	s := newSwitching(t)
	s.flipAt("0.in")
	q := s.ask(true)
	other := newRig(t)
	other.hooks = s.hooks
	other.point("0.in", other.op("0.in'", next, other.g.Input("x"), other.g.Input("missing")), true)
	other.point("last", other.op("end", sum, other.value("x"), other.value("missing")), true)
	for _, renewal := range []*graph.Renewal{nil, {Graph: other.g, Want: []graph.Value{other.value("last")}}} {
		q.Renew = func() (*graph.Renewal, error) { return renewal, nil }
		s.sees("last", s.run(q).Values[s.value("last")], 9)
	}
	q.Renew = func() (*graph.Renewal, error) { return nil, errBoom }
	if err := s.fails(q); !errors.Is(err, errBoom) {
		t.Error(err)
	}
}

// TestFlippedBack: a flag that is flipped twice before another graph can take over changes nothing.
func TestFlippedBack(t *testing.T) {
	s := newSwitching(t)
	s.flipAt("0.joint")
	s.add("0.joint", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		s.flag = 0
		s.hooks.Touch()
		return nil, nil
	})
	s.watch()
	s.run(s.ask(true))
	if want := []string{"0.in", "0.joint", "0.out", "1.in", "1.joint", "1.out", "last"}; !slices.Equal(s.seen, want) {
		t.Errorf("hooks fired at %v, want %v", s.seen, want)
	}
}
