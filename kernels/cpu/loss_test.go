package cpu

import (
	"math"
	"math/rand"
	"testing"
)

func TestCrossEntropy(t *testing.T) {
	r := rand.New(rand.NewSource(60))
	for _, n := range []int{1, 2, 15, 50, 1000, 50257} {
		const rows = 3
		x := uniform(r, rows*n)
		targets := make([]int64, rows)
		want := make([]float64, rows)
		for i := range rows {
			row := x[i*n : (i+1)*n]
			most, sum := math.Inf(-1), 0.0
			for j := range row {
				row[j] *= 12
				most = math.Max(most, float64(row[j]))
			}
			for _, v := range row {
				sum += math.Exp(float64(v) - most)
			}
			targets[i] = int64(r.Intn(n))
			want[i] = most + math.Log(sum) - float64(row[targets[i]])
		}
		eachISA(t, func(t *testing.T) {
			loss := make([]float32, rows)
			CrossEntropy(ptr(loss), ptr(x), n, ptr(targets), rows, n)
			for i := range loss {
				if math.Abs(float64(loss[i])-want[i]) > 2e-7*math.Max(1, want[i]) {
					t.Errorf("n %d row %d: %g, want %g", n, i, loss[i], want[i])
				}
			}
		})
	}
}

func TestCrossEntropySpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	x := []float32{0, -inf, 1, 0, float32(nan()), 1, 0, inf, 1, -inf, 0, 0}
	targets := []int64{1, 0, 0, 1}
	loss := make([]float32, 4)
	CrossEntropy(ptr(loss), ptr(x), 3, ptr(targets), 4, 3)
	sameBits(t, "loss", loss, []float32{inf, float32(nan()), float32(nan()), float32(math.Ln2)})
}
