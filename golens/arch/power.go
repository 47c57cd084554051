// This file raises a base to float32 exponents as torch does on x86-64, to the last bit: rotary frequencies are made of
// these powers, and a last bit of a frequency grows to a visible angle at far positions.
//
// torch with AVX-512 takes full blocks of 32 elements through SLEEF's powf (error below 1 ulp, mostly but not always
// correctly rounded) and the rest through the C library's; with AVX2, blocks are of 16. Here blocks follow SLEEF's
// method, exp(y log x) with both in pairs of float32, with its published coefficients (N. Shibata and F. Petrogalli,
// "SLEEF: A Portable Vectorized Library of C Standard Mathematical Functions", 2020). The rest is rounded from
// float64, which differs from the C library's in about one element in a thousand, by 1 ulp.

package arch

import "math"

const powerBlock = 32

// powers is base^e for each exponent. base is a positive normal number, results are far from overflow.
func powers(base float32, exponents []float32) []float32 {
	out := make([]float32, len(exponents))
	blocks := len(exponents) / powerBlock * powerBlock
	log := pairLog(base)
	for i, e := range exponents {
		if i < blocks {
			out[i] = pairExp(log.times(e))
			continue
		}
		out[i] = float32(math.Pow(float64(base), float64(e)))
	}
	return out
}

// pair is an unevaluated sum of two float32, the second below half an ulp of the first. Every conversion to float32
// below is a rounding that must happen there.
type pair struct{ hi, lo float32 }

// fma is x*y + z with one rounding: the product is exact in float64, and the sum is rounded to odd before it is
// rounded to float32, so that two roundings cannot differ from one.
func fma(x, y, z float32) float32 {
	product, addend := float64(x)*float64(y), float64(z)
	sum := product + addend
	if sum == 0 || math.IsInf(sum, 0) || math.IsNaN(sum) {
		return float32(sum)
	}
	back := sum - product
	lost := (product - (sum - back)) + (addend - back)
	if bits := math.Float64bits(sum); lost != 0 && bits&1 == 0 {
		if (lost > 0) == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}

func (a pair) times(y float32) pair {
	hi := float32(a.hi * y)
	return pair{hi, fma(a.lo, y, fma(a.hi, y, -hi))}
}

func (a pair) timesPair(b pair) pair {
	hi := float32(a.hi * b.hi)
	return pair{hi, fma(a.hi, b.lo, fma(a.lo, b.hi, fma(a.hi, b.hi, -hi)))}
}

func (a pair) squared() pair {
	hi := float32(a.hi * a.hi)
	return pair{hi, fma(a.hi+a.hi, a.lo, fma(a.hi, a.hi, -hi))}
}

func (a pair) over(b pair) pair {
	inverse := 1 / b.hi
	hi := float32(a.hi * inverse)
	rest := fma(-b.lo, inverse, fma(-b.hi, inverse, 1))
	return pair{hi, fma(hi, rest, fma(a.lo, inverse, fma(inverse, a.hi, -hi)))}
}

// plus needs a to be the larger.
func (a pair) plus(b pair) pair {
	hi := a.hi + b.hi
	return pair{hi, (((a.hi - hi) + b.hi) + a.lo) + b.lo}
}

// plusAny is right for any order of sizes.
func (a pair) plusAny(b pair) pair {
	hi := a.hi + b.hi
	v := hi - a.hi
	return pair{hi, ((a.hi - (hi - v)) + (b.hi - v)) + (a.lo + b.lo)}
}

// pairLog is the logarithm of a positive normal number: of x = m 2^e with m in [0.75, 1.5), by the series in
// (m-1)/(m+1).
func pairLog(x float32) pair {
	_, exponent := math.Frexp(float64(x * float32(1.0/0.75)))
	e := exponent - 1
	m := float32(math.Ldexp(float64(x), -e))
	ratio := pair{-1, 0}.plusAny(pair{m, 0}).over(pair{1, 0}.plusAny(pair{m, 0}))
	square := ratio.squared()
	t := fma(0.240320354700088500976562, square.hi, 0.285112679004669189453125)
	t = fma(t, square.hi, 0.400007992982864379882812)
	third := pair{0.66666662693023681640625, 3.69183861259614332084311e-09}
	sum := pair{0.69314718246459960938, -1.904654323148236017e-09}.times(float32(e))
	sum = sum.plus(pair{2 * ratio.hi, 2 * ratio.lo})
	return sum.plus(square.timesPair(ratio).timesPair(square.times(t).plusAny(third)))
}

// pairExp is e^a, rounded to float32: a is cut into a multiple of log 2 and a rest, whose exponential is a polynomial.
func pairExp(a pair) float32 {
	q := float32(math.RoundToEven(float64(float32((a.hi + a.lo) * float32(math.Log2E)))))
	rest := a.plusAny(pair{float32(q * -0.693145751953125), 0}).plusAny(pair{float32(q * -1.428606765330187045e-06), 0})
	rest = pair{rest.hi + rest.lo, (rest.hi - (rest.hi + rest.lo)) + rest.lo}
	u := fma(0.00136324646882712841033936, rest.hi, 0.00836596917361021041870117)
	u = fma(u, rest.hi, 0.0416710823774337768554688)
	u = fma(u, rest.hi, 0.166665524244308471679688)
	u = fma(u, rest.hi, 0.499999850988388061523438)
	sum := pair{1, 0}.plus(rest.plus(rest.squared().times(u)))
	return float32(math.Ldexp(float64(sum.hi+sum.lo), int(q)))
}
