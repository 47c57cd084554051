package cpu

import (
	"math"
	"math/rand"
	"testing"
)

// widen64 is what a 16-bit value means: exponent bits e, mantissa bits m.
func widen64(h uint16, e, m int) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, man := int(h>>m)&(1<<e-1), float64(h&(1<<m-1))
	bias := 1<<(e-1) - 1
	switch {
	case exp == 1<<e-1 && man != 0:
		return math.NaN()
	case exp == 1<<e-1:
		return sign * math.Inf(1)
	case exp == 0:
		return sign * math.Ldexp(man, 1-bias-m)
	}
	return sign * math.Ldexp(1+math.Ldexp(man, -m), exp-bias)
}

var halves = []struct {
	name    string
	kind    Form
	e, m    int
	largest uint16
}{{"bfloat16", BFloat16, 8, 7, 0x7f7f}, {"float16", Float16, 5, 10, 0x7bff}}

func TestWidenEveryValue(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	eachISA(t, func(t *testing.T) {
		for _, h := range halves {
			y := make([]float32, len(all))
			Widen(h.kind, ptr(y), ptr(all), len(all))
			for i, v := range y {
				want := float32(widen64(uint16(i), h.e, h.m))
				if v != want && (v == v || want == want) || math.Signbit(float64(v)) != (i >= 1<<15) {
					t.Fatalf("%s %#04x is %g, want %g", h.name, i, v, want)
				}
			}
			back := make([]uint16, len(all))
			Narrow(h.kind, ptr(back), ptr(y), len(all))
			for i := range back {
				if y[i] == y[i] && back[i] != uint16(i) {
					t.Fatalf("%s %#04x comes back as %#04x", h.name, i, back[i])
				}
			}
		}
	})
}

func TestNarrowRoundsToNearestEven(t *testing.T) {
	r := rand.New(rand.NewSource(70))
	xs := []float32{65519, 65520, -65520, 3.4e38, math.MaxFloat32, 0x1p-25, 0x1.8p-25, 0x1p-24, 0x1.8p-24, 0x1p-149, float32(math.Inf(1)), float32(math.Inf(-1))}
	for range 20000 {
		xs = append(xs, math.Float32frombits(r.Uint32()), float32(math.Ldexp(r.Float64()-.5, r.Intn(50)-30)))
	}
	for i := range 1 << 10 { // halfway between neighbours
		xs = append(xs, math.Float32frombits(uint32(0x3f80+i)<<16|0x8000), math.Float32frombits(uint32(0x3800+i)<<13<<2|0x1000))
	}
	eachISA(t, func(t *testing.T) {
		for _, h := range halves {
			y := make([]uint16, len(xs))
			Narrow(h.kind, ptr(y), ptr(xs), len(xs))
			for i, x := range xs {
				got := widen64(y[i], h.e, h.m)
				if x != x {
					if got == got {
						t.Fatalf("%s: NaN %#x became %g", h.name, math.Float32bits(x), got)
					}
					continue
				}
				if want := nearest(float64(x), h.e, h.m); got != want || math.Signbit(got) != math.Signbit(float64(x)) {
					t.Fatalf("%s: %g became %g, want %g", h.name, x, got, want)
				}
			}
		}
	})
}

// nearest rounds x to a format with e exponent and m mantissa bits.
func nearest(x float64, e, m int) float64 {
	if x == 0 || math.IsInf(x, 0) {
		return x
	}
	bias := 1<<(e-1) - 1
	_, exp := math.Frexp(x)
	step := math.Ldexp(1, max(exp-1, 1-bias)-m)
	y := math.RoundToEven(x/step) * step
	if math.Abs(y) >= math.Ldexp(1, bias+1) {
		return math.Copysign(math.Inf(1), x)
	}
	return y
}

// TestWidenRows: rows that lie apart are converted as those that do not, and what lies between them stays.
func TestWidenRows(t *testing.T) {
	const rows, cols, ldx, ldy = 7, 13, 17, 15
	eachISA(t, func(t *testing.T) {
		for _, h := range halves {
			x, y, back := make([]uint16, rows*ldx), make([]float32, rows*ldy), make([]uint16, rows*ldx)
			for i := range x {
				x[i] = uint16(i*37) & h.largest
			}
			WidenRows(h.kind, rows, cols, ptr(y), ldy, ptr(x), ldx)
			NarrowRows(h.kind, rows, cols, ptr(back), ldx, ptr(y), ldy)
			for i := range rows * ldx {
				want := x[i]
				if i%ldx >= cols {
					want = 0
				}
				if back[i] != want {
					t.Fatalf("%s: value %d is %#04x, want %#04x", h.name, i, back[i], want)
				}
			}
			for i, v := range y {
				if i%ldy >= cols && v != 0 {
					t.Fatalf("%s: %g was written behind a row", h.name, v)
				}
			}
		}
	})
}
