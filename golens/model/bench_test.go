// Benchmarks of what watching costs: go test -bench Hooks ./golens/model
package model_test

import (
	"context"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// BenchmarkHooks runs a model in which the work of the kernels is small, so that the rest shows: planning, and
// what each watched edge adds (reported as ns/edge).
func BenchmarkHooks(b *testing.B) {
	for _, c := range []struct {
		name string
		keep bitset.Set
		hook bool
	}{
		{"none", nil, false},
		{"kept", everything, false},
		{"called", nil, true},
		{"called and kept", everything, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := tiny(b, "gpt2")
			edges := 0
			if c.hook {
				for _, p := range m.Hooks.Points() {
					hookOn(b, m, p.Name, nothing)
				}
			}
			tokens, err := tensor.FromInt64s([]int64{1, 2, 3, 4}, 1, 4)
			if err != nil {
				b.Fatal(err)
			}
			defer tokens.Release()
			in := asking(tokens)
			in.Keep = c.keep
			b.ReportAllocs()
			for b.Loop() {
				r, err := m.Forward(context.Background(), in)
				if err != nil {
					b.Fatal(err)
				}
				edges = len(r.Kept)
				r.Release()
			}
			if c.keep != nil {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*edges), "ns/edge")
			}
		})
	}
}

// BenchmarkStop shows that a run up to a layer costs what its layers cost.
func BenchmarkStop(b *testing.B) {
	m := tiny(b, "llama")
	tokens := words(b, 1, 64)
	for _, stop := range []int{1, layers} {
		b.Run(block(stop), func(b *testing.B) {
			in := asking(tokens)
			in.Stop = stop
			for b.Loop() {
				r, err := m.Forward(context.Background(), in)
				if err != nil {
					b.Fatal(err)
				}
				r.Release()
			}
		})
	}
}
