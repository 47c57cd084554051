// Tests of one model that is used by several goroutines at once.
package model_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
)

// TestConcurrentQuestions: different questions, all at once, each with the answer it has alone.
func TestConcurrentQuestions(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		t.Run(family, func(t *testing.T) {
			m := tiny(t, family)
			in, logits, by := fullRun(t, m)
			stop, keep := *in, *in
			stop.Stop = 2
			start := model.Input{Resid: by["blocks.1.hook_in"], Mask: in.Mask, Positions: positions(t), Start: 1, Stop: model.NoLayer, Output: model.OutputLogits}
			keep.Output, keep.Keep = model.OutputNone, everything
			questions := []struct {
				in   *model.Input
				want []float32
			}{
				{in, logits.Float32s()}, {&stop, by["blocks.2.hook_in"].Float32s()}, {&start, logits.Float32s()}, {&keep, nil},
			}
			ask := func(i int) error {
				q := &questions[i%len(questions)]
				r, err := m.Forward(context.Background(), q.in)
				if err != nil {
					return err
				}
				defer r.Release()
				if q.want != nil && !slices.Equal(r.Output.Float32s(), q.want) {
					return fmt.Errorf("question %d has another answer than alone", i%len(questions))
				}
				for name, v := range kept(m, r.Kept) {
					if want := by[name]; !slices.Equal(v.Float32s(), want.Float32s()) {
						return fmt.Errorf("%s has other values than alone", name)
					}
				}
				return nil
			}
			together(t, 6, 12, ask)
		})
	}
}

// TestConcurrentFlags: runs begin with the graph of some moment; flags flipped meanwhile do not disturb them.
func TestConcurrentFlags(t *testing.T) {
	m := tiny(t, "llama")
	in := asking(words(t, 1, 5))
	want := copied(run(t, m, in).Output)
	together(t, 4, 20, func(i int) error {
		if i%4 == 0 {
			return m.Set("use_attn_result", i%8 == 0)
		}
		if i%4 == 1 {
			_, err := m.Describe()
			return err
		}
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			return err
		}
		defer r.Release()
		if d := distance(r.Output.Float32s(), want); d > 1e-5 {
			return fmt.Errorf("off by %g", d)
		}
		return nil
	})
}

// together does f(i) for workers goroutines, each rounds times.
func together(t *testing.T, workers, rounds int, f func(i int) error) {
	t.Helper()
	errs := make(chan error, workers*rounds)
	var group sync.WaitGroup
	for w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for round := range rounds {
				if err := f(w + round); err != nil {
					errs <- err
				}
			}
		}()
	}
	group.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
