// Tensor: a strided view over a Storage.
package tensor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// MaxDims is the largest number of dimensions of a tensor.
const MaxDims = 8

// ErrShape is wrapped by every error about shapes, strides and bounds.
var ErrShape = errors.New("tensor: bad shape")

// Tensor is a dtype, a shape and strides (counted in elements) over a Storage, of which it holds one reference.
// It is counted, as its storage is: whoever holds a reference may Retain and Release from any goroutine.
type Tensor struct {
	dtype          DType
	shape, strides []int
	storage        Storage
	offset         int              // bytes
	refs           atomic.Int32     // beyond the first
	dims           [2 * fewDims]int // where shape and strides lie if they are short: runs make many tensors
}

const fewDims = 4

// lay gives a new tensor its shape and strides; nil strides are row-major.
func (t *Tensor) lay(shape, strides []int) {
	n := len(shape)
	dims := t.dims[:]
	if n > fewDims {
		dims = make([]int, 2*n)
	}
	t.shape, t.strides = dims[:n:n], dims[n:2*n:2*n]
	copy(t.shape, shape)
	if strides == nil {
		rowMajor(t.strides, shape)
	} else {
		copy(t.strides, strides)
	}
}

// New makes an uninitialised contiguous tensor.
func New(dt DType, shape ...int) (*Tensor, error) {
	n, err := elements(shape)
	if err == nil && n > 0 && dt.Blocked() {
		err = checkBlocks(dt, shape, RowMajor(shape))
	}
	if err != nil {
		return nil, err
	}
	t := &Tensor{dtype: dt}
	if t.storage, err = take(dt.Bytes(n)); err != nil {
		return nil, err
	}
	t.lay(shape, nil)
	return t, nil
}

// Zeros makes a contiguous tensor of zeros.
func Zeros(dt DType, shape ...int) (*Tensor, error) {
	t, err := New(dt, shape...)
	if err == nil {
		clear(t.storage.Bytes())
	}
	return t, err
}

// FromFloat32s copies values into a new tensor of that shape.
func FromFloat32s(values []float32, shape ...int) (*Tensor, error) {
	t, err := New(Float32, shape...)
	if err != nil {
		return nil, err
	}
	if len(values) != t.Len() {
		t.Release()
		return nil, fmt.Errorf("%w: %d values for shape %v", ErrShape, len(values), shape)
	}
	copy(t.Float32s(), values)
	return t, nil
}

// FromInt64s copies values into a new tensor of that shape.
func FromInt64s(values []int64, shape ...int) (*Tensor, error) {
	t, err := New(Int64, shape...)
	if err != nil {
		return nil, err
	}
	if len(values) != t.Len() {
		t.Release()
		return nil, fmt.Errorf("%w: %d values for shape %v", ErrShape, len(values), shape)
	}
	copy(t.Int64s(), values)
	return t, nil
}

// FromStorage makes a view over part of s and retains s. nil strides mean contiguous.
func FromStorage(s *Storage, byteOffset int, dt DType, shape, strides []int) (*Tensor, error) {
	if strides == nil {
		strides = RowMajor(shape)
	}
	if err := checkBounds(s.Len(), byteOffset, dt, shape, strides); err != nil {
		return nil, err
	}
	t := &Tensor{dtype: dt, storage: *s.Retain(), offset: byteOffset}
	t.lay(shape, strides)
	return t, nil
}

func checkBounds(bytes, byteOffset int, dt DType, shape, strides []int) error {
	if _, err := elements(shape); err != nil {
		return err
	}
	if len(strides) != len(shape) {
		return fmt.Errorf("%w: %d strides for %d dimensions", ErrShape, len(strides), len(shape))
	}
	last := 0
	for i, n := range shape {
		if n == 0 {
			return nil
		}
		if strides[i] < 0 {
			return fmt.Errorf("%w: negative stride %d", ErrShape, strides[i])
		}
		last += (n - 1) * strides[i]
	}
	if err := checkBlocks(dt, shape, strides); err != nil {
		return err
	}
	if need := byteOffset + dt.Bytes(last+1); byteOffset < 0 || need > bytes {
		return fmt.Errorf("%w: shape %v strides %v at byte %d needs %d bytes, the storage has %d", ErrShape, shape, strides, byteOffset, need, bytes)
	}
	return nil
}

// checkBlocks: one axis of a blocked tensor is dense and whole blocks, and what the others count lies whole blocks apart.
func checkBlocks(dt DType, shape, strides []int) error {
	length, _ := dt.Block()
	if length == 1 {
		return nil
	}
	along := 0
	for i, n := range shape {
		switch {
		case strides[i] == 1 && n%length == 0:
			along++
		case n > 1 && strides[i]%length != 0:
			return fmt.Errorf("%w: %s has blocks of %d, which shape %v strides %v would take apart", ErrShape, dt, length, shape, strides)
		}
	}
	if along != 1 {
		return fmt.Errorf("%w: %s has blocks of %d along one axis, which shape %v strides %v does not have", ErrShape, dt, length, shape, strides)
	}
	return nil
}

// DType is the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape is the size of each dimension; it must not be changed.
func (t *Tensor) Shape() []int { return t.shape }

// Strides are counted in elements; they must not be changed.
func (t *Tensor) Strides() []int { return t.strides }

