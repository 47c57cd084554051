// Tests of copies and zeros: every dtype, blocks included, whatever the strides.
package cpu_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var dtypes = []tensor.DType{
	tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Int64, tensor.Int32, tensor.Uint8, tensor.Bool,
	tensor.Q8_0, tensor.Q4_1,
}

// layout is how elements of a storage are seen; shapes and strides count blocks along the last axis.
type layout struct {
	shape, strides []int
	first          int
}

// of is that layout for a dtype: blocks lie along the last axis, which is dense where there are any.
func (l layout) of(t *testing.T, v *tensor.Tensor) *tensor.Tensor {
	length, _ := v.DType().Block()
	shape, strides := slices.Clone(l.shape), slices.Clone(l.strides)
	last := len(shape) - 1
	shape[last] *= length
	for i := range strides[:last] {
		strides[i] *= length
	}
	return own(t)(v.View(shape, strides, l.first*length))
}

// at is where each element, or block, lies, in row-major order.
func (l layout) at() []int {
	var all []int
	n := 1
	for _, d := range l.shape {
		n *= d
	}
	for i := range n {
		at := l.first
		for axis := len(l.shape) - 1; axis >= 0; axis-- {
			at += i % l.shape[axis] * l.strides[axis]
			i /= l.shape[axis]
		}
		all = append(all, at)
	}
	return all
}

// numbered is a storage of that many units, each byte another one than its neighbours.
func numbered(t *testing.T, dt tensor.DType, units int) *tensor.Tensor {
	length, _ := dt.Block()
	v := own(t)(tensor.New(dt, units*length))
	for i := range v.Bytes() {
		v.Bytes()[i] = byte(i*7 + i/251)
	}
	return v
}

func TestCopy(t *testing.T) {
	const units = 120
	for _, dt := range dtypes {
		length, size := dt.Block()
		for name, c := range map[string]struct{ to, from layout }{
			"contiguous":        {layout{[]int{2, 5}, []int{5, 1}, 0}, layout{[]int{2, 5}, []int{5, 1}, 3}},
			"gaps":              {layout{[]int{3, 4}, []int{4, 1}, 0}, layout{[]int{3, 4}, []int{9, 1}, 2}},
			"into gaps":         {layout{[]int{3, 4}, []int{11, 1}, 5}, layout{[]int{3, 4}, []int{4, 1}, 0}},
			"gaps to gaps":      {layout{[]int{2, 2, 3}, []int{40, 8, 1}, 1}, layout{[]int{2, 2, 3}, []int{30, 7, 1}, 4}},
			"repeated":          {layout{[]int{2, 4, 3}, []int{12, 3, 1}, 0}, layout{[]int{2, 4, 3}, []int{6, 0, 1}, 0}},
			"exchanged axes":    {layout{[]int{3, 2, 4}, []int{8, 4, 1}, 0}, layout{[]int{3, 2, 4}, []int{4, 12, 1}, 0}},
			"nothing":           {layout{[]int{3, 0, 2}, []int{9, 4, 1}, 0}, layout{[]int{3, 0, 2}, []int{5, 2, 1}, 0}},
			"turned":            {layout{[]int{5, 3}, []int{3, 1}, 0}, layout{[]int{5, 3}, []int{1, 5}, 0}},
			"every third":       {layout{[]int{5}, []int{1}, 0}, layout{[]int{5}, []int{3}, 1}},
			"into every second": {layout{[]int{5}, []int{2}, 0}, layout{[]int{5}, []int{1}, 1}},
			"one, many times":   {layout{[]int{2, 3}, []int{3, 1}, 0}, layout{[]int{2, 3}, []int{0, 0}, 7}},
		} {
			last := len(c.to.shape) - 1
			if dt.Blocked() && (c.to.strides[last] != 1 || c.from.strides[last] != 1) {
				continue // there are no such views
			}
			from, to := numbered(t, dt, units), own(t)(tensor.New(dt, units*length))
			want := bytes.Repeat([]byte{0xEE}, units*size) // what is not written to stays
			copy(to.Bytes(), want)
			sources := c.from.at()
			for i, at := range c.to.at() {
				copy(want[at*size:(at+1)*size], from.Bytes()[sources[i]*size:])
			}
			if err := (cpu.CPU{}).Copy(c.to.of(t, to), c.from.of(t, from)); err != nil {
				t.Fatalf("%s of %s: %v", name, dt, err)
			}
			if !bytes.Equal(to.Bytes(), want) {
				t.Errorf("%s of %s: %x, want %x", name, dt, to.Bytes(), want)
			}
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	src := own(t)(tensor.New(tensor.Int64, 3))
	for name, to := range map[string]*tensor.Tensor{
		"dtype": own(t)(tensor.New(tensor.Float64, 3)), "shape": own(t)(tensor.New(tensor.Int64, 4)),
		"rank": own(t)(tensor.New(tensor.Int64, 1, 3)), "form of blocks": own(t)(tensor.New(tensor.Q8_0, 32)),
	} {
		if err := (cpu.CPU{}).Copy(to, src); err == nil {
			t.Errorf("a copy to another %s was made", name)
		}
	}
}

func TestZero(t *testing.T) {
	for _, dt := range dtypes {
		v := numbered(t, dt, 12)
		length, size := dt.Block()
		part := own(t)(v.View([]int{2, 2, length}, nil, 3*length))
		before := slices.Clone(v.Bytes())
		if err := (cpu.CPU{}).Zero(part); err != nil {
			t.Fatal(err)
		}
		clear(before[3*size : 7*size])
		if !bytes.Equal(v.Bytes(), before) {
			t.Errorf("%s: %x, want %x", dt, v.Bytes(), before)
		}
		gaps := own(t)(v.View([]int{2, length}, []int{3 * length, 1}, 0))
		if err := (cpu.CPU{}).Zero(gaps); err == nil {
			t.Errorf("%s: a tensor with gaps was filled", dt)
		}
	}
}

func TestPlaceIsTheTensorItself(t *testing.T) {
	v := numbered(t, tensor.Float32, 3)
	placed, err := (cpu.CPU{}).Place(v)
	if err != nil || placed != v || !v.Shared() {
		t.Errorf("%p, want %p held once more; %v", placed, v, err)
	}
	placed.Release()
	if err := (cpu.CPU{}).Sync(); err != nil {
		t.Error(err)
	}
}
