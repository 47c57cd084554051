package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

func softmax64(s []float32) []float64 {
	p := make([]float64, len(s))
	most, sum := math.Inf(-1), 0.0
	for _, x := range s {
		most = math.Max(most, float64(x))
	}
	for i, x := range s {
		p[i] = math.Exp(float64(x) - most)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// Rows as users leave them after editing: anything anywhere.
func TestSoftmaxOfEditedScores(t *testing.T) {
	inf := math.Inf(1)
	cases := map[string][]float64{
		"one":                  {3},
		"plain":                {1, 2, 3, -4, 0},
		"masked both sides":    {Masked, Masked, 1, 2, Masked},
		"hole":                 {1, Masked, 2},
		"first edited away":    {-inf, 1, 2, Masked},
		"all masked":           {Masked, Masked, Masked},
		"masked and -inf":      {-inf, Masked, Masked, -inf},
		"all -inf":             {-inf, -inf},
		"+inf":                 {1, inf, 2},
		"NaN":                  {Masked, 1, nan(), 2},
		"only NaN":             {Masked, nan(), Masked},
		"far apart":            {-1e30, 1e30, 0},
		"just above masked":    {-3.4028233e38, Masked},
		"largest":              {math.MaxFloat32, math.MaxFloat32, 0},
		"underflow to nothing": {0, -104, -200, -87},
	}
	eachISA(t, func(t *testing.T) {
		for name, c := range cases {
			for _, reach := range []int{0, 5, 16, 40} { // the same row after `reach` masked scores, and before them
				s := make([]float32, 0, len(c)+2*reach)
				for range reach {
					s = append(s, Masked)
				}
				for _, x := range c {
					s = append(s, float32(x))
				}
				for range reach {
					s = append(s, Masked)
				}
				want := softmax64(s)
				got := make([]float32, len(s))
				Softmax(ptr(got), ptr(s), 1, len(s), false)
				for i := range got {
					if math.Abs(float64(got[i])-want[i]) > 1e-6 || got[i] == got[i] != (want[i] == want[i]) {
						t.Fatalf("%s (reach %d): value %d is %g, want %g", name, reach, i, got[i], want[i])
					}
				}
				Softmax(ptr(s), ptr(s), 1, len(s), false)
				sameBits(t, name+" in place", s, got)
			}
		}
	})
}

func TestSoftmaxVariantsAgree(t *testing.T) {
	r := rand.New(rand.NewSource(15))
	const rows = 37
	for _, n := range []int{1, 15, 16, 17, 100, 384, 1000} {
		s := uniform(r, rows*n)
		for i := range s {
			s[i] *= 20
		}
		var want []float32
		eachISA(t, func(t *testing.T) {
			got := make([]float32, rows*n)
			Softmax(ptr(got), ptr(s), rows, n, false)
			if want == nil {
				want = got
			}
			sameBits(t, fmt.Sprint("n ", n), got, want)
			for i := range rows {
				sum := 0.0
				for _, p := range got[i*n : (i+1)*n] {
					sum += float64(p)
				}
				if math.Abs(sum-1) > 1e-6 {
					t.Fatalf("n %d: row %d sums to %g", n, i, sum)
				}
			}
		})
	}
}

// Any pattern can be mixed: negative weights, zeros anywhere, rows of zeros.
func TestMixOfEditedPatterns(t *testing.T) {
	a := Attention{Batch: 2, Heads: 4, KVHeads: 2, QLen: 11, KLen: 70, HeadDim: 8, ValueDim: 40, Scale: 1, Causal: true}
	eachISA(t, func(t *testing.T) {
		l := newLayer(16, a)
		r := rand.New(rand.NewSource(17))
		for i := range l.pattern {
			if l.pattern[i] = r.Float32()*2 - 1; r.Intn(3) == 0 {
				l.pattern[i] = 0
			}
		}
		clear(l.pattern[5*70 : 7*70])
		want := make([]float64, len(l.z))
		for row := range 2 * 4 * 11 {
			i, h, b := row%11, row/11%4, row/44
			for j := range 70 {
				for e := range 40 {
					want[((b*11+i)*4+h)*40+e] += float64(l.pattern[row*70+j]) * float64(l.v[((b*70+j)*2+h/2)*40+e])
				}
			}
		}
		if err := l.RunMix(); err != nil {
			t.Fatal(err)
		}
		near(t, "z", l.z, want, 2e-6)
		for e := range 40 {
			if math.Float32bits(l.z[5*4*40+e]) != 0 {
				t.Fatalf("a row of zero weights gave %g", l.z[5*4*40+e])
			}
		}
	})
}

// With zeroMasked a row that sees nothing is all 0, and every other row is as without.
func TestSoftmaxZeroMasked(t *testing.T) {
	inf := float32(math.Inf(-1))
	eachISA(t, func(t *testing.T) {
		got := make([]float32, 3)
		Softmax(ptr(got), ptr([]float32{Masked, Masked, Masked}), 1, 3, true)
		sameBits(t, "nothing seen", got, []float32{0, 0, 0})
		Softmax(ptr(got), ptr([]float32{Masked, inf, Masked}), 1, 3, true)
		if got[0] != 0 || got[1] == got[1] || got[2] != 0 { // torch: NaN in the sum, then 0 where masked
			t.Errorf("-inf among masked gives %v", got)
		}
		s := []float32{Masked, 1, 2, Masked, -3}
		plain, zeroed := make([]float32, 5), make([]float32, 5)
		Softmax(ptr(plain), ptr(s), 1, 5, false)
		Softmax(ptr(zeroed), ptr(s), 1, 5, true)
		sameBits(t, "some seen", zeroed, plain)
	})
}
