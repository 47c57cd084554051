package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

type normCase struct {
	Norm
	x, w, b, y, normalized, scale []float32
}

func newNorm(seed int64, rows, n int, rms bool) *normCase {
	r := rand.New(rand.NewSource(seed))
	c := &normCase{x: uniform(r, rows*n), w: uniform(r, n), b: uniform(r, n)}
	for i := range c.x {
		c.x[i] = c.x[i]*3 + 2 // a mean that is not small
	}
	c.y, c.normalized, c.scale = make([]float32, rows*n), make([]float32, rows*n), make([]float32, rows)
	c.Norm = Norm{Rows: rows, N: n, RMS: rms, Eps: 1e-5, X: ptr(c.x), LDX: n, W: ptr(c.w), B: ptr(c.b),
		Y: ptr(c.y), Normalized: ptr(c.normalized), Scale: ptr(c.scale)}
	if rms {
		c.B = nil
	}
	return c
}

func (c *normCase) reference() (scale, normalized, y []float64) {
	n := c.N
	for i := range c.Rows {
		x := c.x[i*n : (i+1)*n]
		mean, sq := 0.0, 0.0
		if !c.RMS {
			for _, v := range x {
				mean += float64(v) / float64(n)
			}
		}
		for _, v := range x {
			sq += (float64(v) - mean) * (float64(v) - mean) / float64(n)
		}
		s := math.Sqrt(sq + float64(c.Eps))
		scale = append(scale, s)
		for k, v := range x {
			z := (float64(v) - mean) / s
			normalized = append(normalized, z)
			z *= float64(c.w[k])
			if c.B != nil {
				z += float64(c.b[k])
			}
			y = append(y, z)
		}
	}
	return scale, normalized, y
}

func TestNorm(t *testing.T) {
	for _, rms := range []bool{false, true} {
		for _, n := range []int{1, 5, 16, 64, 70, 576, 768, 1000} {
			var first []float32
			eachISA(t, func(t *testing.T) {
				what := fmt.Sprintf("rms %v n %d ", rms, n)
				c := newNorm(20, 9, n, rms)
				scale, normalized, y := c.reference()
				c.Run()
				near(t, what+"scale", c.scale, scale, 3e-7)
				near(t, what+"normalized", c.normalized, normalized, 5e-7)
				near(t, what+"y", c.y, y, 5e-7)
				if first == nil {
					first = c.y
				}
				sameBits(t, what+"variants", c.y, first)

				s := newNorm(20, 9, n, rms)
				s.RunScale()
				s.RunNormalize()
				s.RunAffine()
				sameBits(t, what+"scale alone", s.scale, c.scale)
				sameBits(t, what+"normalized alone", s.normalized, c.normalized)
				sameBits(t, what+"three steps", s.y, c.y)

				one := newNorm(20, 9, n, rms) // only y, only the last row
				one.Rows, one.X = 1, ptr(one.x[8*n:])
				one.Normalized, one.Scale = nil, nil
				one.Run()
				sameBits(t, what+"a row alone", one.y[:n], c.y[8*n:])

				inPlace := newNorm(20, 9, n, rms)
				inPlace.Y = inPlace.X
				inPlace.Run()
				sameBits(t, what+"in place", inPlace.x, c.y)
			})
		}
	}
}

func TestNormEditedScaleAndMissingParts(t *testing.T) {
	c := newNorm(21, 3, 40, false)
	c.RunScale()
	for i := range c.scale {
		c.scale[i] *= 2
	}
	c.RunNormalize()
	want := newNorm(21, 3, 40, false)
	want.W, want.B = nil, nil
	want.Run()
	for i := range want.y {
		want.y[i] /= 2
	}
	sameBits(t, "normalized with twice the scale", c.normalized, want.y)
	c.B = nil
	c.RunAffine()
	for i, v := range c.normalized {
		if c.y[i] != v*c.w[i%40] {
			t.Fatalf("y %d is %g, want %g", i, c.y[i], v*c.w[i%40])
		}
	}
}
