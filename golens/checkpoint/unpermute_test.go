package checkpoint

import (
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func TestUnpermuteQK(t *testing.T) {
	x, err := tensor.FromFloat32s([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 12)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	for heads, want := range map[int][]float32{
		1: {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11},
		2: {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11},
		6: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
	} {
		y, err := UnpermuteQK(x, heads)
		if err != nil {
			t.Fatal(err)
		}
		sameBits(t, "unpermuted", y.Float32s(), want)
		y.Release()
	}
	empty, _ := tensor.New(tensor.Float32, 12, 0)
	if y, err := UnpermuteQK(empty, 2); err != nil || y.Len() != 0 {
		t.Errorf("no columns: %v", err)
	}
	ints, _ := tensor.New(tensor.Int64, 12)
	scalar, _ := tensor.New(tensor.Float32)
	row, _ := tensor.New(tensor.Q4_1, 64)
	for what, err := range map[string]error{
		"no heads": second(UnpermuteQK(x, 0)), "odd rows": second(UnpermuteQK(x, 4)), "rows of no head": second(UnpermuteQK(x, 5)),
		"integers": second(UnpermuteQK(ints, 2)), "scalar": second(UnpermuteQK(scalar, 1)), "one row of blocks": second(UnpermuteQK(row, 2)),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// Rows of blocks come to lie where the rows of the widened tensor do, bit for bit.
func TestUnpermuteQKMovesBlocksWhole(t *testing.T) {
	g, err := OpenGGUF("testdata/quants.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for kind, dt := range map[Kind]tensor.DType{Q8_0: tensor.Q8_0, Q4_1: tensor.Q4_1} {
		raw, err := g.LoadRaw(kind.String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Release()
		const rows, heads, width = 12, 3, 128 // the same blocks as other rows
		q, err := raw.Reshape(rows, width)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Release()
		whole, err := tensor.FromFloat32s(load(t, g, kind.String()), rows, width)
		if err != nil {
			t.Fatal(err)
		}
		defer whole.Release()
		want, err := UnpermuteQK(whole, heads)
		if err != nil {
			t.Fatal(err)
		}
		defer want.Release()
		moved, err := UnpermuteQK(q, heads)
		if err != nil {
			t.Fatal(err)
		}
		defer moved.Release()
		if moved.DType() != dt {
			t.Errorf("%s became %s", dt, moved.DType())
		}
		got := make([]float32, rows*width)
		widen(kind, got, moved.Bytes())
		sameBits(t, kind.String(), got, want.Float32s())
	}
}
