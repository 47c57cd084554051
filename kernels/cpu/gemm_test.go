package cpu

import (
	"fmt"
	"math/rand"
	"testing"
)

// product holds random operands of one shape, and the result that the contract demands.
type product struct {
	m, n, k             int
	a, b, bt, bias, res []float32
	plain, full         []float32 // without and with bias and residual
}

func newProduct(seed int64, m, n, k int) *product {
	r := rand.New(rand.NewSource(seed))
	p := &product{m: m, n: n, k: k, a: uniform(r, m*k), b: uniform(r, k*n), bias: uniform(r, n), res: uniform(r, m*n)}
	p.bt = make([]float32, n*k)
	for i := range k {
		for j := range n {
			p.bt[j*k+i] = p.b[i*n+j]
		}
	}
	p.plain, p.full = make([]float32, m*n), make([]float32, m*n)
	for i := range m {
		for j := range n {
			s := chain(p.a[i*k:(i+1)*k], p.bt[j*k:(j+1)*k])
			p.plain[i*n+j] = s
			p.full[i*n+j] = (s + p.bias[j]) + p.res[i*n+j]
		}
	}
	return p
}

// run computes rows from..from+rows, columns col..col+n of p.
func (p *product) run(t *testing.T, from, rows, col, n int, trans, epilogue bool) []float32 {
	t.Helper()
	c := make([]float32, rows*n)
	g := Gemm{M: rows, N: n, K: p.k, A: ptr(p.a[from*p.k:]), LDA: p.k, C: ptr(c), LDC: n, TransB: trans}
	if trans {
		g.B, g.LDB = ptr(p.bt[col*p.k:]), p.k
	} else {
		g.B, g.LDB = ptr(p.b[col:]), p.n
	}
	if epilogue {
		g.Bias, g.Residual, g.LDR = ptr(p.bias[col:]), ptr(p.res[from*p.n+col:]), p.n
	}
	if err := g.Run(); err != nil {
		t.Fatal(err)
	}
	return c
}

func cut(full []float32, ld, from, rows, col, n int) []float32 {
	var out []float32
	for i := from; i < from+rows; i++ {
		out = append(out, full[i*ld+col:i*ld+col+n]...)
	}
	return out
}

func TestGemmOrderAlongK(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, k := range []int{1, 7, 16, 63, 64, 192, 383, 384, 385, 576, 767, 768, 801, 1000, 1152, 1536, 2305, 3072} {
			p := newProduct(int64(k), 43, 37, k)
			for _, m := range []int{1, 2, 5, 16, 43} {
				for _, trans := range []bool{false, true} {
					what := fmt.Sprintf("M %d K %d transposed %v", m, k, trans)
					sameBits(t, what, p.run(t, 0, m, 0, 37, trans, false), cut(p.plain, 37, 0, m, 0, 37))
					sameBits(t, what+" with bias and residual", p.run(t, 0, m, 0, 37, trans, true), cut(p.full, 37, 0, m, 0, 37))
				}
			}
		}
	})
}

func TestGemmRowsDoNotDependOnTheirNumber(t *testing.T) {
	const n, k, most = 71, 801, 600
	p := newProduct(1, most, n, k)
	sizes := []int{100, 383, 384, 385, 600}
	for m := 1; m <= 17; m++ {
		sizes = append(sizes, m)
	}
	eachISA(t, func(t *testing.T) {
		for _, m := range sizes {
			for _, trans := range []bool{false, true} {
				what := fmt.Sprintf("M %d transposed %v", m, trans)
				sameBits(t, what, p.run(t, 0, m, 0, n, trans, true), p.full[:m*n])
			}
		}
	})
}

func TestGemmSlicesAndThreads(t *testing.T) {
	const n, k, most = 333, 450, 130
	p := newProduct(2, most, n, k)
	cols := []struct{ from, n int }{{0, 333}, {0, 1}, {1, 15}, {16, 32}, {3, 97}, {130, 200}, {332, 1}}
	eachISA(t, func(t *testing.T) {
		for _, threads := range []int{1, 2, 3} {
			withThreads(threads, func() {
				for _, c := range cols {
					for _, m := range []int{1, 7, 40, 41, 65, 123} {
						for _, trans := range []bool{false, true} {
							what := fmt.Sprintf("threads %d M %d columns %v transposed %v", threads, m, c, trans)
							got := p.run(t, most-m, m, c.from, c.n, trans, true)
							sameBits(t, what, got, cut(p.full, n, most-m, m, c.from, c.n))
						}
					}
				}
			})
		}
	})
}

// Every M around the sizes of the register tiles and the packed blocks, with rows far apart.
func TestGemmEveryRowCount(t *testing.T) {
	const n, k, ld = 40, 50, 61
	r := rand.New(rand.NewSource(3))
	p := newProduct(4, 90, n, k)
	a := uniform(r, 90*ld)
	for i := range 90 {
		copy(a[i*ld:i*ld+k], p.a[i*k:(i+1)*k])
	}
	eachISA(t, func(t *testing.T) {
		for m := 1; m <= 90; m++ {
			for _, trans := range []bool{false, true} {
				c := make([]float32, m*ld)
				for i := range c {
					c[i] = 5
				}
				g := Gemm{M: m, N: n, K: k, A: ptr(a), LDA: ld, B: ptr(p.b), LDB: n, C: ptr(c), LDC: ld}
				if trans {
					g.B, g.LDB, g.TransB = ptr(p.bt), k, true
				}
				if err := g.Run(); err != nil {
					t.Fatal(err)
				}
				sameBits(t, fmt.Sprintf("M %d", m), cut(c, ld, 0, m, 0, n), p.plain[:m*n])
				for i := range m {
					for j := n; j < ld; j++ {
						if c[i*ld+j] != 5 {
							t.Fatalf("M %d wrote between its rows: row %d column %d", m, i, j)
						}
					}
				}
			}
		}
	})
}

func TestGemmAgainstFloat64(t *testing.T) {
	p := newProduct(5, 64, 48, 3072)
	want := make([]float64, 64*48)
	for i := range 64 {
		for j := range 48 {
			for k := range p.k {
				want[i*48+j] += float64(p.a[i*p.k+k]) * float64(p.bt[j*p.k+k])
			}
		}
	}
	near(t, "product", p.run(t, 0, 64, 0, 48, false, false), want, 2e-6)
}

func TestGemmEmpty(t *testing.T) {
	c := []float32{9, 9, 9, 9}
	bias, res := []float32{1, 2}, []float32{10, 20, 30, 40}
	g := Gemm{M: 2, N: 2, C: ptr(c), LDC: 2, Bias: ptr(bias), Residual: ptr(res), LDR: 2}
	if err := g.Run(); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "K = 0", c, []float32{11, 22, 31, 42})
	g.M = 0
	if err := g.Run(); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "M = 0", c, []float32{11, 22, 31, 42})
}

func TestGemmKeepsNaNAndInfInTheirRows(t *testing.T) {
	p := newProduct(6, 50, 33, 64)
	eachISA(t, func(t *testing.T) {
		clean := p.run(t, 0, 50, 0, 33, false, false)
		q := *p
		q.a = append([]float32(nil), p.a...)
		q.a[7*64+3] = float32(nan())
		got := q.run(t, 0, 50, 0, 33, false, false)
		for j := range 33 {
			if v := got[7*33+j]; v == v {
				t.Fatalf("NaN in the row gave %g", v)
			}
		}
		copy(got[7*33:8*33], clean[7*33:8*33])
		sameBits(t, "other rows", got, clean)
	})
}