// Dim is the size of dimension i; negative i counts from the end.
func (t *Tensor) Dim(i int) int {
	if i < 0 {
		i += len(t.shape)
	}
	return t.shape[i]
}

// Len is the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// Contiguous reports whether the elements lie in row-major order without gaps.
func (t *Tensor) Contiguous() bool {
	want := 1
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.strides[i] != want {
			return false
		}
		want *= t.shape[i]
	}
	return true
}

// Pointer is the address of the first element.
func (t *Tensor) Pointer() unsafe.Pointer { return unsafe.Add(t.storage.c.data, t.offset) }

// Storage is the memory below; the tensor keeps its reference.
func (t *Tensor) Storage() *Storage { return &t.storage }

// Float32s are the elements of a contiguous float32 tensor, shared with it.
func (t *Tensor) Float32s() []float32 {
	if t.dtype != Float32 || !t.Contiguous() {
		return nil
	}
	return unsafe.Slice((*float32)(t.Pointer()), t.Len())
}

// Float64s are the elements of a contiguous float64 tensor, shared with it.
func (t *Tensor) Float64s() []float64 {
	if t.dtype != Float64 || !t.Contiguous() {
		return nil
	}
	return unsafe.Slice((*float64)(t.Pointer()), t.Len())
}

// Uint16s are the bits of a contiguous float16 or bfloat16 tensor, shared with it.
func (t *Tensor) Uint16s() []uint16 {
	if (t.dtype != Float16 && t.dtype != BFloat16) || !t.Contiguous() {
		return nil
	}
	return unsafe.Slice((*uint16)(t.Pointer()), t.Len())
}

// Int64s are the elements of a contiguous int64 tensor, shared with it.
func (t *Tensor) Int64s() []int64 {
	if t.dtype != Int64 || !t.Contiguous() {
		return nil
	}
	return unsafe.Slice((*int64)(t.Pointer()), t.Len())
}

// Uint8s are the elements of a contiguous uint8 tensor, shared with it.
func (t *Tensor) Uint8s() []uint8 {
	if t.dtype != Uint8 || !t.Contiguous() {
		return nil
	}
	return unsafe.Slice((*uint8)(t.Pointer()), t.Len())
}

// Bytes is the memory of a contiguous tensor of any dtype, shared with it.
func (t *Tensor) Bytes() []byte {
	if !t.Contiguous() {
		return nil
	}
	return unsafe.Slice((*byte)(t.Pointer()), t.dtype.Bytes(t.Len()))
}

// View is another tensor over the same storage, its first element elemOffset elements behind t's: the first of a block,
// where t has blocks.
func (t *Tensor) View(shape, strides []int, elemOffset int) (*Tensor, error) {
	if length, _ := t.dtype.Block(); elemOffset%length != 0 {
		return nil, fmt.Errorf("%w: a view that begins within a block: element %d of %s, which has blocks of %d", ErrShape, elemOffset, t.dtype, length)
	}
	return FromStorage(&t.storage, t.offset+t.dtype.Bytes(elemOffset), t.dtype, shape, strides)
}

// Reshape is a contiguous tensor's view with another shape of as many elements.
func (t *Tensor) Reshape(shape ...int) (*Tensor, error) {
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	if n != t.Len() || !t.Contiguous() {
		return nil, fmt.Errorf("%w: %v cannot be viewed as %v", ErrShape, t.shape, shape)
	}
	return t.View(shape, nil, 0)
}

// Clone copies a contiguous tensor into memory of its own.
func (t *Tensor) Clone() (*Tensor, error) {
	if !t.Contiguous() {
		return nil, fmt.Errorf("%w: clone of a tensor with strides %v", ErrShape, t.strides)
	}
	c, err := New(t.dtype, t.shape...)
	if err != nil {
		return nil, err
	}
	c.CopyFrom(t)
	return c, nil
}

// CopyFrom writes the elements of a tensor of the same dtype and length into t; both are contiguous.
func (t *Tensor) CopyFrom(from *Tensor) {
	copy(t.Bytes(), from.Bytes())
}

// Shared reports whether anybody but the caller can see the memory: another reference, a view, another language.
func (t *Tensor) Shared() bool {
	return t.refs.Load() > 0 || t.storage.Refs() > 1 || t.storage.Lent()
}

// Retain adds a reference and returns the tensor.
func (t *Tensor) Retain() *Tensor {
	t.refs.Add(1)
	return t
}

// Release drops a reference; the last one releases the storage.
func (t *Tensor) Release() {
	if t == nil {
		return
	}
	if t.refs.Add(-1) == -1 {
		t.storage.Release()
	}
}

// RowMajor is the strides of a contiguous tensor of that shape.
func RowMajor(shape []int) []int {
	s := make([]int, len(shape))
	rowMajor(s, shape)
	return s
}

func rowMajor(strides, shape []int) {
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= shape[i]
	}
}

func elements(shape []int) (int, error) {
	if len(shape) > MaxDims {
		return 0, fmt.Errorf("%w: %d dimensions, at most %d", ErrShape, len(shape), MaxDims)
	}
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("%w: negative size in %v", ErrShape, shape)
		}
		if d != 0 && n > (1<<48)/d {
			return 0, fmt.Errorf("%w: %v has too many elements", ErrShape, shape)
		}
		n *= d
	}
	return n, nil
}
