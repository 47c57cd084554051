package cpu

import (
	"fmt"
	"math/rand"
	"testing"
)

func TestCopyStrided(t *testing.T) {
	cases := []struct{ shape, src, dst []int64 }{
		{[]int64{}, []int64{}, []int64{}},
		{[]int64{7}, []int64{1}, []int64{1}},
		{[]int64{7}, []int64{3}, []int64{2}},
		{[]int64{7}, []int64{0}, []int64{1}},
		{[]int64{5, 0, 3}, []int64{3, 3, 1}, []int64{3, 3, 1}},
		{[]int64{5, 7}, []int64{7, 1}, []int64{7, 1}},
		{[]int64{300, 333}, []int64{1, 300}, []int64{333, 1}},
		{[]int64{300, 333}, []int64{333, 1}, []int64{1, 300}},
		{[]int64{3, 4, 5}, []int64{0, 5, 1}, []int64{20, 5, 1}},
		{[]int64{3, 4, 5}, []int64{1, 0, 3}, []int64{20, 5, 1}},
		{[]int64{2, 9, 12, 64}, []int64{9 * 12 * 64, 64, 9 * 64, 1}, []int64{9 * 12 * 64, 12 * 64, 64, 1}},
		{[]int64{12, 768, 64}, []int64{64, 768, 1}, []int64{768 * 64, 64, 1}},
		{[]int64{2, 3, 1, 4, 5, 6}, []int64{360, 1, 9, 3, 12, 60}, []int64{360, 120, 120, 30, 6, 1}},
		{[]int64{4, 4, 4}, []int64{16, -4, 1}, []int64{16, 4, 1}},
	}
	r := rand.New(rand.NewSource(80))
	for _, c := range cases {
		n, least, most := int64(1), int64(0), int64(0)
		var far int64
		for d, s := range c.shape {
			n *= s
			far += (max(s, 1) - 1) * c.dst[d]
			if step := (max(s, 1) - 1) * c.src[d]; step < 0 {
				least += step
			} else {
				most += step
			}
		}
		src := uniform(r, int(most-least+1))
		got, want := make([]float32, far+1), make([]float32, far+1)
		for i := range n {
			from, to := -least, int64(0)
			for d, rest := len(c.shape)-1, i; d >= 0; d-- {
				from += rest % c.shape[d] * c.src[d]
				to += rest % c.shape[d] * c.dst[d]
				rest /= c.shape[d]
			}
			want[to] = src[from]
		}
		if err := CopyStrided(ptr(got), c.dst, ptr(src[-least:]), c.src, c.shape); err != nil {
			t.Fatal(err)
		}
		sameBits(t, fmt.Sprint(c), got, want)
	}
}

func TestCopyStridedRefusesTooManyAxes(t *testing.T) {
	x := make([]float32, 1)
	seven := []int64{1, 1, 1, 1, 1, 1, 1}
	if CopyStrided(ptr(x), seven, ptr(x), seven, seven) == nil {
		t.Error("seven axes were taken")
	}
	if CopyStrided(ptr(x), seven[:2], ptr(x), seven[:3], seven[:3]) == nil {
		t.Error("two strides for three axes were taken")
	}
}
