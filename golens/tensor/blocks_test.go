package tensor

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var blocked = []struct {
	dt            DType
	length, bytes int
}{{Q8_0, 32, 34}, {Q4_1, 32, 20}}

// counting fills a contiguous tensor's memory with bytes that say where they lie.
func counting(t *testing.T, dt DType, shape ...int) *Tensor {
	t.Helper()
	x, err := New(dt, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Release)
	for i := range x.Bytes() {
		x.Bytes()[i] = byte(i % 251)
	}
	return x
}

func TestBlocksAreCountedInBytes(t *testing.T) {
	for _, c := range blocked {
		if length, size := c.dt.Block(); length != c.length || size != c.bytes || !c.dt.Blocked() || c.dt.Size() != 0 {
			t.Errorf("%s: blocks of %d in %d bytes, an element in %d", c.dt, length, size, c.dt.Size())
		}
		x := counting(t, c.dt, 3, 2*c.length)
		if x.Len() != 6*c.length || len(x.Bytes()) != 6*c.bytes || x.Storage().Len() != 6*c.bytes || !x.Contiguous() {
			t.Errorf("%s: %d elements in %d bytes of %d", c.dt, x.Len(), len(x.Bytes()), x.Storage().Len())
		}
	}
	for dt := Float32; dt <= Bool; dt++ {
		if length, size := dt.Block(); length != 1 || size != dt.Size() || dt.Blocked() || dt.Bytes(7) != 7*size {
			t.Errorf("%s: blocks of %d in %d bytes", dt, length, size)
		}
	}
}

func TestBlocksAreViewedWhole(t *testing.T) {
	for _, c := range blocked {
		x := counting(t, c.dt, 6, 2*c.length)
		row := 2 * c.bytes
		for _, v := range []struct {
			what           string
			shape, strides []int
			offset, from   int
			bytes          int
		}{
			{"rows", []int{2, 2 * c.length}, nil, 6 * c.length, 3 * row, 2 * row},
			{"every other row", []int{3, 2 * c.length}, []int{4 * c.length, 1}, 0, 0, -1},
			{"the second half of rows", []int{6, c.length}, []int{2 * c.length, 1}, c.length, c.bytes, -1},
			{"heads", []int{2, 3, 2 * c.length}, nil, 0, 0, 6 * row},
			{"one block, an axis of 1 in front", []int{1, c.length}, []int{5, 1}, 2 * c.length, row, c.bytes},
			{"transposed", []int{2 * c.length, 6}, []int{1, 2 * c.length}, 0, 0, -1},
			{"columns of the transposed", []int{2 * c.length, 2}, []int{1, 2 * c.length}, 6 * c.length, 3 * row, -1},
			{"nothing", []int{0, c.length}, nil, 0, 0, 0},
		} {
			y, err := x.View(v.shape, v.strides, v.offset)
			if err != nil {
				t.Errorf("%s %s: %v", c.dt, v.what, err)
				continue
			}
			if got := uintptr(y.Pointer()) - uintptr(x.Pointer()); int(got) != v.from {
				t.Errorf("%s %s begins at byte %d, want %d", c.dt, v.what, got, v.from)
			}
			if v.bytes < 0 && (y.Contiguous() || y.Bytes() != nil) || v.bytes >= 0 && len(y.Bytes()) != v.bytes {
				t.Errorf("%s %s has %d contiguous bytes, want %d", c.dt, v.what, len(y.Bytes()), v.bytes)
			}
			y.Release()
		}
		flat, err := x.Reshape(12 * c.length)
		if err != nil {
			t.Fatal(err)
		}
		copied, err := flat.Clone()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(copied.Bytes(), x.Bytes()) || copied.DType() != c.dt {
			t.Errorf("%s: a clone differs", c.dt)
		}
		copied.Release()
		flat.Release()
	}
}

func TestBlocksAreNotTakenApart(t *testing.T) {
	for _, c := range blocked {
		x := counting(t, c.dt, 6, 2*c.length)
		refused := func(what string, y *Tensor, err error) {
			t.Helper()
			if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), c.dt.String()) && what != "too long" {
				t.Errorf("%s %s: %v", c.dt, what, err)
			}
			y.Release()
		}
		view := func(what string, shape, strides []int, offset int) {
			t.Helper()
			y, err := x.View(shape, strides, offset)
			refused(what, y, err)
		}
		view("every other value", []int{6, c.length}, []int{2 * c.length, 2}, 0)
		view("two dense axes", []int{c.length, c.length}, []int{1, 1}, 0)
		view("rows of the transposed", []int{c.length - 1, 6}, []int{1, 2 * c.length}, 0)
		view("half a block", []int{6, c.length / 2}, []int{2 * c.length, 1}, 0)
		view("from within a block", []int{c.length}, nil, 1)
		view("rows that begin within blocks", []int{2, c.length}, []int{c.length + 1, 1}, 0)
		view("a scalar", nil, nil, 0)
		view("too long", []int{13 * c.length}, nil, 0)
		y, err := New(c.dt, 4, c.length+1)
		refused("new, a block and one", y, err)
		y, err = Zeros(c.dt)
		refused("new, a scalar", y, err)
		y, err = x.Reshape(12*c.length/16, 16)
		refused("reshaped to half blocks", y, err)
	}
}

func TestBlocksStayInTheEngine(t *testing.T) {
	before := Count()
	for _, c := range blocked {
		x := counting(t, c.dt, 2, c.length)
		if h, err := x.Export(); h != 0 || err == nil || !strings.Contains(err.Error(), c.dt.String()) || !strings.Contains(err.Error(), "widen") {
			t.Errorf("%s was exported: %v", c.dt, err)
		}
		if _, err := x.Dense(); err == nil || !strings.Contains(err.Error(), c.dt.String()) {
			t.Errorf("%s became a Dense: %v", c.dt, err)
		}
		if dt, err := ParseDType(c.dt.String()); err == nil {
			t.Errorf("%s is a dtype that users may ask for", dt)
		}
		if c.dt.Floating() || x.Float32s() != nil || x.Uint16s() != nil {
			t.Errorf("%s counts as floating point", c.dt)
		}
	}
	if got := Count(); got.Handles != before.Handles || got.Exported != before.Exported {
		t.Errorf("leak: %+v, before %+v", got, before)
	}
}
