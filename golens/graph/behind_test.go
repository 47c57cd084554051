// Tests of values that are read behind the fusion which would compute past them.
package graph_test

import (
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// TestReadBehindAFusion: a hook point behind a fusion that shows a value from inside it is never skipped.
func TestReadBehindAFusion(t *testing.T) {
	for _, c := range []struct {
		name, keep, hook string
		adds             bool // the hook adds another one at the point behind
		fused            bool
	}{
		{"nobody looks", "", "", false, true},
		{"kept", "late", "", false, false},
		{"called", "", "late", false, false},
		{"called in front", "", "in", false, true}, // what it adds is planned for anew
		{"called in front, adds", "", "in", true, false},
		{"called between", "", "out", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := residual(t)
			r.point("late", r.value("mid"), false)
			fired := 0
			count := func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { fired++; return nil, nil }
			if c.hook != "" {
				r.add(c.hook, func(v *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
					if c.adds {
						r.add("late", count)
					}
					return count(v, p)
				})
			}
			var keep []string
			if c.keep != "" {
				keep = []string{c.keep}
			}
			a := r.run(r.question(r.tensor([]float32{1, 2}, 2), []string{"sum"}, keep...))
			if len(a.Kept) != len(keep) {
				t.Errorf("%d values kept, want %d", len(a.Kept), len(keep))
			}
			want := 0
			if c.hook != "" {
				want = 1
			}
			if c.adds {
				want = 2
			}
			if fired != want {
				t.Errorf("hooks fired %d times, want %d", fired, want)
			}
			if fused := slices.Contains(r.ran, "both"); fused != c.fused {
				t.Errorf("fused: %v, want %v", fused, c.fused)
			}
		})
	}
}
