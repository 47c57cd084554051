// Tests of what is told of operations before they run: the types of their outputs, which of them are inputs, and what
// they cost.
package op_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func typesOf(values []*tensor.Tensor) []op.Type {
	types := make([]op.Type, len(values))
	for i, v := range values {
		types[i] = op.TypeOf(v)
	}
	return types
}

// eachKind calls f with every operation that makes outputs, in every floating dtype.
func eachKind(t *testing.T, f func(b *bench, name string, o op.Op, in []*tensor.Tensor)) {
	t.Helper()
	for _, dt := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16, tensor.Float16} {
		b := newBench(t)
		as := b.as(dt)
		for _, c := range b.dtyped() {
			o, in := c.make(as)
			f(b, c.name+" of "+dt.String(), o, in)
		}
		freq := b.own(tensor.FromFloat32s([]float32{1, 0.25, 0.125}, 3))
		f(b, "rope table of "+dt.String(), &op.RopeTable{Scaling: 1}, in(b.ids([]int64{0, 1, 5, 2}, 2, 2), freq, as(b.normal(1))))
		if dt != tensor.Float64 { // there it is always taken in steps
			q, kv := as(b.normal(2, 3, 4, 6)), as(b.normal(2, 5, 2, 6))
			f(b, "attention of "+dt.String(), &op.Attention{AttentionShape: op.AttentionShape{Scale: 1}}, in(q, kv, kv, nil))
		}
	}
}

// TestRunFillsWhatInferTells: memory of the types that were told is written from end to end, whatever it held; and
// nothing is written beside it, of which the guarded backend would die.
func TestRunFillsWhatInferTells(t *testing.T) {
	eachKind(t, func(b *bench, name string, o op.Op, in []*tensor.Tensor) {
		want := b.runAll(o, in...)
		told, err := o.Infer(typesOf(in))
		if err != nil {
			t.Fatal(err)
		}
		out := make([]*tensor.Tensor, len(told))
		for i, k := range told {
			held := b.own(tensor.New(k.DType, k.Shape...))
			copy(held.Bytes(), bytes.Repeat([]byte{0xFF}, len(held.Bytes()))) // NaN throughout
			out[i] = b.own(backend.Clone(current, held))
		}
		placed := make([]*tensor.Tensor, len(in))
		for i, v := range in {
			placed[i] = b.place(v)
		}
		if err := o.Run(current, placed, out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range out {
			got := b.host(out[i])
			b.sameBits(name, got, want[i])
			size := got.DType().Size()
			for at := 0; at < len(got.Bytes()); at += size {
				if slices.Min(got.Bytes()[at:at+size]) == 0xFF {
					t.Errorf("%s: value %d is as it was", name, at/size)
				}
			}
		}
	})
}

func TestExtendTakesRoomThatIsLent(t *testing.T) {
	b := newBench(t)
	past, added, memory := b.normal(2, 3, 2, 4), b.normal(2, 2, 2, 4), b.normal(2, 8, 2, 4)
	room := b.own(backend.Clone(current, memory))
	before, behind := b.place(past), b.place(added)
	if err := op.CopyBehind(current, room, 0, before); err != nil {
		t.Fatal(err)
	}
	front := b.own(room.View([]int{2, 5, 2, 4}, room.Strides(), 0))
	old := b.own(room.View([]int{2, 3, 2, 4}, room.Strides(), 0))
	for name, c := range map[string]struct {
		in    []*tensor.Tensor
		alias int
	}{
		"no past": {in(nil, nil, behind), op.ExtendNew},
		"room":    {in(old, front, behind), op.ExtendRoom},
		"frozen":  {in(before, nil, behind), -1},
	} {
		if told := (&op.Extend{}).Alias(typesOf(c.in)); !slices.Equal(told, []int{c.alias}) {
			t.Errorf("%s: output is input %d, told %d", name, c.alias, told)
		}
		outs, err := op.Apply(current, &op.Extend{}, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		all := b.own(outs[0], nil)
		for i, v := range c.in {
			if (all == v) != (i == c.alias) {
				t.Errorf("%s: told that the output is input %d, is %d: %v", name, c.alias, i, all == v)
			}
		}
		first := all.Dim(1) - 2
		b.near(b.host(all), all.Shape(), 0, func(i []int) float64 {
			if i[1] < first {
				return at(past, i...)
			}
			return at(added, i[0], i[1]-first, i[2], i[3])
		})
	}
	kept := b.host(room)
	for _, i := range [][]int{{0, 5, 0, 0}, {1, 7, 1, 3}} {
		if at(kept, i...) != at(memory, i...) {
			t.Errorf("the room was written to at %v", i)
		}
	}
	if _, err := op.Apply(current, &op.Extend{}, old, old, behind); !errors.Is(err, op.ErrShape) || !strings.Contains(err.Error(), "room for 5 positions") {
		t.Errorf("too little room: error %v", err)
	}
}

// counting is a backend that counts what products cost, and bytes that are taken.
type counting struct {
	backend.Backend
	operations, bytes int
}

func (c *counting) Gemm(g *backend.Gemm) error {
	c.operations += 2 * g.Out.Rows * g.Out.Cols * g.A.Cols
	return c.Backend.Gemm(g)
}

func (c *counting) Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error) {
	c.bytes += dt.Bytes(op.Type{Shape: shape}.Len())
	return c.Backend.Alloc(dt, shape...)
}

// TestOperationsTakeTheScratchTheySay, and do the products.
func TestOperationsTakeTheScratchTheySay(t *testing.T) {
	products := 0
	eachKind(t, func(b *bench, name string, o op.Op, in []*tensor.Tensor) {
		placed := make([]*tensor.Tensor, len(in))
		for i, v := range in {
			placed[i] = b.place(v)
		}
		counted := &counting{Backend: current}
		out, err := op.Apply(counted, o, placed...)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out {
			counted.bytes -= len(b.host(b.own(v, nil)).Bytes())
		}
		told := op.CostOf(o, typesOf(in), typesOf(out))
		if told.Scratch != counted.bytes {
			t.Errorf("%s: takes %d bytes, told %d", name, counted.bytes, told.Scratch)
		}
		if counted.operations > 0 {
			products++
			if told.Operations != counted.operations {
				t.Errorf("%s: %d operations, told %d", name, counted.operations, told.Operations)
			}
		}
	})
	if products < 20 {
		t.Errorf("only %d products were counted", products)
	}
}
