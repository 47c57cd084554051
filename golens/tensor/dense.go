// Dense: gorgonia's tensors over our storage, for Go programs that use gorgonia.org/tensor.
package tensor

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	gorgonia "gorgonia.org/tensor"
)

// ErrNotDense is wrapped where a gorgonia Dense and a tensor cannot be one memory: gorgonia has no 16-bit floats and no
// blocks, and what it calls a view reaches all that lies between its first element and its last.
var ErrNotDense = errors.New("tensor: gorgonia has no Dense of that form")

var denseTypes = map[DType]gorgonia.Dtype{
	Float32: gorgonia.Float32, Float64: gorgonia.Float64, Int64: gorgonia.Int64,
	Int32: gorgonia.Int32, Uint8: gorgonia.Uint8, Bool: gorgonia.Bool,
}

// Dense is a gorgonia Dense over t's memory: what is written to one is in the other. It needs no release, and may
// outlive t: the memory is held for as long as the program holds the Dense, a view of it (Slice, ShallowClone), or what
// gorgonia computed from it, and let go when Go's collector finds none of them. ErrNotDense where the two cannot share:
// t's elements have to fill the memory from first to last, in any order of axes, and be of a type that gorgonia has.
func (t *Tensor) Dense() (*gorgonia.Dense, error) {
	kind, ok := denseTypes[t.dtype]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotDense, t.dtype)
	}
	if t.Len() == 0 {
		return nil, fmt.Errorf("%w: shape %v has no elements", ErrNotDense, t.shape)
	}
	order := byStride(t)
	shape := make([]int, len(order))
	for i, axis := range order {
		shape[i] = t.shape[axis]
	}
	if t.Contiguous() { // the strides of axes of length 1 say nothing
		order, shape = nil, t.shape
	} else if !permuted(t, order) {
		return nil, fmt.Errorf("%w: shape %v with strides %v", ErrNotDense, t.shape, t.strides)
	}
	bytes := uintptr(t.Len() * t.dtype.Size())
	d := gorgonia.New(gorgonia.WithShape(shape...), gorgonia.Of(kind),
		gorgonia.FromMemory(uintptr(t.Pointer()), bytes), gorgonia.WithEngine(holding(&t.storage)))
	if order == nil {
		return d, nil
	}
	axes := make([]int, len(order))
	for i, axis := range order {
		axes[axis] = i
	}
	if err := d.T(axes...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotDense, err)
	}
	return d, nil
}

// byStride is the axes with the longest strides first.
func byStride(t *Tensor) []int {
	order := make([]int, len(t.shape))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return t.strides[b] - t.strides[a] })
	return order
}

// permuted reports whether t's elements fill its memory when its axes are put in that order.
func permuted(t *Tensor, order []int) bool {
	want := 1
	for _, axis := range slices.Backward(order) {
		if t.shape[axis] != 1 && t.strides[axis] != want {
			return false
		}
		want *= t.shape[axis]
	}
	return true
}

// engine computes as gorgonia's own, and holds the storage under a Dense: views and results of a Dense have its engine.
type engine struct {
	gorgonia.StdEng
	storage *Storage
}

// heldBytes are in storages that only Go's collector can let go of; collectedAt is what they were when it last ran for
// their sake.
var heldBytes, collectedAt atomic.Int64

// collectEvery is how many more bytes may be held before Go's collector runs: it knows nothing of their size.
const collectEvery = 256 << 20

func holding(s *Storage) *engine {
	s = &Storage{s.Retain().c} // not the tensor that has it
	e := &engine{storage: s}
	bytes := int64(s.Len())
	runtime.AddCleanup(e, func(s *Storage) {
		s.Release()
		heldBytes.Add(-bytes)
	}, s)
	held, before := heldBytes.Add(bytes), collectedAt.Load()
	if held < before {
		collectedAt.CompareAndSwap(before, held)
	} else if held > before+collectEvery && collectedAt.CompareAndSwap(before, held) {
		runtime.GC()
	}
	return e
}

