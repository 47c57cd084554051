package tensor

import (
	"errors"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gorgonia "gorgonia.org/tensor"
)

func float32s(t testing.TB, n int, shape ...int) *Tensor {
	t.Helper()
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i)
	}
	x, err := FromFloat32s(values, shape...)
	return released(t, x, err)
}

// released releases a tensor when the test is over.
func released(t testing.TB, x *Tensor, err error) *Tensor {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Release)
	return x
}

func view(t testing.TB, x *Tensor, offset int, shape, strides []int) *Tensor {
	t.Helper()
	v, err := x.View(shape, strides, offset)
	return released(t, v, err)
}

// number is the element at some coordinates, of t and of d.
func number(t testing.TB, x *Tensor, d *gorgonia.Dense, at []int) (ours, theirs float32) {
	t.Helper()
	place := 0
	for i, n := range at {
		place += n * x.strides[i]
	}
	value, err := d.At(at...)
	if err != nil {
		t.Fatal(err)
	}
	return view(t, x, place, []int{1}, nil).Float32s()[0], value.(float32)
}

// each calls f with all coordinates of a shape.
func each(shape []int, f func(at []int)) {
	at := make([]int, len(shape))
	for n := range size(shape) {
		for i := len(shape) - 1; i >= 0; i-- {
			at[i], n = n%shape[i], n/shape[i]
		}
		f(at)
	}
}

func size(shape []int) int { n, _ := elements(shape); return n }

// collected runs Go's collector until a condition holds.
func collected(done func() bool) bool {
	for range 200 {
		runtime.GC()
		if done() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// denses has a test that makes Denses leave none to be let go of while the next one counts.
func denses(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if !collected(func() bool { return heldBytes.Load() == 0 }) {
			t.Errorf("%d bytes are held by Denses that nobody has", heldBytes.Load())
		}
	})
}

func TestDenseSharesMemory(t *testing.T) {
	denses(t)
	for _, c := range []struct {
		what           string
		shape, strides []int
	}{
		{"row-major", []int{2, 3, 4}, nil},
		{"a vector", []int{24}, nil},
		{"transposed", []int{4, 6}, []int{1, 4}},
		{"axes in another order", []int{3, 4, 2}, []int{4, 1, 12}},
		{"a row", []int{1, 24}, []int{7, 1}},
		{"four axes", []int{2, 2, 3, 2}, []int{2, 1, 8, 4}},
	} {
		x := view(t, float32s(t, 24, 24), 0, c.shape, c.strides)
		d, err := x.Dense()
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if !reflect.DeepEqual([]int(d.Shape()), c.shape) {
			t.Errorf("%s: shape %v, want %v", c.what, d.Shape(), c.shape)
		}
		each(c.shape, func(at []int) {
			if err := d.SetAt(float32(100), at...); err != nil {
				t.Fatal(c.what, err)
			}
			if ours, theirs := number(t, x, d, at); ours != 100 || theirs != 100 {
				t.Errorf("%s: %v is %v in the tensor and %v in the Dense after one was set", c.what, at, ours, theirs)
			}
			if err := d.SetAt(float32(slices.Max(at)), at...); err != nil {
				t.Fatal(c.what, err)
			}
		})
		back, err := FromDense(d)
		released(t, back, err)
		if shared := back.Pointer() == x.Pointer(); shared != x.Contiguous() {
			t.Errorf("%s: taken back, shared: %v", c.what, shared)
		}
		again, err := back.Dense()
		if err != nil {
			t.Fatal(err)
		}
		each(c.shape, func(at []int) {
			if _, got := number(t, back, again, at); got != float32(slices.Max(at)) {
				t.Errorf("%s: %v is %v after all", c.what, at, got)
			}
		})
	}
}

func TestDenseOfEveryType(t *testing.T) {
	denses(t)
	for dt, kind := range denseTypes {
		x, err := Zeros(dt, 2, 2)
		d, err := released(t, x, err).Dense()
		if err != nil || d.Dtype() != kind {
			t.Fatal(dt, d.Dtype(), err)
		}
		one := reflect.New(kind.Type).Elem()
		if dt == Bool {
			one.SetBool(true)
		} else {
			one = reflect.ValueOf(1).Convert(kind.Type)
		}
		if err := d.SetAt(one.Interface(), 1, 0); err != nil {
			t.Fatal(dt, err)
		}
		own, err := CopyDense(d)
		released(t, own, err)
		if own.Pointer() == x.Pointer() || own.dtype != dt || string(own.storage.Bytes()[:own.Len()*dt.Size()]) != string(x.storage.Bytes()[:x.Len()*dt.Size()]) {
			t.Errorf("%s: the copy is %v of %s", dt, own.storage.Bytes(), own.dtype)
		}
	}
}

