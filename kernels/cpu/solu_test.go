package cpu

import (
	"math"
	"math/rand"
	"testing"
)

func TestSoLU(t *testing.T) {
	r := rand.New(rand.NewSource(31))
	for _, n := range []int{1, 5, 16, 33, 400} {
		const rows = 9
		x := uniform(r, rows*n)
		for i := range x {
			x[i] *= 6
		}
		var first []float32
		eachISA(t, func(t *testing.T) {
			y := make([]float32, len(x))
			SoLU(ptr(y), ptr(x), rows, n)
			want := make([]float64, len(x))
			for row := range rows {
				for i, p := range softmax64(x[row*n : (row+1)*n]) {
					want[row*n+i] = p * float64(x[row*n+i])
				}
			}
			near(t, "solu", y, want, 1e-6)
			if first == nil {
				first = y
			}
			sameBits(t, "variants", y, first)
			alone := make([]float32, n) // a row is the same without the others
			SoLU(ptr(alone), ptr(x[3*n:]), 1, n)
			sameBits(t, "one row", alone, y[3*n:4*n])
		})
	}
}

func TestSoLUOfInfinities(t *testing.T) {
	inf := float32(math.Inf(1))
	eachISA(t, func(t *testing.T) {
		y := make([]float32, 3)
		SoLU(ptr(y), ptr([]float32{1, -inf, 2}), 1, 3)
		if y[0] != y[0] || y[1] == y[1] || y[2] != y[2] { // -inf times its probability of 0, as in torch
			t.Errorf("-inf gives %v", y)
		}
		SoLU(ptr(y), ptr([]float32{1, inf, 2}), 1, 3)
		for _, v := range y {
			if v == v {
				t.Errorf("+inf gives %v", y)
			}
		}
	})
}
