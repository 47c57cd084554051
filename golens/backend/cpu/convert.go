// Convert: between floating dtypes, and copies of tensors with strides. Rounding is to nearest, ties to even.
package cpu

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// convert: contiguous or strided source, contiguous destination of another floating dtype. The source may be blocks.
func convert(k *op.ConvertKernel) error { return convertTo(k.Out, k.X) }

// convertTo fills dst, which is contiguous, with the values of src, rounded to its dtype. Between float64 and 16 bits
// the way is through float32, as in torch.
func convertTo(dst, src *tensor.Tensor) error {
	if dst.Len() != src.Len() || !dst.Contiguous() || !(src.DType().Floating() || src.DType().Blocked()) || !dst.DType().Floating() {
		return fmt.Errorf("cpu: convert %s %v to %s %v", src.DType(), src.Shape(), dst.DType(), dst.Shape())
	}
	src, err := inRows(src)
	if err != nil {
		return err
	}
	defer src.Release()
	n := src.Len()
	switch from, to := src.DType(), dst.DType(); {
	case from == to:
		copy(dst.Bytes(), src.Bytes())
	case from == tensor.Float64 && to == tensor.Float32:
		for i, v := range src.Float64s() {
			dst.Float32s()[i] = float32(v)
		}
	case from == tensor.Float32 && to == tensor.Float64:
		for i, v := range src.Float32s() {
			dst.Float64s()[i] = float64(v)
		}
	case to == tensor.Float32:
		kernels.Widen(forms[from], dst.Pointer(), src.Pointer(), n)
	case from == tensor.Float32:
		kernels.Narrow(forms[to], dst.Pointer(), src.Pointer(), n)
	default:
		between, err := scratchLike(src)
		if err != nil {
			return err
		}
		defer between.Release()
		if err := convertTo(between, src); err != nil {
			return err
		}
		return convertTo(dst, between)
	}
	return nil
}

// inRows is the tensor itself, or a contiguous copy. The caller releases it.
func inRows(t *tensor.Tensor) (*tensor.Tensor, error) {
	if t.Contiguous() {
		return t.Retain(), nil
	}
	own, err := tensor.New(t.DType(), t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := copyTo(own, t); err != nil {
		own.Release()
		return nil, err
	}
	return own, nil
}

// Copy implements backend.Backend.
func (CPU) Copy(dst, src *tensor.Tensor) error { return copyTo(dst, src) }

func copyTo(dst, src *tensor.Tensor) error {
	if dst.DType() != src.DType() || !slices.Equal(dst.Shape(), src.Shape()) {
		return fmt.Errorf("cpu: copy of %s %v to %s %v", src.DType(), src.Shape(), dst.DType(), dst.Shape())
	}
	if dst.Contiguous() && src.Contiguous() {
		copy(dst.Bytes(), src.Bytes())
		return nil
	}
	if src.DType().Blocked() {
		return copyBlocks(dst, src)
	}
	switch src.DType().Size() {
	case 1:
		copyElements[uint8](dst, src)
	case 2:
		copyElements[uint16](dst, src)
	case 4:
		return kernels.CopyStrided(dst.Pointer(), wide(dst.Strides()), src.Pointer(), wide(src.Strides()), wide(src.Shape()))
	case 8:
		copyElements[uint64](dst, src)
	default:
		return fmt.Errorf("cpu: copy of %s", src.DType())
	}
	return nil
}

// copyElements copies between tensors of one shape that are not both contiguous, axis by axis.
func copyElements[T uint8 | uint16 | uint64](dst, src *tensor.Tensor) {
	if dst.Len() > 0 {
		copyAxes((*T)(dst.Pointer()), (*T)(src.Pointer()), src.Shape(), dst.Strides(), src.Strides())
	}
}

func copyAxes[T uint8 | uint16 | uint64](dst, src *T, shape, to, from []int) {
	if len(shape) == 1 && to[0] == 1 && from[0] == 1 {
		copy(unsafe.Slice(dst, shape[0]), unsafe.Slice(src, shape[0]))
		return
	}
	for i := range shape[0] {
		d := (*T)(unsafe.Add(unsafe.Pointer(dst), i*to[0]*int(unsafe.Sizeof(*dst))))
		s := (*T)(unsafe.Add(unsafe.Pointer(src), i*from[0]*int(unsafe.Sizeof(*src))))
		if len(shape) == 1 {
			*d = *s
		} else {
			copyAxes(d, s, shape[1:], to[1:], from[1:])
		}
	}
}

// copyBlocks copies between tensors of blocks, which have to lie along the same axis in both: its rows are copied whole.
func copyBlocks(dst, src *tensor.Tensor) error {
	dt, shape, to, from := src.DType(), src.Shape(), dst.Strides(), src.Strides()
	if src.Len() == 0 {
		return nil
	}
	length, _ := dt.Block()
	along := -1
	for i, n := range shape {
		if n%length == 0 && to[i] == 1 && from[i] == 1 {
			along = i
		}
	}
	if along < 0 {
		return fmt.Errorf("cpu: copy of blocks of %s along another axis: %v with strides %v and %v", dt, shape, from, to)
	}
	run := dt.Bytes(shape[along])
	for row := range src.Len() / shape[along] {
		d, s := 0, 0
		for i := len(shape) - 1; i >= 0; i-- {
			if i != along {
				at := row % shape[i]
				row /= shape[i]
				d, s = d+at*to[i], s+at*from[i]
			}
		}
		copy(unsafe.Slice((*byte)(unsafe.Add(dst.Pointer(), dt.Bytes(d))), run), unsafe.Slice((*byte)(unsafe.Add(src.Pointer(), dt.Bytes(s))), run))
	}
	return nil
}

// gatherBytes copies the rows of a table that ids name; one row of ids serves every batch row.
func gatherBytes(table, ids, out *tensor.Tensor) {
	width, step := table.DType().Bytes(out.Dim(-1)), table.DType().Bytes(table.Strides()[0])
	rows := unsafe.Slice((*byte)(table.Pointer()), (table.Dim(0)-1)*step+width)
	for to := out.Bytes(); len(to) > 0; {
		for _, id := range ids.Int64s() {
			copy(to[:width], rows[int(id)*step:])
			to = to[width:]
		}
	}
}

func wide(s []int) []int64 {
	w := make([]int64, len(s))
	for i, n := range s {
		w[i] = int64(n)
	}
	return w
}