func TestWhatGorgoniaHasNot(t *testing.T) {
	denses(t)
	wide := float32s(t, 12, 3, 4)
	half, err := New(BFloat16, 2)
	released(t, half, err)
	empty, err := New(Float32, 0, 3)
	released(t, empty, err)
	for what, x := range map[string]*Tensor{
		"columns": view(t, wide, 1, []int{3, 2}, []int{4, 1}), "bfloat16": half, "no elements": empty,
		"one value at many places": view(t, wide, 0, []int{3, 4}, []int{0, 1}),
	} {
		if _, err := x.Dense(); !errors.Is(err, ErrNotDense) {
			t.Errorf("%s: %v", what, err)
		}
	}
	d, shared, err := view(t, wide, 1, []int{3, 2}, []int{4, 1}).DenseOrCopy()
	if err != nil || shared || !reflect.DeepEqual(d.Data(), []float32{1, 2, 5, 6, 9, 10}) {
		t.Errorf("columns: %v, shared %v, %v", d, shared, err)
	}
	for _, d := range []*gorgonia.Dense{
		gorgonia.New(gorgonia.WithBacking([]complex64{1})),
		gorgonia.New(gorgonia.WithBacking([]float32{1, 2}, []bool{true, false})),
	} {
		if _, err := FromDense(d); !errors.Is(err, ErrNotDense) {
			t.Errorf("%v: %v", d, err)
		}
	}
}

func TestFromDenseOfGoMemory(t *testing.T) {
	denses(t)
	values := []float64{0, 1, 2, 3, 4, 5}
	plain := gorgonia.New(gorgonia.WithShape(2, 3), gorgonia.WithBacking(values))
	lazy := plain.ShallowClone()
	if err := lazy.T(); err != nil {
		t.Fatal(err)
	}
	columns, err := plain.Slice(nil, gorgonia.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		d    *gorgonia.Dense
		want []float64
	}{
		"plain": {plain, values}, "transposed": {lazy, []float64{0, 3, 1, 4, 2, 5}},
		"columns":      {columns.(*gorgonia.Dense), []float64{1, 2, 4, 5}},
		"column-major": {gorgonia.New(gorgonia.WithShape(2, 3), gorgonia.AsFortran([]float64{0, 1, 2, 3, 4, 5})), values},
		"one number":   {gorgonia.New(gorgonia.FromScalar(7.0)), []float64{7}},
	} {
		x, err := FromDense(c.d)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !reflect.DeepEqual(x.Float64s(), c.want) || !reflect.DeepEqual(x.Shape(), append([]int{}, c.d.Shape()...)) {
			t.Errorf("%s: %v of %v, want %v of %v", what, x.Float64s(), x.Shape(), c.want, c.d.Shape())
		}
		x.Release()
	}
	ints, err := FromDense(gorgonia.New(gorgonia.WithBacking([]int{3, -1})))
	if !reflect.DeepEqual(released(t, ints, err).Int64s(), []int64{3, -1}) {
		t.Errorf("int: %v, %v", ints, err)
	}
}

