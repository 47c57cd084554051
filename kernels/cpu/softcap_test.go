package cpu

import (
	"math"
	"testing"
)

func TestSoftCap(t *testing.T) {
	xs := activationInputs()
	var first []float32
	eachISA(t, func(t *testing.T) {
		y := make([]float32, len(xs))
		for _, limit := range []float32{.5, 3, 30} {
			SoftCap(ptr(y), ptr(xs), limit, len(xs))
			for i, x := range xs {
				if math.Abs(float64(x)) < 0x1p-100 { // x / limit is subnormal, and so is its precision
					continue
				}
				want := float64(limit) * math.Tanh(float64(x)/float64(limit))
				if u := ulps(y[i], want); u > 3 {
					t.Fatalf("limit %g: %g gives %g, want %g: %g ulp", limit, x, y[i], want, u)
				}
			}
		}
		if first == nil {
			first = y
		}
		sameBits(t, "variants", y, first)
		odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
		SoftCap(ptr(odd), ptr(odd), 2, 3)
		if odd[0] == odd[0] || odd[1] != 2 || odd[2] != -2 {
			t.Errorf("NaN and infinities give %v", odd)
		}
	})
}
