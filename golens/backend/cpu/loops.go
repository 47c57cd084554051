// Kernels that are plain Go loops, because nothing that is waited for uses them.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// sumHeads adds the heads of [batch, pos, head, d_model] in order, then the bias.
func sumHeads(a arguments) error {
	x, out := a.tensor(0), a.tensor(2).Float32s()
	heads, d := x.Dim(2), x.Dim(3)
	values := x.Float32s()
	for r := range x.Dim(0) * x.Dim(1) {
		row := out[r*d : (r+1)*d]
		clear(row)
		for h := range heads {
			for i, v := range values[(r*heads+h)*d : (r*heads+h+1)*d] {
				row[i] += v
			}
		}
		if b := a.tensor(1); b != nil {
			for i, v := range b.Float32s() {
				row[i] += v
			}
		}
	}
	return nil
}

// copyStrided makes a strided float32 or int64 tensor contiguous.
func copyStrided(a arguments) error {
	src, dst := a.tensor(0), a.tensor(1)
	switch src.DType() {
	case tensor.Float32:
		return kernels.CopyStrided(dst.Pointer(), wide(dst.Strides()), src.Pointer(), wide(src.Strides()), wide(src.Shape()))
	case tensor.Int64:
		copyInts(dst.Int64s(), src)
		return nil
	}
	return fmt.Errorf("cpu: copy of %s", src.DType())
}

func copyInts(dst []int64, src *tensor.Tensor) {
	at := make([]int, len(src.Shape()))
	for i := range dst {
		offset := 0
		for d, n := range at {
			offset += n * src.Strides()[d]
		}
		one, err := src.View([]int{1}, nil, offset)
		if err != nil {
			return
		}
		dst[i] = one.Int64s()[0]
		one.Release()
		for d := len(at) - 1; d >= 0; d-- {
			at[d]++
			if at[d] < src.Dim(d) {
				break
			}
			at[d] = 0
		}
	}
}

// widen turns contiguous floats of another width into float32.
func widen(a arguments) error {
	src, dst := a.tensor(0), a.tensor(1)
	switch src.DType() {
	case tensor.BFloat16:
		kernels.Widen(kernels.BFloat16, dst.Pointer(), src.Pointer(), src.Len())
	case tensor.Float16:
		kernels.Widen(kernels.Float16, dst.Pointer(), src.Pointer(), src.Len())
	case tensor.Float64:
		for i, bits := range unsafe.Slice((*float64)(src.Pointer()), src.Len()) {
			dst.Float32s()[i] = float32(bits)
		}
	default:
		return fmt.Errorf("cpu: widen of %s", src.DType())
	}
	return nil
}

func wide(s []int) []int64 {
	w := make([]int64, len(s))
	for i, n := range s {
		w[i] = int64(n)
	}
	return w
}
