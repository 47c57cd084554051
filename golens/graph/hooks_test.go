// Tests of what hooks can do to a run: edits and what they reach, replacements, hooks that change hooks.
package graph_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestKept(t *testing.T) {
	r := residual(t)
	r.add("in", edit(func(v []float32) { v[0] = 5 }))
	r.add("sum", edit(func(v []float32) { v[1] = -1 }))
	a := r.run(r.question(r.tensor([]float32{1, 2}, 2), []string{"tail"}, "sum", "mid", "in"))
	var order []int
	for _, k := range a.Kept {
		order = append(order, k.Point)
	}
	if want := []int{r.index("in"), r.index("mid"), r.index("sum")}; !slices.Equal(order, want) {
		t.Fatalf("kept points %v, want %v", order, want)
	}
	r.sees("in, after its hook", a.Kept[0].T, 5, 2)
	r.sees("mid", a.Kept[1].T, 10, 4)
	r.sees("sum, after its hook", a.Kept[2].T, 16, -1)
	r.sees("tail", a.Values[r.value("tail")], 8, -0.5)
}

// taps is x -> a -> b, read by both "plus a" (a + b) and "minus".
func taps(t *testing.T) *rig {
	r := newRig(t)
	a := r.point("a", r.g.Input("x"), false)
	b := r.point("b", a, false)
	c := r.point("c", a, false)
	r.op("plus", sum, a, b)
	r.op("minus", func(x ...float32) float32 { return x[0] - x[1] }, c, b)
	return r
}

func TestInPlaceReachesWhatSharesReturnedOnlyTheBranch(t *testing.T) {
	for _, c := range []struct {
		name        string
		point       string
		f           hook.Func
		plus, minus float32
	}{
		{"nobody", "a", nothing, 6, 0},
		{"in place at b", "b", edit(func(v []float32) { v[0] = 10 }), 20, 0},
		{"in place at c", "c", edit(func(v []float32) { v[0] = 10 }), 20, 0},
		{"returned at b", "b", give([]float32{10}, 1), 13, -7},
		{"returned at c", "c", give([]float32{10}, 1), 6, 7},
		{"returned at a", "a", give([]float32{10}, 1), 20, 0},
	} {
		for _, keep := range [][]string{nil, {"a", "b", "c"}} { // keeping must not change what an edit reaches
			r := taps(t)
			r.add(c.point, c.f)
			x := r.tensor([]float32{3}, 1)
			a := r.run(r.question(x, []string{"plus", "minus"}, keep...))
			r.sees(c.name+": a + b", a.Values[r.value("plus")], c.plus)
			r.sees(c.name+": c - b", a.Values[r.value("minus")], c.minus)
			r.sees(c.name+": what the caller gave", x, 3)
			if keep != nil && c.point != "a" {
				r.sees(c.name+": a as it was kept", a.Kept[0].T, 3)
			}
		}
	}
}

func TestEditAfterReturn(t *testing.T) {
	r := taps(t)
	mine := r.tensor([]float32{4}, 1)
	r.add("b", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return mine.Retain(), nil })
	r.add("b", edit(func(v []float32) { v[0]++ }))
	a := r.run(r.question(r.tensor([]float32{3}, 1), []string{"plus"}))
	r.sees("a + b", a.Values[r.value("plus")], 8)
	r.sees("the hook's own tensor", mine, 4)
}

