package cpu

import (
	"fmt"
	"math/rand"
	"testing"
)

// BenchmarkGemm reports GF/s of the shapes a GPT-2-small-sized model multiplies.
func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	for _, s := range []struct {
		n, k  int
		trans bool
	}{{2304, 768, false}, {768, 3072, false}, {3072, 768, false}, {3072, 768, true}, {50257, 768, true}} {
		w := uniform(r, s.n*s.k)
		bias := uniform(r, s.n)
		for _, m := range []int{1, 2, 4, 16, 40, 64, 128, 512} {
			x, y := uniform(r, m*s.k), make([]float32, m*s.n)
			g := Gemm{M: m, N: s.n, K: s.k, A: ptr(x), LDA: s.k, B: ptr(w), LDB: s.n, C: ptr(y), LDC: s.n, Bias: ptr(bias)}
			if s.trans {
				g.LDB, g.TransB = s.k, true
			}
			b.Run(fmt.Sprintf("N%d/K%d/trans=%v/M%d", s.n, s.k, s.trans, m), func(b *testing.B) {
				for b.Loop() {
					if err := g.Run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2*float64(m)*float64(s.n)*float64(s.k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
				b.ReportMetric(4*float64(s.n)*float64(s.k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}

// BenchmarkGemmForms multiplies SmolLM2's shapes, and one of GPT-2's whose B is [K, N], from every form. GB/s counts what
// is stored, so that forms are compared by their times.
func BenchmarkGemmForms(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	for _, s := range []struct {
		n, k  int
		trans bool
	}{{1536, 576, true}, {576, 1536, true}, {576, 576, true}, {49152, 576, true}, {3072, 768, false}, {2304, 768, false}} {
		for _, f := range formCases {
			if f.length > 1 && !s.trans {
				continue
			}
			w := make([]byte, s.n*s.k/f.length*f.bytes)
			copy(w, newStored(r, f.form, 8, 1024, 0).raw)
			for i := 8 * 1024 / f.length * f.bytes; i < len(w); i *= 2 {
				copy(w[i:], w[:i])
			}
			for _, m := range []int{1, 4, 16, 128} {
				x, y := uniform(r, m*s.k), make([]float32, m*s.n)
				g := Gemm{M: m, N: s.n, K: s.k, A: ptr(x), LDA: s.k, Form: f.form, B: ptr(w), LDB: s.n, C: ptr(y), LDC: s.n}
				if s.trans {
					g.LDB, g.TransB = s.k, true
				}
				b.Run(fmt.Sprintf("N%d/K%d/trans=%v/M%d/%s", s.n, s.k, s.trans, m, f.name), func(b *testing.B) {
					for b.Loop() {
						if err := g.Run(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(len(w))*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
				})
			}
		}
	}
}

// BenchmarkAttention is one layer of twelve heads of 64.
func BenchmarkAttention(b *testing.B) {
	for _, s := range [][3]int{{1, 1, 100}, {1, 1, 1000}, {1, 16, 16}, {1, 128, 128}, {8, 64, 64}, {1, 512, 512}, {1, 2048, 2048}} {
		l := newLayer(1, Attention{Batch: s[0], Heads: 12, KVHeads: 12, QLen: s[1], KLen: s[2], HeadDim: 64, Scale: .125, Causal: true})
		name := fmt.Sprintf("b%d/q%d/k%d", s[0], s[1], s[2])
		b.Run(name+"/fused", func(b *testing.B) {
			for b.Loop() {
				_ = l.Run()
			}
		})
		b.Run(name+"/steps", func(b *testing.B) {
			for b.Loop() {
				_ = l.RunScores()
				Softmax(l.Attention.Pattern, l.Attention.Scores, l.Batch*l.Heads*l.QLen, l.KLen, false)
				_ = l.RunMix()
			}
		})
	}
}

// BenchmarkRows are the kernels that pass over 128 rows once.
func BenchmarkRows(b *testing.B) {
	const rows = 128
	run := func(name string, n int, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(rows*n)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "values/ns")
		})
	}
	ln, rms := newNorm(1, rows, 768, false), newNorm(1, rows, 768, true)
	run("layernorm", 768, ln.Run)
	run("rmsnorm", 768, rms.Run)
	r := rand.New(rand.NewSource(1))
	x, y := uniform(r, rows*3072), make([]float32, rows*3072)
	for _, c := range activationCases {
		run(c.name, 3072, func() { Activate(c.act, ptr(y), ptr(x), rows*3072) })
	}
	run("add", 3072, func() { Add(ptr(y), ptr(x), ptr(x), rows*3072) })
	logits, loss, targets := uniform(r, rows*50257), make([]float32, rows), make([]int64, rows)
	run("cross entropy", 50257, func() { CrossEntropy(ptr(loss), ptr(logits), 50257, ptr(targets), rows, 50257) })
	shape, from, to := []int64{768, 3072}, []int64{1, 768}, []int64{3072, 1}
	big, turned := uniform(r, 768*3072), make([]float32, 768*3072)
	b.Run("transpose", func(b *testing.B) {
		for b.Loop() {
			_ = CopyStrided(ptr(turned), to, ptr(big), from, shape)
		}
		b.ReportMetric(768*3072*4*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
	})
}
