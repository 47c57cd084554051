package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

// TestGemmFloat64: every element is one chain of fused multiply-adds, then bias, then residual, whatever the layout,
// the rows and the part of a larger matrix.
func TestGemmFloat64(t *testing.T) {
	const n, ldb = 37, 40
	r := rand.New(rand.NewSource(3))
	random := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		return x
	}
	eachISA(t, func(t *testing.T) {
		for _, k := range []int{0, 1, 17, 511, 512, 513, 1300} {
			a, b, bias, residual := random(9*(k+2)), random((k+1)*ldb), random(n), random(9*n)
			turned := make([]float64, n*k)
			for i := range k {
				for j := range n {
					turned[j*k+i] = b[i*ldb+j]
				}
			}
			for _, m := range []int{1, 3, 4, 9} {
				for _, trans := range []bool{false, true} {
					c := make([]float64, m*n)
					g := Gemm{M: m, N: n, K: k, A: ptr(a), LDA: k + 2, B: ptr(b), LDB: ldb, TransB: trans, C: ptr(c), LDC: n,
						Bias: ptr(bias), Residual: ptr(residual), LDR: n}
					if trans && k > 0 {
						g.B, g.LDB = ptr(turned), k
					}
					if err := g.RunFloat64(); err != nil {
						t.Fatal(err)
					}
					for i := range m {
						for j := range n {
							s := 0.0
							for l := range k {
								s = math.FMA(a[i*(k+2)+l], b[l*ldb+j], s)
							}
							if want := (s + bias[j]) + residual[i*n+j]; c[i*n+j] != want {
								t.Fatalf("%s: element %d, %d is %g, want %g", fmt.Sprint("M ", m, " K ", k, " transposed ", trans), i, j, c[i*n+j], want)
							}
						}
					}
				}
			}
		}
	})
}

func TestGemmFloat64NotANumber(t *testing.T) {
	a, b, c := []float64{1, 0}, []float64{math.Inf(1), math.NaN(), 1, 1}, make([]float64, 2)
	g := Gemm{M: 1, N: 2, K: 2, A: ptr(a), LDA: 2, B: ptr(b), LDB: 2, C: ptr(c), LDC: 2}
	if err := g.RunFloat64(); err != nil || !math.IsInf(c[0], 1) || !math.IsNaN(c[1]) {
		t.Errorf("%v, error %v", c, err)
	}
}
