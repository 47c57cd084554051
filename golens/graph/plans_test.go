// Tests of plans as values: found again by their question, and told truly before they run.
package graph_test

import (
	"fmt"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestAQuestionIsPlannedOnce(t *testing.T) {
	r := residual(t)
	x, y := r.tensor([]float32{1, 2}, 2), r.tensor([]float32{1, 2, 3, 4}, 2, 2)
	for range 3 {
		r.run(r.question(x, []string{"tail"}, "mid"))
		r.run(r.question(y, []string{"tail"}, "mid")) // another shape is no other question
	}
	if n := r.g.PlansMade(); n != 1 {
		t.Errorf("%d plans were made for one question", n)
	}
	r.run(r.question(x, []string{"tail"}))
	r.run(r.question(x, []string{"sum"}, "mid"))
	r.add("in", nothing)
	r.run(r.question(x, []string{"sum"}, "mid"))
	if n := r.g.PlansMade(); n != 4 {
		t.Errorf("%d plans were made for four questions", n)
	}
}

// TestTheRestIsPlannedOnce: a hook that removes another asks for the rest of a run as a question of its own.
func TestTheRestIsPlannedOnce(t *testing.T) {
	r := residual(t)
	for range 3 {
		id := r.add("out", nothing)
		r.add("in", func(_ *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
			if _, err := r.hooks.Clear(p.Index, hook.Forward, hook.NoLevel, true); err != nil {
				return nil, err
			}
			return nil, r.hooks.Remove(r.index("out"), id)
		})
		r.run(r.question(r.tensor([]float32{1}, 1), []string{"tail"}))
	}
	if n := r.g.PlansMade(); n != 2 {
		t.Errorf("%d plans were made, of a question and its rest", n)
	}
}

func TestKeysTellQuestionsApart(t *testing.T) {
	seen := map[string]string{}
	for name, q := range map[string]graph.Question{
		"nothing": {}, "given": {Given: bitset.Of(3)}, "kept": {Keep: bitset.Of(3)}, "called": {Called: bitset.Of(3)},
		"parts": {Parts: bitset.Of(3)}, "wanted": {Want: []graph.Value{3}}, "two wanted": {Want: []graph.Value{3, 1}},
		"the other way round": {Want: []graph.Value{1, 3}}, "plain": {Plain: true}, "moving": {Moving: true},
		"start": {Start: 3}, "active": {Active: []graph.Range{{First: 1, Last: 3}}}, "dtype": {DType: tensor.BFloat16},
		"active twice": {Active: []graph.Range{{First: 1, Last: 3}, {First: 1, Last: 3}}},
	} {
		key := q.Key()
		if other, taken := seen[key]; taken {
			t.Errorf("%q and %q have one key", name, other)
		}
		seen[key] = name
	}
}

// TestPlansAreBounded: questions without end do not fill memory, and old ones are planned again.
func TestPlansAreBounded(t *testing.T) {
	r := newRig(t)
	v := r.g.Input("x")
	const points = 300
	for i := range points {
		v = r.point(fmt.Sprint("p", i), v, false)
	}
	x := r.tensor([]float32{1}, 1)
	for range 2 {
		for i := range points {
			r.run(r.question(x, nil, fmt.Sprint("p", i)))
		}
	}
	if n := r.g.PlansMade(); n != 2*points {
		t.Errorf("%d plans were made, want each of %d twice", n, points)
	}
	r.run(r.question(x, nil, fmt.Sprint("p", points-1)))
	if n := r.g.PlansMade(); n != 2*points {
		t.Error("the last question is not remembered")
	}
}

// measured is a backend that counts what is taken of it, and how much of that is alive at once.
type measured struct {
	cpu.CPU
	taken, most int
	before      int64
}

func (m *measured) Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error) {
	out, err := m.CPU.Alloc(dt, shape...)
	if err == nil {
		m.taken += out.Len() * dt.Size()
		m.most = max(m.most, int(tensor.Count().Bytes-m.before))
	}
	return out, err
}

var _ backend.Backend = (*measured)(nil)

// TestThePeakIsThatOfTheShapes: what is remembered for some is not told of others.
func TestThePeakIsThatOfTheShapes(t *testing.T) {
	r := residual(t)
	peaks := map[int]int{}
	for _, n := range []int{8, 64, 8, 64} {
		q := r.question(r.tensor(make([]float32, n), n), []string{"tail"})
		q.Question.Given = q.Env.Given.Values()
		plan, err := r.g.Plan(&q.Question)
		if err != nil {
			t.Fatal(err)
		}
		peak, err := plan.Peak(&q.Env)
		if was, asked := peaks[n]; err != nil || peak < 4*n || (asked && was != peak) {
			t.Errorf("%d values: a peak of %d, %v, before %d", n, peak, err, was)
		}
		peaks[n] = peak
	}
	if peaks[64] != 8*peaks[8] {
		t.Errorf("peaks of %v", peaks)
	}
}

// TestOutlineIsWhatARunTakes: memory in all, at once and for good, and which steps there are.
func TestOutlineIsWhatARunTakes(t *testing.T) {
	const n = 1 << 10
	for name, c := range map[string]struct {
		want, keep []string
		plain      bool
	}{
		"all": {want: []string{"tail"}}, "early": {want: []string{"sum"}}, "kept": {keep: []string{"in", "mid", "sum"}},
		"both": {want: []string{"tail"}, keep: []string{"in", "mid", "out", "sum", "tail"}}, "plain": {want: []string{"sum"}, plain: true},
	} {
		r := residual(t)
		x := r.tensor(make([]float32, n), n)
		q := r.question(x, c.want, c.keep...)
		q.Plain = c.plain
		m := &measured{before: tensor.Count().Bytes}
		q.Backend = m
		q.Question.Given = q.Env.Given.Values()
		plan, err := r.g.Plan(&q.Question)
		if err != nil {
			t.Fatal(err)
		}
		told, err := plan.Outline(&q.Env)
		if err != nil {
			t.Fatal(err)
		}
		if m.taken != 0 || len(r.ran) != 0 {
			t.Fatalf("%s: telling of a run ran it: %v", name, r.ran)
		}
		r.run(q)
		var ops []string
		for _, s := range told.Steps {
			if s.Kind != graph.StepPoint {
				ops = append(ops, s.Op)
			}
		}
		r.didRun(ops...)
		if told.Allocated != m.taken || told.Peak != m.most {
			t.Errorf("%s: told %d bytes and %d at once, took %d and %d", name, told.Allocated, told.Peak, m.taken, m.most)
		}
		for range 2 { // the second time it is remembered
			if peak, err := plan.Peak(&q.Env); err != nil || peak != told.Peak {
				t.Errorf("%s: a peak of %d, %v, told %d", name, peak, err, told.Peak)
			}
		}
		if want := 4 * n * (len(c.want) + len(c.keep)); told.Kept != want {
			t.Errorf("%s: told that %d bytes are kept, want %d", name, told.Kept, want)
		}
	}
}
