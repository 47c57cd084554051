// Tests of entries by themselves: growth, views that stay as they are, frozen and set ones.
package kvcache_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

const batch, heads, width = 2, 3, 4

func entry(t *testing.T) *kvcache.Entry {
	t.Helper()
	before := tensor.Count().Storages
	e, err := kvcache.NewEntry(cpu.CPU{}, tensor.Float32, batch, heads, width)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Release()
		if after := tensor.Count().Storages; after != before && !t.Failed() {
			t.Errorf("%d storages are left behind", after-before)
		}
	})
	return e
}

// filled are n positions whose numbers say which they are.
func filled(t *testing.T, n, from int) *tensor.Tensor {
	t.Helper()
	values := make([]float32, batch*n*heads*width)
	for i := range values {
		row, at := i/(n*heads*width), i/(heads*width)%n
		values[i] = float32(1000*row + from + at)
	}
	x, err := tensor.FromFloat32s(values, batch, n, heads, width)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// check demands positions 0, 1, 2, … in each row.
func check(t *testing.T, what string, x *tensor.Tensor, n int) {
	t.Helper()
	if !slices.Equal(x.Shape(), []int{batch, n, heads, width}) {
		t.Fatalf("%s has the shape %v, want %d positions", what, x.Shape(), n)
	}
	for row := range batch {
		for at := range n {
			one, err := x.View([]int{heads * width}, nil, row*x.Strides()[0]+at*x.Strides()[1])
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range one.Float32s() {
				if v != float32(1000*row+at) {
					t.Fatalf("%s: position %d of row %d holds %g", what, at, row, v)
				}
			}
			one.Release()
		}
	}
}

func add(t *testing.T, e *kvcache.Entry, n, from int) (keys, values *tensor.Tensor) {
	t.Helper()
	x := filled(t, n, from)
	defer x.Release()
	keys, values, err := e.Append(cpu.CPU{}, x, x)
	if err != nil {
		t.Fatal(err)
	}
	return keys, values
}

func TestAppendGrowsByDoubling(t *testing.T) {
	e := entry(t)
	places := map[uintptr]bool{}
	n := 0
	for range 100 {
		keys, values := add(t, e, 1, n)
		n++
		check(t, "all keys", keys, n)
		check(t, "all values", values, n)
		places[uintptr(keys.Pointer())] = true
		keys.Release()
		values.Release()
	}
	if len(places) != 4 { // 16, 32, 64, 128
		t.Errorf("100 positions were kept in %d places", len(places))
	}
}

// TestViewsNeverChange: neither appending nor writing to what came later changes a view that was handed out.
func TestViewsNeverChange(t *testing.T) {
	e := entry(t)
	keys, values := add(t, e, 5, 0)
	values.Release()
	old, err := e.Keys()
	if err != nil {
		t.Fatal(err)
	}
	later, values := add(t, e, 3, 5)
	values.Release()
	all, err := later.View([]int{batch * later.Strides()[0]}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	clear(all.Float32s())
	all.Release()
	check(t, "the view", old, 5)
	check(t, "the first result", keys, 5)
	for _, x := range []*tensor.Tensor{old, keys, later} {
		x.Release()
	}
}

func TestFrozenEntriesKeepWhatTheyHave(t *testing.T) {
	e := entry(t)
	for _, x := range slices.Concat([][2]*tensor.Tensor{pair(add(t, e, 4, 0))}) {
		x[0].Release()
		x[1].Release()
	}
	for range 3 {
		x := filled(t, 2, 4)
		keys, values, err := e.Extended(cpu.CPU{}, x, x)
		x.Release()
		if err != nil {
			t.Fatal(err)
		}
		check(t, "all keys", keys, 6)
		keys.Release()
		values.Release()
		if e.Len() != 4 {
			t.Fatalf("a frozen entry grew to %d", e.Len())
		}
	}
}

func pair(keys, values *tensor.Tensor) [2]*tensor.Tensor { return [2]*tensor.Tensor{keys, values} }

func TestSetAndCrop(t *testing.T) {
	e := entry(t)
	x := filled(t, 7, 0)
	if err := e.Set(x, x); err != nil {
		t.Fatal(err)
	}
	if err := e.Crop(5); err != nil {
		t.Fatal(err)
	}
	keys, values := add(t, e, 2, 5)
	check(t, "behind what was set", keys, 7)
	keys.Release()
	values.Release()
	check(t, "what was set", x, 7)
	if err := e.Crop(8); !errors.Is(err, kvcache.ErrMismatch) {
		t.Errorf("cut to more than there is: %v", err)
	}
	flat, err := x.Reshape(batch*7, heads*width)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(flat, nil); !errors.Is(err, kvcache.ErrMismatch) {
		t.Errorf("keys of another rank: %v", err)
	}
	if _, _, err := e.Append(cpu.CPU{}, flat, x); !errors.Is(err, kvcache.ErrMismatch) {
		t.Errorf("new keys of another rank: %v", err)
	}
	flat.Release()
	x.Release()
}

func TestAppendOfWhatDoesNotFit(t *testing.T) {
	e := entry(t)
	three, two := filled(t, 3, 0), filled(t, 2, 0)
	defer three.Release()
	defer two.Release()
	if _, _, err := e.Append(cpu.CPU{}, three, two); err == nil {
		t.Error("three keys and two values were taken")
	}
	if e.Len() != 0 {
		t.Errorf("%d positions were kept of what was refused", e.Len())
	}
	keys, values := add(t, e, 3, 0)
	check(t, "afterwards", keys, 3)
	keys.Release()
	values.Release()
}

// TestFaultM10AppendsBesideReadersAreKept: whether a use adds is its own to say, so that none is lost to another.
func TestFaultM10AppendsBesideReadersAreKept(t *testing.T) {
	e := entry(t)
	const appends = 200
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for range appends {
				x := filled(t, 1, 0)
				keys, values, err := e.Extended(cpu.CPU{}, x, x)
				x.Release()
				if err != nil {
					t.Error(err)
					return
				}
				keys.Release()
				values.Release()
			}
		})
	}
	for i := range appends {
		keys, values := add(t, e, 1, i)
		keys.Release()
		values.Release()
	}
	wait.Wait()
	if e.Len() != appends {
		t.Errorf("%d of %d appends are there", e.Len(), appends)
	}
}

