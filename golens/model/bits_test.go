// Tests that the same question has the same bits: watched or not, fused or not, alone or in a batch, padded or
// not, of any length, on any number of threads.
package model_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

func TestWatchingChangesNoBit(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 2, 13))
		in.Mask = integers(t, slices.Concat(slices.Repeat([]int64{0}, 4), slices.Repeat([]int64{1}, 22)), 2, 13)
		want := copied(run(t, m, in).Output)
		all := kept(m, func() *model.Result {
			in := *in
			in.Keep = everything
			return run(t, m, &in)
		}().Kept)
		check := func(what string, keep bitset.Set) {
			t.Helper()
			in := *in
			in.Keep = keep
			r := run(t, m, &in)
			sameBits(t, what, r.Output.Float32s(), want)
			for name, v := range kept(m, r.Kept) {
				if v.DType() == tensor.Float32 {
					sameBits(t, what+": "+name, v.Float32s(), all[name].Float32s())
				}
			}
		}
		check("everything kept", everything)
		check("every third kept", everyNth(3))
		check("scores kept", bitset.Of(point(t, m, "blocks.1.attn.hook_attn_scores")))
		called := 0
		for _, p := range m.Hooks.Points() {
			hookOn(t, m, p.Name, func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
				called++
				return nil, nil
			})
		}
		check("hooks everywhere", nil)
		if called != len(all) {
			t.Errorf("%d hooks were called, %d points can be kept", called, len(all))
		}
		check("hooks everywhere and everything kept", everything)
		t.Setenv(model.EnvPlan, "plain")
		check("plain, watched", everything)
		if _, err := m.Hooks.Clear(-1, hook.Both, hook.NoLevel, true); err != nil {
			t.Fatal(err)
		}
		check("plain", nil)
	})
}

func TestRowsStandAlone(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		const pos = 11
		whole := words(t, 40, pos)
		alone := make([][]float32, 40)
		for row := range alone {
			alone[row] = copied(run(t, m, asking(integers(t, whole.Int64s()[row*pos:(row+1)*pos], 1, pos))).Output)
		}
		for _, batch := range []int{2, 7, 40} {
			r := run(t, m, asking(integers(t, whole.Int64s()[:batch*pos], batch, pos)))
			for row := range batch {
				sameBits(t, fmt.Sprintf("row %d of %d", row, batch), rowOf(r.Output, row, 0), alone[row])
			}
		}
	})
}

func TestLeftPadding(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		const real = 12
		ids := words(t, 2, real)
		want := run(t, m, asking(ids)).Output
		for _, pads := range []int{0, 3, 37} {
			n := pads + real
			padded, mask := make([]int64, 2*n), make([]int64, 2*n)
			for row := range 2 {
				copy(padded[row*n+pads:], ids.Int64s()[row*real:(row+1)*real])
				copy(mask[row*n+pads:(row+1)*n], slices.Repeat([]int64{1}, real))
			}
			in := asking(integers(t, padded, 2, n))
			in.Mask = integers(t, mask, 2, n)
			got := run(t, m, in).Output
			for row := range 2 {
				sameBits(t, fmt.Sprintf("%d pads, row %d", pads, row), rowOf(got, row, pads), rowOf(want, row, 0))
			}
		}
	})
}

// TestRightPadding: masked tokens behind a sequence change nothing in it.
func TestRightPadding(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		ids := words(t, 1, 20)
		want := run(t, m, asking(integers(t, ids.Int64s()[:12], 1, 12))).Output
		in := asking(ids)
		in.Mask = integers(t, slices.Concat(slices.Repeat([]int64{1}, 12), slices.Repeat([]int64{0}, 8)), 1, 20)
		sameBits(t, "the sequence", rowOf(run(t, m, in).Output, 0, 0)[:12*vocab], want.Float32s())
	})
}

func TestLengths(t *testing.T) {
	lengths := []int{100, 383, 384}
	for n := 1; n <= 17; n++ {
		lengths = append(lengths, n)
	}
	each(t, func(t *testing.T, m *model.Model) {
		ids := words(t, 1, 385)
		want := run(t, m, asking(ids)).Output.Float32s()
		for _, n := range lengths {
			got := run(t, m, asking(integers(t, ids.Int64s()[:n], 1, n))).Output
			sameBits(t, fmt.Sprint(n, " tokens"), got.Float32s(), want[:n*vocab])
		}
	})
}

func TestThreads(t *testing.T) {
	was := kernels.Threads()
	defer kernels.SetThreads(was)
	each(t, func(t *testing.T, m *model.Model) {
		for _, shape := range [][2]int{{1, 1}, {1, 150}, {5, 64}} {
			in := asking(words(t, shape[0], shape[1]))
			in.Keep = bitset.Of(point(t, m, "blocks.1.hook_out"))
			kernels.SetThreads(1)
			one := run(t, m, in)
			for _, threads := range []int{2, 3} {
				kernels.SetThreads(threads)
				more := run(t, m, in)
				sameBits(t, fmt.Sprint("logits ", shape), more.Output.Float32s(), one.Output.Float32s())
				sameBits(t, fmt.Sprint("residuals ", shape), more.Kept[0].T.Float32s(), one.Kept[0].T.Float32s())
			}
		}
	})
}