func TestReturnedShapes(t *testing.T) {
	turned := func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		t, err := tensor.FromFloat32s([]float32{1, 3, 5, 2, 4, 6}, 2, 3)
		if err != nil {
			return nil, err
		}
		defer t.Release()
		return t.View([]int{3, 2}, []int{1, 3}, 0)
	}
	for _, c := range []struct {
		name  string
		point string
		f     hook.Func
		want  []float32 // at sum: v + 2v + 1 of the value behind "in", or 9 + what stands behind "out"; nil: an error
	}{
		{"the same", "in", give([]float32{1, 2, 3, 4, 5, 6}, 3, 2), []float32{4, 7, 10, 13, 16, 19}},
		{"one row where sizes may change", "in", give([]float32{1, 2}, 1, 2), []float32{4, 7}},
		{"one row for all", "out", give([]float32{1, 2}, 1, 2), []float32{10, 11, 10, 11, 10, 11}},
		{"one column for all", "in", give([]float32{1, 2, 3}, 3, 1), []float32{4, 4, 7, 7, 10, 10}},
		{"fewer dimensions", "in", give([]float32{1, 2}, 2), []float32{4, 7, 4, 7, 4, 7}},
		{"a number", "in", give([]float32{2}), []float32{7, 7, 7, 7, 7, 7}},
		{"strided", "in", turned, []float32{4, 7, 10, 13, 16, 19}},
		{"another batch where it may", "in", give([]float32{1, 2, 3, 4}, 2, 2), []float32{4, 7, 10, 13}},
		{"another width", "in", give([]float32{1, 2, 3}, 1, 3), nil},
		{"more dimensions", "in", give([]float32{1, 2}, 1, 1, 2), nil},
		{"another batch where it may not", "out", give([]float32{1, 2, 3, 4}, 2, 2), nil},
		{"integers", "in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
			return tensor.FromInt64s([]int64{1, 2, 3, 4, 5, 6}, 3, 2)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := residual(t)
			r.add(c.point, c.f)
			q := r.question(r.tensor([]float32{9, 9, 9, 9, 9, 9}, 3, 2), []string{"sum"})
			if c.want != nil {
				r.sees("sum", r.run(q).Values[r.value("sum")], c.want...)
				return
			}
			err := r.fails(q)
			if !errors.Is(err, graph.ErrEdit) || !strings.Contains(err.Error(), "hook "+c.point) ||
				!strings.Contains(err.Error(), "given") || !strings.Contains(err.Error(), "expected") {
				t.Errorf("error %q", err)
			}
		})
	}
	r := residual(t)
	r.add("out", give([]float32{1, 2, 3}, 1, 3))
	err := r.fails(r.question(r.tensor([]float32{9, 9}, 1, 2), []string{"sum"}))
	if want := "hook out: the returned tensor does not fit: given shape [1 3], expected [1 2] or what broadcasts to it"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestHooksThatChangeHooks(t *testing.T) {
	r := residual(t)
	var seen []string
	note := func(name string) hook.Func {
		return func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
			seen = append(seen, name)
			return nil, nil
		}
	}
	removed := r.add("sum", note("removed"))
	once := int64(0)
	once = r.add("in", func(_ *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
		seen = append(seen, "once")
		r.add("in", note("too late"))
		r.add("mid", note("mid"))
		r.add("tail", note("tail"))
		return nil, errors.Join(r.hooks.Remove(p.Index, once), r.hooks.Remove(r.index("sum"), removed))
	})
	q := r.question(r.tensor([]float32{1}, 1), nil, "out")
	a := r.run(q)
	if want := []string{"once", "mid", "tail"}; !slices.Equal(seen, want) {
		t.Errorf("hooks fired: %v, want %v", seen, want)
	}
	r.didRun("double", "next", "add", "half")
	r.sees("out", a.Kept[0].T, 3)
	seen = nil
	r.run(q)
	if want := []string{"too late", "mid", "tail"}; !slices.Equal(seen, want) {
		t.Errorf("in the next run hooks fired: %v, want %v", seen, want)
	}
}

// TestValuesStayForHooksToCome: what nothing reads any more, as planned, is there for what the last hook asks for.
func TestValuesStayForHooksToCome(t *testing.T) {
	r := residual(t)
	tail := 0
	r.add("mid", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		r.add("tail", func(v *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
			tail++
			r.sees("tail", v, 2)
			return nil, nil
		})
		return nil, nil
	})
	r.run(r.question(r.tensor([]float32{1}, 1), nil))
	if tail != 1 {
		t.Errorf("the hook that was added on the way was called %d times", tail)
	}
}

func TestActive(t *testing.T) {
	r := residual(t)
	var seen []string
	for _, point := range []string{"in", "mid", "out", "sum", "tail"} {
		r.add(point, func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
			seen = append(seen, point)
			return nil, nil
		})
	}
	q := r.question(r.tensor([]float32{1}, 1), []string{"sum"}, "in", "mid", "out", "sum", "tail")
	mid, add := r.g.Edges[r.index("mid")].Node, r.g.Edges[r.index("sum")].Node-1
	q.Active = []graph.Range{{First: mid, Last: mid + 1}, {First: add - 1, Last: add}}
	a := r.run(q)
	if want := []string{"mid", "out"}; !slices.Equal(seen, want) || len(a.Kept) != 2 {
		t.Errorf("hooks fired at %v, %d were kept; want %v", seen, len(a.Kept), want)
	}
	r.didRun("double", "next", "add")
	r.sees("sum", a.Values[r.value("sum")], 4)
}

func TestForeign(t *testing.T) {
	r := residual(t)
	id, _ := r.hooks.Add(r.index("out"), hook.Handle{Level: hook.NoLevel}, false)
	q := r.question(r.tensor([]float32{1}, 1), []string{"sum"})
	if err := r.fails(q); !strings.Contains(err.Error(), "has no function here") {
		t.Error(err)
	}
	q.Foreign = func(h *hook.Handle, p *hook.Point, _ *tensor.Tensor) (*tensor.Tensor, error) {
		if h.ID != id || p.Name != "out" {
			t.Errorf("hook %d at %s was called", h.ID, p.Name)
		}
		return tensor.FromFloat32s([]float32{7})
	}
	r.sees("sum", r.run(q).Values[r.value("sum")], 8)
	q.Hooks = nil
	r.sees("sum without hooks", r.run(q).Values[r.value("sum")], 4)
}
