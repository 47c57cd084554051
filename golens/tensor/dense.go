// Dense: gorgonia's tensors over our storage, for Go programs that use gorgonia.org/tensor.
package tensor

import (
	"fmt"

	gorgonia "gorgonia.org/tensor"
)

// Dense is a gorgonia view of a contiguous tensor: the same memory, which t must keep alive while the view is used.
func (t *Tensor) Dense() (*gorgonia.Dense, error) {
	if !t.Contiguous() {
		return nil, fmt.Errorf("%w: a gorgonia Dense over strides %v", ErrShape, t.strides)
	}
	kinds := map[DType]gorgonia.Dtype{
		Float32: gorgonia.Float32, Float64: gorgonia.Float64, Int64: gorgonia.Int64,
		Int32: gorgonia.Int32, Uint8: gorgonia.Byte, Bool: gorgonia.Bool,
	}
	kind, ok := kinds[t.dtype]
	if !ok {
		return nil, fmt.Errorf("tensor: gorgonia has no %s", t.dtype)
	}
	return gorgonia.New(gorgonia.WithShape(t.shape...), gorgonia.Of(kind), gorgonia.FromMemory(uintptr(t.Pointer()), uintptr(t.dtype.Bytes(t.Len())))), nil
}

// FromDense copies a gorgonia Dense into a tensor of the engine.
func FromDense(d *gorgonia.Dense) (*Tensor, error) {
	if d.RequiresIterator() {
		d = d.Materialize().(*gorgonia.Dense)
	}
	switch values := d.Data().(type) {
	case []float32:
		return FromFloat32s(values, d.Shape()...)
	case []int64:
		return FromInt64s(values, d.Shape()...)
	}
	return nil, fmt.Errorf("tensor: a gorgonia Dense of %v cannot be taken over; float32 and int64 can", d.Dtype())
}
