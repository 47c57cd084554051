// Tests of how runs end before their time: errors, cancellation, panics. Nothing may be left behind.
package graph_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var errBoom = errors.New("boom")

func TestErrorsReleaseEverything(t *testing.T) {
	all := []string{"in", "mid", "out", "sum", "tail"}
	for name, prepare := range map[string]func(r *rig){
		"hook": func(r *rig) {
			r.add("sum", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, errBoom })
		},
		"operation": func(r *rig) {
			v := r.g.Apply("fails", &each{name: "fails", ran: &r.ran, fail: errBoom}, r.value("tail"))
			r.point("last", v, false)
			r.add("last", nothing)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := residual(t)
			prepare(r)
			q := r.question(r.tensor([]float32{1, 2}, 2), []string{"sum"}, all...)
			if err := r.fails(q); !errors.Is(err, errBoom) {
				t.Errorf("error %v, want %v", err, errBoom)
			}
			if _, err := r.hooks.Clear(-1, hook.Both, hook.NoLevel, true); err != nil {
				t.Fatal(err)
			}
			r.sees("the next run", r.run(q).Values[r.value("sum")], 4, 7)
		})
	}
}

func TestPanicReleasesEverything(t *testing.T) {
	r := residual(t)
	r.add("sum", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { panic(errBoom) })
	q := r.question(r.tensor([]float32{1, 2}, 2), []string{"sum"}, "in", "mid", "out")
	before := tensor.Count().Storages
	func() {
		defer func() {
			if err, ok := recover().(error); !ok || !errors.Is(err, errBoom) {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = r.answer(context.Background(), q)
	}()
	if after := tensor.Count().Storages; after != before {
		t.Errorf("%d storages are left behind", after-before)
	}
}

func TestGivenWithGaps(t *testing.T) {
	r := residual(t)
	x := r.tensor([]float32{1, 2, 3, 4}, 2, 2)
	turned, err := x.View([]int{2, 2}, []int{1, 2}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer turned.Release()
	r.sees("sum", r.run(r.question(turned, []string{"sum"})).Values[r.value("sum")], 4, 10, 7, 13)
}

func TestCancelled(t *testing.T) {
	r := residual(t)
	ctx, cancel := context.WithCancel(context.Background())
	r.add("mid", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		cancel()
		return nil, nil
	})
	q := r.question(r.tensor([]float32{1}, 1), []string{"tail"}, "in")
	before := tensor.Count().Storages
	for _, ran := range []int{1, 0} { // cancelled on the way, and before
		r.ran = nil
		if _, err := r.answer(ctx, q); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		if len(r.ran) != ran {
			t.Errorf("%v ran, want %d operations", r.ran, ran)
		}
	}
	if after := tensor.Count().Storages; after != before {
		t.Errorf("%d storages are left behind", after-before)
	}
}

func TestPoll(t *testing.T) {
	slow := func(x ...float32) float32 {
		time.Sleep(30 * time.Millisecond)
		return x[0]
	}
	r := newRig(t)
	v := r.g.Input("x")
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		v = r.op(name, slow, v)
	}
	polls := 0
	q := r.question(r.tensor([]float32{1}, 1), []string{"f"})
	q.Poll = func() error {
		polls++
		return nil
	}
	r.run(q)
	if polls < 1 || polls > 3 { // 150 ms before the last step, at most every 50 ms
		t.Errorf("polled %d times in six steps of 30 ms", polls)
	}
	q.Poll = func() error { return errBoom }
	if err := r.fails(q); !errors.Is(err, errBoom) || len(r.ran) >= 6 {
		t.Errorf("error %v after %v", err, r.ran)
	}
}
