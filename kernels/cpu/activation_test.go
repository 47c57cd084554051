package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

func sigmoid64(x float64) float64 {
	if x < 0 {
		return math.Exp(x) / (1 + math.Exp(x))
	}
	return 1 / (1 + math.Exp(-x))
}

var activationCases = []struct {
	name string
	act  Activation
	f    func(float64) float64
	ulps float64 // largest error allowed
}{
	{"gelu tanh", GELUTanh, func(x float64) float64 {
		return x * sigmoid64(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
	}, 3},
	{"gelu", GELU, func(x float64) float64 { return x * .5 * math.Erfc(-x/math.Sqrt2) }, 3.5},
	{"silu", SiLU, func(x float64) float64 { return x * sigmoid64(x) }, 2.5},
	{"relu", ReLU, func(x float64) float64 { return math.Max(x, 0) }, 0},
	{"relu squared", ReLUSquared, func(x float64) float64 { return math.Max(x, 0) * math.Max(x, 0) }, .5},
	{"tanh", Tanh, math.Tanh, 1.5},
	{"sigmoid", Sigmoid, sigmoid64, 2},
	{"quick gelu", QuickGELU, func(x float64) float64 { return x * sigmoid64(1.702*x) }, 2.5},
}

// Every magnitude and both signs.
func activationInputs() []float32 {
	var xs []float32
	for _, top := range []float64{1, 3, 10, 20, 60, 200} {
		for i := -2000; i <= 2000; i++ {
			xs = append(xs, float32(top*float64(i)/2000))
		}
	}
	for e := -140; e < 120; e++ {
		m := float32(math.Ldexp(1.37, e))
		xs = append(xs, m, -m)
	}
	return append(xs, 0, float32(math.Copysign(0, -1)))
}

func TestActivationAccuracy(t *testing.T) {
	xs := activationInputs()
	for _, c := range activationCases {
		var first []float32
		eachISA(t, func(t *testing.T) {
			y := make([]float32, len(xs))
			Activate(c.act, ptr(y), ptr(xs), len(xs))
			worst, at := 0.0, 0
			for i, x := range xs {
				want := c.f(float64(x))
				// Where the exponential is subnormal, so is its precision.
				if math.Abs(want) < 1e-36 && math.Abs(float64(y[i])) < 1e-36 && want != 0 && math.Abs(float64(x)) > 1 {
					continue
				}
				if math.Abs(want) > math.MaxFloat32 {
					continue
				}
				if u := ulps(y[i], want); u > worst {
					worst, at = u, i
				}
			}
			t.Logf("%s: worst %.2f ulp at %g", c.name, worst, xs[at])
			if !(worst <= c.ulps) {
				t.Errorf("%s(%g) is %g, want %g: %.2f ulp", c.name, xs[at], y[at], c.f(float64(xs[at])), worst)
			}
			if first == nil {
				first = y
			}
			sameBits(t, c.name, y, first)
			Activate(c.act, ptr(y), ptr(y), 0)
			inPlace := append([]float32(nil), xs...)
			Activate(c.act, ptr(inPlace), ptr(inPlace), len(xs))
			sameBits(t, c.name+" in place", inPlace, y)
		})
	}
}

func TestActivationSpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	n := float32(nan())
	// At -inf, x times a probability of 0 is NaN, in torch as here.
	want := map[Activation][3]float32{
		GELUTanh: {inf, n, n}, GELU: {inf, n, n}, SiLU: {inf, n, n}, QuickGELU: {inf, n, n},
		ReLU: {inf, 0, n}, ReLUSquared: {inf, 0, n}, Tanh: {1, -1, n}, Sigmoid: {1, 0, n},
	}
	eachISA(t, func(t *testing.T) {
		for _, c := range activationCases {
			x := []float32{inf, -inf, n}
			y := make([]float32, 3)
			Activate(c.act, ptr(y), ptr(x), 3)
			w := want[c.act]
			sameBits(t, c.name, y, w[:])
		}
	})
}

func TestActivateMul(t *testing.T) {
	r := rand.New(rand.NewSource(40))
	const rows, n, ld = 3, 1030, 2 * 1030
	x := uniform(r, rows*ld) // gate and up side by side
	eachISA(t, func(t *testing.T) {
		for _, c := range activationCases {
			want, got := make([]float32, rows*n), make([]float32, rows*n)
			for i := range rows {
				Activate(c.act, ptr(want[i*n:]), ptr(x[i*ld:]), n)
				Mul(ptr(want[i*n:]), ptr(want[i*n:]), ptr(x[i*ld+n:]), n)
			}
			a := ActivateMul{Act: c.act, Rows: rows, N: n, Gate: ptr(x), LDGate: ld, Up: ptr(x[n:]), LDUp: ld, Out: ptr(got), LDOut: n}
			a.Run()
			sameBits(t, c.name, got, want)
			y := append([]float32(nil), x...)
			a = ActivateMul{Act: c.act, Rows: rows, N: n, Gate: ptr(y), LDGate: ld, Up: ptr(y[n:]), LDUp: ld, Out: ptr(y[n:]), LDOut: ld}
			a.Run()
			sameBits(t, fmt.Sprint(c.name, " onto up"), y[n:n+n], want[:n])
		}
	})
}
