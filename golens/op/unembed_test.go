// Tests of positions that are wanted, and of what is told of operations before they run.
package op_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestTake(t *testing.T) {
	b := newBench(t)
	x := b.normal(2, 5, 3)
	for _, c := range []struct {
		at   []int64
		rows int
	}{{[]int64{4, 0, 4}, 1}, {[]int64{1, 2, 3, 0, 0, 4}, 2}} {
		b.near(b.run(&op.Take{}, x, b.ids(c.at, c.rows, 3)), []int{2, 3, 3}, 0, func(i []int) float64 {
			return at(x, i[0], int(c.at[i[0]%c.rows*3+i[1]]), i[2])
		})
	}
	all, err := forward(&op.Take{}, x, nil)
	if err != nil || all[0].Pointer() != x.Pointer() {
		t.Errorf("all positions were copied, %v", err)
	}
	all[0].Release()
	for _, bad := range []int64{-1, 5} {
		if _, err := forward(&op.Take{}, x, b.ids([]int64{bad}, 1, 1)); !errors.Is(err, op.ErrIndex) {
			t.Errorf("position %d: error %v", bad, err)
		}
	}
	if _, err := forward(&op.Take{}, x, b.ids([]int64{1, 2, 3}, 3, 1)); !errors.Is(err, op.ErrShape) {
		t.Errorf("positions of another batch: error %v", err)
	}
}

// TestUnembedIsItsSteps, bit for bit, in every dtype and for few positions and many.
func TestUnembedIsItsSteps(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16, tensor.Float16} {
		for _, limit := range []float64{0, 1.5} {
			b := newBench(t)
			as := b.as(dt)
			x, w, bias := as(b.normal(2, 70, 24)), as(b.transposed(24, 61)), as(b.normal(61))
			for _, positions := range []*tensor.Tensor{nil, b.ids([]int64{69}, 1, 1), b.ids([]int64{3, 68}, 2, 1), b.ids(make([]int64, 80), 1, 80)} {
				logits := b.run(&op.Linear{}, x, w, bias)
				if limit > 0 {
					logits = b.run(&op.SoftCap{Limit: limit}, logits)
				}
				want, got := b.run(&op.Take{}, logits, positions), b.run(&op.Unembed{SoftCap: limit}, x, w, bias, positions)
				if !slices.Equal(want.Shape(), got.Shape()) || !slices.Equal(floats(want), floats(got)) {
					t.Fatalf("%s, limit %g, at %v: not its steps", dt, limit, op.TypeOf(positions))
				}
			}
		}
	}
}

// TestInferTellsWhatRunMakes: dtypes and shapes.
func TestInferTellsWhatRunMakes(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16} {
		b := newBench(t)
		for _, c := range b.dtyped() {
			o, in := c.make(b.as(dt))
			types := make([]op.Type, len(in))
			for i, v := range in {
				types[i] = op.TypeOf(v)
			}
			told, err := o.Infer(types)
			if err != nil {
				t.Fatal(err)
			}
			for i, out := range b.runAll(o, in...) {
				if out.DType() != told[i].DType || !slices.Equal(out.Shape(), told[i].Shape) {
					t.Errorf("%s makes %s %v, told %s %v", c.name, out.DType(), out.Shape(), told[i].DType, told[i].Shape)
				}
			}
		}
	}
}

func TestExtendTakesRoomThatIsLent(t *testing.T) {
	b := newBench(t)
	past, added := b.normal(2, 3, 2, 4), b.normal(2, 2, 2, 4)
	room := b.normal(2, 8, 2, 4)
	if err := op.CopyBehind(cpu.CPU{}, room, 0, past); err != nil {
		t.Fatal(err)
	}
	front := b.own(room.View([]int{2, 5, 2, 4}, room.Strides(), 0))
	old := b.own(room.View([]int{2, 3, 2, 4}, room.Strides(), 0))
	for name, c := range map[string]struct {
		in    []*tensor.Tensor
		alias int
	}{
		"no past": {in(nil, nil, added), op.ExtendNew},
		"room":    {in(old, front, added), op.ExtendRoom},
		"frozen":  {in(past, nil, added), -1},
	} {
		types := make([]op.Type, len(c.in))
		for i, v := range c.in {
			types[i] = op.TypeOf(v)
		}
		if told := (&op.Extend{}).Alias(types); told[0] != c.alias {
			t.Errorf("%s: output is input %d, told %d", name, c.alias, told[0])
		}
		outs, err := forward(&op.Extend{}, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		all := b.own(outs[0], nil)
		if c.alias >= 0 && all.Pointer() != c.in[c.alias].Pointer() {
			t.Errorf("%s: memory of its own", name)
		}
		first := all.Dim(1) - 2
		b.near(all, all.Shape(), 0, func(i []int) float64 {
			if i[1] < first {
				return at(past, i...)
			}
			return at(added, i[0], i[1]-first, i[2], i[3])
		})
	}
	if _, err := forward(&op.Extend{}, old, old, added); !errors.Is(err, op.ErrShape) || !strings.Contains(err.Error(), "room for 5 positions") {
		t.Errorf("too little room: error %v", err)
	}
}

// counting is a backend that counts what products cost.
type counting struct {
	cpu.CPU
	operations int
}

func (c *counting) Gemm(g *backend.Gemm) error {
	c.operations += 2 * g.Out.Rows * g.Out.Cols * g.A.Cols
	return c.CPU.Gemm(g)
}

func TestProductsCostWhatTheyAreSaidTo(t *testing.T) {
	b := newBench(t)
	x, w, bias := b.normal(2, 5, 12), b.normal(12, 24), b.normal(24)
	heads, z := b.normal(2, 5, 4, 12), b.normal(2, 5, 4, 6)
	for _, c := range []struct {
		op op.Op
		in []*tensor.Tensor
	}{
		{&op.Linear{}, in(x, w, bias)},
		{&op.Linear{Heads: 4}, in(x, w, nil)},
		{&op.HeadLinear{Heads: 4}, in(heads, w, bias)},
		{&op.HeadResult{}, in(z, b.transposed(24, 12))},
		{&op.Unembed{}, in(x, w, bias, b.ids([]int64{2}, 1, 1))},
	} {
		counted := &counting{}
		out, err := op.Apply(counted, c.op, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		types := make([]op.Type, len(c.in))
		for i, v := range c.in {
			types[i] = op.TypeOf(v)
		}
		if told := op.CostOf(c.op, types, []op.Type{op.TypeOf(out[0])}); told.Operations != counted.operations {
			t.Errorf("%s: %d operations, told %d", c.op.Name(), counted.operations, told.Operations)
		}
		out[0].Release()
	}
}
