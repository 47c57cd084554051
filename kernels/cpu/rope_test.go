package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

func TestRope(t *testing.T) {
	const batch, pos, heads = 2, 5, 3
	for _, c := range []struct {
		dim, rotary int
		adjacent    bool
	}{{64, 64, false}, {64, 16, false}, {20, 20, false}, {80, 32, true}, {6, 2, true}, {40, 38, false}} {
		r := rand.New(rand.NewSource(30))
		n := batch * pos * heads * c.dim
		x := uniform(r, n)
		cos, sin := uniform(r, batch*pos*c.rotary), uniform(r, batch*pos*c.rotary)
		want := append([]float32(nil), x...)
		for v := range batch * pos * heads {
			row := x[v*c.dim : (v+1)*c.dim]
			tab := v / heads * c.rotary
			for i := range c.rotary {
				pair, sign := i+c.rotary/2, float32(-1)
				if i >= c.rotary/2 {
					pair, sign = i-c.rotary/2, 1
				}
				if c.adjacent {
					pair, sign = i^1, float32(i%2*2-1)
				}
				a, b := row[i]*cos[tab+i], sign*row[pair]*sin[tab+i]
				want[v*c.dim+i] = a + b
			}
		}
		eachISA(t, func(t *testing.T) {
			y := make([]float32, n)
			rows := func(s []float32) Rows {
				return Rows{Data: ptr(s), Batch: pos * heads * c.dim, Pos: heads * c.dim, Head: c.dim}
			}
			rope := Rope{Batch: batch, Pos: pos, Heads: heads, Dim: c.dim, Rotary: c.rotary, Adjacent: c.adjacent,
				X: rows(x), Y: rows(y), Cos: ptr(cos), Sin: ptr(sin), TableBatch: pos * c.rotary, TablePos: c.rotary}
			rope.Run()
			sameBits(t, fmt.Sprint(c), y, want)
			copy(y, x)
			rope.X = rope.Y
			rope.Run()
			sameBits(t, fmt.Sprint(c, " in place"), y, want)
		})
	}
}

func TestRopeTable(t *testing.T) {
	freq := []float32{1, .31622776, .1, .0031622776}
	positions := []int64{0, 1, 7, 511, 131071}
	for _, adjacent := range []bool{false, true} {
		divisor := float32(1)
		if adjacent {
			divisor = 2.3
		}
		cos, sin := make([]float32, 5*8), make([]float32, 5*8)
		RopeTable(ptr(cos), ptr(sin), freq, positions, divisor, 1.5, adjacent)
		for i, p := range positions {
			for k, f := range freq {
				angle := float64(float32(float32(p)/divisor) * f)
				a, b := k, k+4
				if adjacent {
					a, b = 2*k, 2*k+1
				}
				wc, ws := float32(math.Cos(angle))*1.5, float32(math.Sin(angle))*1.5
				for _, j := range []int{a, b} {
					if cos[i*8+j] != wc || sin[i*8+j] != ws {
						t.Fatalf("position %d frequency %g: %g, %g, want %g, %g", p, f, cos[i*8+j], sin[i*8+j], wc, ws)
					}
				}
			}
		}
	}
}
