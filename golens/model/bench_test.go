// Benchmarks of what watching costs: go test -bench Hooks ./golens/model
package model_test

import (
	"context"
	"maps"
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

// BenchmarkOverhead is what the engine costs beside the kernels: a model of 30 layers so narrow that they are nothing.
func BenchmarkOverhead(b *testing.B) {
	hf := maps.Clone(configs["llama"])
	maps.Copy(hf, map[string]any{"num_hidden_layers": 30, "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2})
	for _, c := range []struct {
		name       string
		kept, hook bool
	}{{"nothing", false, false}, {"kept", true, false}, {"hooked", false, true}} {
		b.Run(c.name, func(b *testing.B) {
			m := open(b, hf, randomWeights(b, hf))
			if c.hook {
				for _, p := range m.Hooks.Points() {
					hookOn(b, m, p.Name, nothing)
				}
			}
			in := asking(words(b, 1, 1))
			if c.kept {
				in.Keep = everything
			}
			b.ReportAllocs()
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