// DenseCopy is a copy of t in memory of Go's: of any strides; 16-bit floats become float32, which is exact.
func (t *Tensor) DenseCopy() (*gorgonia.Dense, error) {
	dt := t.dtype
	if dt == Float16 || dt == BFloat16 {
		dt = Float32
	}
	kind, ok := denseTypes[dt]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotDense, t.dtype)
	}
	if t.Len() == 0 {
		return nil, fmt.Errorf("%w: shape %v has no elements", ErrNotDense, t.shape)
	}
	d := gorgonia.New(gorgonia.WithShape(t.shape...), gorgonia.Of(kind))
	to := strided{dt, unsafe.Pointer(unsafe.SliceData(d.Raw)), t.shape, RowMajor(t.shape)}
	to.assign(t.strided())
	runtime.KeepAlive(d)
	return d, nil
}

// DenseOrCopy is Dense where that can be, else DenseCopy; shared says which.
func (t *Tensor) DenseOrCopy() (d *gorgonia.Dense, shared bool, err error) {
	d, err = t.Dense()
	if errors.Is(err, ErrNotDense) {
		d, err = t.DenseCopy()
		return d, false, err
	}
	return d, err == nil, err
}

// FromDense is a tensor of a Dense's elements. Where it is a contiguous one over the engine's memory (Dense), the two
// share; else they are copied.
func FromDense(d *gorgonia.Dense) (*Tensor, error) {
	from, err := ofDense(d)
	if err != nil {
		return nil, err
	}
	e, ok := d.Engine().(*engine)
	if !ok || !slices.Equal(from.strides, RowMajor(from.shape)) {
		return copied(d, from)
	}
	offset, bytes := uintptr(from.data)-uintptr(e.storage.c.data), from.len()*from.dtype.Size()
	if offset > uintptr(e.storage.Len()) || int(offset)+bytes > e.storage.Len() { // computed by it, into memory of Go's
		return copied(d, from)
	}
	defer runtime.KeepAlive(d)
	return FromStorage(e.storage, int(offset), from.dtype, from.shape, nil)
}

// CopyDense is FromDense, into memory of its own in any case.
func CopyDense(d *gorgonia.Dense) (*Tensor, error) {
	from, err := ofDense(d)
	if err != nil {
		return nil, err
	}
	return copied(d, from)
}

func copied(d *gorgonia.Dense, from strided) (*Tensor, error) {
	t, err := New(from.dtype, from.shape...)
	if err != nil {
		return nil, err
	}
	t.strided().assign(from)
	runtime.KeepAlive(d)
	return t, nil
}

// SetDense writes the elements of a Dense of t's shape into t. Floats become those of t's type, as a conversion rounds
// them; other types have to be t's own.
func (t *Tensor) SetDense(d *gorgonia.Dense) error {
	from, err := ofDense(d)
	if err != nil {
		return err
	}
	if !slices.Equal(from.shape, t.shape) {
		return fmt.Errorf("%w: a Dense of shape %v for a tensor of %v", ErrShape, from.shape, t.shape)
	}
	if from.dtype != t.dtype && (t.dtype.Blocked() || !from.dtype.Floating() || !t.dtype.Floating()) {
		return fmt.Errorf("%w: a Dense of %s for a tensor of %s", ErrNotDense, from.dtype, t.dtype)
	}
	t.strided().assign(from)
	runtime.KeepAlive(d)
	return nil
}

// ofDense says how a Dense's elements lie. It has to be kept alive meanwhile.
func ofDense(d *gorgonia.Dense) (strided, error) {
	if d.IsMasked() && len(d.Mask()) > 0 {
		return strided{}, fmt.Errorf("%w: it has a mask; fill what is masked first", ErrNotDense)
	}
	dt, ok := typeOfDense(d.Dtype())
	if !ok {
		return strided{}, fmt.Errorf("%w: elements of %v; float32, float64, int64, int, int32, uint8 and bool can be taken over", ErrNotDense, d.Dtype())
	}
	s := strided{dtype: dt, data: unsafe.Pointer(unsafe.SliceData(d.Raw)), shape: slices.Clone([]int(d.Shape()))}
	if len(s.shape) > MaxDims {
		return strided{}, fmt.Errorf("%w: %d dimensions, at most %d", ErrShape, len(s.shape), MaxDims)
	}
	if s.strides = slices.Clone(d.Strides()); len(s.strides) != len(s.shape) {
		s.strides = RowMajor(s.shape)
	}
	return s, nil
}

func typeOfDense(kind gorgonia.Dtype) (DType, bool) {
	if kind.Kind() == reflect.Int && unsafe.Sizeof(0) == 8 {
		return Int64, true
	}
	for dt, k := range denseTypes {
		if k == kind {
			return dt, true
		}
	}
	return 0, false
}
