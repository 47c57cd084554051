package cpu

import (
	"math"
	"math/rand"
	"testing"
	"unsafe"
)

func ptr[T any](s []T) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Pointer(&s[0])
}

// uniform returns n values in [-1, 1).
func uniform(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32()*2 - 1
	}
	return s
}

// eachISA runs f once for each instruction set of this processor.
func eachISA(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	was := ISA()
	for i, name := range isaNames {
		if !setISA(i) {
			continue
		}
		t.Run(name, f)
	}
	for i, name := range isaNames {
		if name == was {
			setISA(i)
		}
	}
}

// withThreads runs f with n threads.
func withThreads(n int, f func()) {
	was := Threads()
	SetThreads(n)
	f()
	SetThreads(was)
}

// sameBits fails the test at the first difference; two NaNs count as the same.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: value %d is %g (%#x), want %g (%#x)", what, i, got[i],
				math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// near fails the test where got is further than tol·max|want| from want.
func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	most := 0.0
	for _, w := range want {
		most = math.Max(most, math.Abs(w))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tol*most) {
			t.Fatalf("%s: value %d is %g, want %g: off by %g of the largest", what, i, got[i], want[i], d/most)
		}
	}
}

// ulps tells how many units in the last place of want got is away; subnormal wants count as the
// smallest normal number.
func ulps(got float32, want float64) float64 {
	if float32(want) == got || got != got && want != want {
		return 0
	}
	_, e := math.Frexp(math.Max(math.Abs(want), 0x1p-126))
	return math.Abs(float64(got)-want) / math.Ldexp(1, e-24)
}

// fma32 is a·b + c rounded once to float32: the float64 sum is made odd where it was rounded, so that
// the second rounding cannot go wrong.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b) // exact
	s := p + float64(c)
	part := s - p
	lost := (p - (s - part)) + (float64(c) - part)
	if u := math.Float64bits(s); lost != 0 && u&1 == 0 {
		if (lost > 0) == (s > 0) {
			u++
		} else {
			u--
		}
		s = math.Float64frombits(u)
	}
	return float32(s)
}

// chain is one output of a product in the one order along K.
func chain(a, b []float32) float32 {
	var sum float32
	for k := 0; k < len(a); {
		left := len(a) - k
		n := left
		if left >= 768 {
			n = 384
		} else if left > 384 {
			n = (left + 1) / 2
		}
		var s float32
		for i := k; i < k+n; i++ {
			s = fma32(a[i], b[i], s)
		}
		if k == 0 {
			sum = s
		} else {
			sum += s
		}
		k += n
	}
	return sum
}

func nan() float64 { return math.NaN() }
