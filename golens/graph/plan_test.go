// Tests of planning: what runs, what is fused, how long values live.
package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestOnlyWhatIsAskedForRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  []string
		keep  []string
		given string
		hook  string
		plain bool
		ran   []string
	}{
		{"nothing", nil, nil, "", "", false, nil},
		{"all", []string{"tail"}, nil, "", "", false, []string{"both", "add", "half"}},
		{"early stop", []string{"sum"}, nil, "", "", false, []string{"both", "add"}},
		{"kept at the front", nil, []string{"in"}, "", "", false, nil},
		{"kept inside the fusion", nil, []string{"mid"}, "", "", false, []string{"double"}},
		{"wanted inside the fusion", []string{"double", "tail"}, nil, "", "", false, []string{"double", "next", "add", "half"}},
		{"called inside the fusion", []string{"sum"}, nil, "", "mid", false, []string{"double", "next", "add"}},
		{"kept around the fusion", nil, []string{"in", "out"}, "", "", false, []string{"both"}},
		{"called around the fusion", []string{"out"}, nil, "", "out", false, []string{"both"}},
		{"up to the last hook", nil, nil, "", "out", false, []string{"both"}},
		{"a hook behind what is wanted", []string{"double"}, nil, "", "sum", false, []string{"double", "next", "add"}},
		{"given inside the fusion", []string{"sum"}, nil, "mid", "", false, []string{"next", "add"}},
		{"given behind the fusion", []string{"sum"}, nil, "out", "", false, []string{"add"}},
		{"given what is wanted", []string{"sum"}, nil, "sum", "", false, nil},
		{"plain", []string{"double"}, nil, "", "", true, []string{"double", "next", "add", "half"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := residual(t)
			if c.hook != "" {
				r.add(c.hook, nothing)
			}
			x := r.tensor([]float32{1, 2}, 2)
			q := r.question(x, c.want, c.keep...)
			q.Plain = c.plain
			if c.given != "" {
				q.Env.Given.Put(r.value(c.given), x)
			}
			a := r.run(q)
			r.didRun(c.ran...)
			if len(a.Values) != len(c.want) || len(a.Kept) != len(c.keep) {
				t.Errorf("%d values and %d kept, want %d and %d", len(a.Values), len(a.Kept), len(c.want), len(c.keep))
			}
		})
	}
}

func TestWatchingChangesNoBit(t *testing.T) {
	values := []float32{0.1, -3e30, 7}
	var want []float32
	for i, watch := range [][]string{nil, {"mid"}, {"in", "mid", "out", "sum", "tail"}} {
		for _, plain := range []bool{false, true} {
			r := residual(t)
			q := r.question(r.tensor(values, 3), []string{"tail"}, watch...)
			q.Plain = plain
			for _, point := range watch {
				r.add(point, nothing)
			}
			got := r.run(q).Values[r.value("tail")]
			if i == 0 && !plain {
				want = append(want, got.Float32s()...)
			}
			r.sees(fmt.Sprint(watch, plain), got, want...)
		}
	}
}

func TestNotComputable(t *testing.T) {
	r := residual(t)
	q := r.question(r.tensor([]float32{1}, 1), []string{"tail"})
	q.Env.Given = nil
	if err := r.fails(q); !strings.Contains(err.Error(), "tail cannot be computed") {
		t.Error(err)
	}
	if _, err := r.g.Value("nowhere"); err == nil {
		t.Error("a value that does not exist was found")
	}
}

func TestOptional(t *testing.T) {
	r := newRig(t)
	x, y := r.g.Input("x"), r.g.Optional("bias")
	r.op("add", sum, x, y)
	r.op("add none", sum, x, graph.None)
	q := r.question(r.tensor([]float32{1, 2}, 2), []string{"add", "add none"})
	a := r.run(q)
	r.sees("without", a.Values[r.value("add")], 1, 2)
	r.sees("none", a.Values[r.value("add none")], 1, 2)
	q.Env.Given.Put(y, r.tensor([]float32{10, 20}, 2))
	r.sees("with", r.run(q).Values[r.value("add")], 11, 22)
}

func TestNames(t *testing.T) {
	r := newRig(t)
	a := r.g.Input("x")
	b := r.op("x", next, a)
	if r.g.NameOf(a) == r.g.NameOf(b) || r.g.NameOf(graph.None) != "none" {
		t.Errorf("names %q, %q and %q", r.g.NameOf(a), r.g.NameOf(b), r.g.NameOf(graph.None))
	}
}

// TestMemory: a long chain holds no more than the value it reads and the one it makes, whoever watches. "remover"
// hooks remove themselves, so that the rest is planned anew behind each.
func TestMemory(t *testing.T) {
	const layers, size = 30, 1 << 14
	for _, watch := range []string{"nobody", "hooks", "removers"} {
		t.Run(watch, func(t *testing.T) {
			r := newRig(t)
			peak := int64(0)
			v := r.g.Input("x")
			for i := range layers {
				name := fmt.Sprintf("blocks.%d", i)
				v = r.g.Apply(name, &each{name: name, ran: &r.ran, f: next, peak: &peak}, v)
				v = r.point(name+".hook_out", v, true)
				if watch == "nobody" {
					continue
				}
				var id int64
				id = r.add(name+".hook_out", func(_ *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
					if watch == "hooks" {
						return nil, nil
					}
					return nil, r.hooks.Remove(p.Index, id)
				})
			}
			x := r.tensor(make([]float32, size), size)
			before := tensor.Count().Bytes
			a := r.run(r.question(x, []string{r.g.NameOf(v)}))
			r.sees("first element", mustView(t, a.Values[v]), layers)
			if most := int64(2 * 4 * size); peak-before > most {
				t.Errorf("%d bytes were alive at once, want at most %d", peak-before, most)
			}
		})
	}
}

// mustView is a tensor's first element.
func mustView(t *testing.T, whole *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	v, err := whole.View([]int{1}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Release)
	return v
}
