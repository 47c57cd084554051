// Kernels that are plain Go loops, because nothing that is waited for uses them.
package cpu

import (
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// values are the elements of a contiguous tensor of that type.
func values[T float32 | float64](t *tensor.Tensor) []T {
	return unsafe.Slice((*T)(t.Pointer()), t.Len())
}

// sumHeads adds the heads of [batch, pos, head, d_model] in order, then the bias.
func sumHeads[T float32 | float64](a arguments) error {
	x, out := a.tensor(0), values[T](a.tensor(2))
	heads, d := x.Dim(2), x.Dim(3)
	from := values[T](x)
	for r := range x.Dim(0) * x.Dim(1) {
		row := out[r*d : (r+1)*d]
		clear(row)
		for h := range heads {
			for i, v := range from[(r*heads+h)*d : (r*heads+h+1)*d] {
				row[i] += v
			}
		}
		if b := a.tensor(1); b != nil {
			for i, v := range values[T](b) {
				row[i] += v
			}
		}
	}
	return nil
}
