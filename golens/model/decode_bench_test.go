package model_test

import (
	"context"
	"testing"
)

// BenchmarkDecodeStep is one token behind a KV cache of a tiny model: planning and bookkeeping, little arithmetic.
func BenchmarkDecodeStep(b *testing.B) {
	m := tiny(b, "llama")
	ids := words(b, 1, 1)
	c := newCache(b, m, 1, true)
	for b.Loop() {
		in := asking(ids)
		in.Past = c
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
		if c.Len() == 64 {
			for _, e := range c.Entries {
				if err := e.Crop(1); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
