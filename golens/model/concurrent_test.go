// Tests of one model that is used by several goroutines at once.
package model_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
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

// TestFaultM12DescribeDuringConvert: a description, and every parameter that is handed out, is of one dtype and there.
func TestFaultM12DescribeDuringConvert(t *testing.T) {
	m := tiny(t, "gpt2")
	n := len(m.Params())
	together(t, 4, 10, func(i int) error {
		switch i % 4 {
		case 0:
			return m.Convert(t.Context(), []string{"float64", "float32"}[i/4%2])
		case 1:
			d, err := m.Describe()
			if err == nil && len(d.Components[0].Params) == 0 {
				err = fmt.Errorf("%s has no parameters", d.Components[0].Name)
			}
			return err
		case 2:
			return m.Set("use_attn_result", i%8 == 2)
		}
		for index := range n {
			if err := finite(m, index); err != nil {
				return err
			}
		}
		return nil
	})
	if err := m.Convert(t.Context(), "float32"); err != nil {
		t.Fatal(err)
	}
}

// finite reads a parameter that may be converted away meanwhile.
func finite(m *model.Model, index int) error {
	p, err := m.Param(index)
	if err != nil {
		return err
	}
	defer p.Release()
	if p.DType() == tensor.Float32 && slices.ContainsFunc(p.Float32s(), func(v float32) bool { return math.IsNaN(float64(v)) }) {
		return fmt.Errorf("parameter %d has freed memory", index)
	}
	return nil
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