func TestTheDenseHoldsTheMemory(t *testing.T) {
	denses(t)
	before := Count().Storages
	x, err := FromFloat32s([]float32{0, 1, 2, 3, 4, 5}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	d, err := x.Dense()
	if err != nil {
		t.Fatal(err)
	}
	x.Release()
	part, err := d.Slice(gorgonia.S(1))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := gorgonia.Add(part, float32(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if got := part.Data(); !reflect.DeepEqual(got, []float32{3, 4, 5}) || !reflect.DeepEqual(sum.Data(), []float32{4, 5, 6}) {
		t.Errorf("the view is %v, one more %v", got, sum.Data())
	}
	own, err := FromDense(sum.(*gorgonia.Dense))
	if err != nil || !reflect.DeepEqual(own.Float32s(), []float32{4, 5, 6}) {
		t.Errorf("what was computed: %v, %v", own, err)
	}
	own.Release()
	runtime.KeepAlive(part)
	if !collected(func() bool { return Count().Storages == before }) {
		t.Errorf("%d storages are left", Count().Storages-before)
	}
}

func TestManyDensesDoNotPileUp(t *testing.T) {
	denses(t)
	most := int64(0)
	for range 200 {
		x, err := New(Float32, 8<<20)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Dense(); err != nil {
			t.Fatal(err)
		}
		x.Release()
		most = max(most, heldBytes.Load())
	}
	if most > 6*collectEvery {
		t.Errorf("%d MB were held of 200 times 32 MB that nobody has", most>>20)
	}
	EmptyPool()
}

func TestGorgoniaComputesOnIt(t *testing.T) {
	denses(t)
	x := float32s(t, 6, 2, 3)
	turned := view(t, x, 0, []int{3, 2}, []int{1, 3})
	a, err := x.Dense()
	if err != nil {
		t.Fatal(err)
	}
	b, err := turned.Dense()
	if err != nil {
		t.Fatal(err)
	}
	product, err := gorgonia.MatMul(a, b)
	if err != nil || !reflect.DeepEqual(product.Data(), []float32{5, 14, 14, 50}) {
		t.Errorf("x times its transpose: %v, %v", product, err)
	}
	if _, err := gorgonia.Mul(a, float32(2), gorgonia.UseUnsafe()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(x.Float32s(), []float32{0, 2, 4, 6, 8, 10}) {
		t.Errorf("doubled in place: %v", x.Float32s())
	}
	sum, err := gorgonia.Sum(b, 0)
	if err != nil || !reflect.DeepEqual(sum.Data(), []float32{6, 24}) {
		t.Errorf("sums: %v, %v", sum, err)
	}
	if b.Zero(); !reflect.DeepEqual(x.Float32s(), make([]float32, 6)) {
		t.Errorf("cleared: %v", x.Float32s())
	}
}

func TestSixteenBits(t *testing.T) {
	for _, dt := range []DType{Float16, BFloat16} {
		for bits := range 1 << 16 {
			wide := widened(dt, uint16(bits))
			if math.IsNaN(float64(wide)) {
				if back := widened(dt, narrowed(dt, wide)); !math.IsNaN(float64(back)) {
					t.Fatalf("%s %#x: NaN becomes %v", dt, bits, back)
				}
			} else if back := narrowed(dt, wide); back != uint16(bits) {
				t.Fatalf("%s %#x is %v and back %#x", dt, bits, wide, back)
			}
		}
	}
	for _, c := range []struct {
		dt   DType
		f    float32
		want float32
	}{
		{Float16, 1.0004883, 1}, {Float16, 1.0014648, 1.0019531}, {Float16, 65519.996, 65504}, {Float16, 65520, float32(math.Inf(1))},
		{Float16, -6e-8, -5.9604645e-08}, {Float16, 2.9802322e-08, 0}, {Float16, 6.102e-5, 6.1035156e-05}, {Float16, 1e30, float32(math.Inf(1))},
		{BFloat16, 1.00390625, 1}, {BFloat16, 1.01171875, 1.015625}, {BFloat16, 3.4e38, float32(math.Inf(1))}, {BFloat16, -1.0078125, -1.0078125},
	} {
		if got := widened(c.dt, narrowed(c.dt, c.f)); got != c.want {
			t.Errorf("%s: %v becomes %v, want %v", c.dt, c.f, got, c.want)
		}
	}
}

func TestSetDense(t *testing.T) {
	denses(t)
	x, err := New(BFloat16, 2, 2)
	released(t, x, err)
	turned := view(t, x, 0, []int{2, 2}, []int{1, 2})
	if err := turned.SetDense(gorgonia.New(gorgonia.WithShape(2, 2), gorgonia.WithBacking([]float64{1, 2, 3, 4.001}))); err != nil {
		t.Fatal(err)
	}
	d, err := x.DenseCopy()
	if err != nil || !reflect.DeepEqual(d.Data(), []float32{1, 3, 2, 4}) {
		t.Errorf("%v, %v", d, err)
	}
	if err := x.SetDense(gorgonia.New(gorgonia.WithBacking([]float32{1}))); !errors.Is(err, ErrShape) {
		t.Errorf("another shape: %v", err)
	}
	if err := x.SetDense(gorgonia.New(gorgonia.WithShape(2, 2), gorgonia.WithBacking([]int64{1, 2, 3, 4}))); !errors.Is(err, ErrNotDense) || !strings.Contains(err.Error(), "int64") {
		t.Errorf("int64: %v", err)
	}
}