// TestReleasedEntries: an entry whose memory is gone is an error.
func TestReleasedEntries(t *testing.T) {
	e := entry(t)
	e.Release()
	x := filled(t, 1, 0)
	defer x.Release()
	_, _, appended := e.Append(cpu.CPU{}, x, x)
	_, _, extended := e.Extended(cpu.CPU{}, x, x)
	for name, err := range map[string]error{"Append": appended, "Extended": extended, "Crop": e.Crop(0)} {
		if !errors.Is(err, kvcache.ErrMismatch) {
			t.Errorf("%s of a released entry: %v", name, err)
		}
	}
}

func TestACacheThatCannotFitIsRefused(t *testing.T) {
	want := kvcache.Shape{DType: tensor.Float32, Heads: 8, DHead: 64, Batch: 64, Layers: 3}
	c, err := kvcache.New(cpu.CPU{}, want)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	before := tensor.Count()
	c.FreezeLayer(2, true)
	const n = 1 << 26 // of two layers that grow
	_, err = c.Begin(cpu.CPU{}, want, 0, 3, n)
	if sum := fmt.Sprintf("(%d bytes)", int64(2*2*64*n*8*64*4)); !errors.Is(err, tensor.ErrOutOfMemory) || !strings.Contains(err.Error(), sum) {
		t.Errorf("%v, want an error that names %s", err, sum)
	}
	if now := tensor.Count(); now.Bytes != before.Bytes {
		t.Errorf("%d bytes were taken", now.Bytes-before.Bytes)
	}
	turn, err := c.Begin(cpu.CPU{}, want, 0, 3, 4)
	if err != nil {
		t.Fatal("after a refusal:", err)
	}
	turn.End(true)
	if c.Len() != 4 {
		t.Errorf("%d positions", c.Len())
	}
}
