// Kernels that are plain Go loops, because nothing that is waited for uses them.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// values are the elements of a contiguous tensor of that type.
func values[T float32 | float64](t *tensor.Tensor) []T {
	return unsafe.Slice((*T)(t.Pointer()), t.Len())
}

// sumHeads adds the heads of [batch, pos, head, d_model] in order, then the bias.
func sumHeads[T float32 | float64](k *op.SumHeadsKernel) error {
	x, out := k.X, values[T](k.Out)
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
		if k.Bias != nil {
			for i, v := range values[T](k.Bias) {
				row[i] += v
			}
		}
	}
	return nil
}

// mean sums in float64.
func mean[T float32 | float64](k *op.MeanKernel) error {
	sum := 0.0
	for _, v := range values[T](k.X) {
		sum += float64(v)
	}
	values[T](k.Out)[0] = T(sum / float64(k.Count))
	return nil
}

// dropPairs zeroes the losses of pairs that are not kept; nil: all are.
func dropPairs[T float32 | float64](losses []T, kept *tensor.Tensor) {
	if kept == nil {
		return
	}
	for i, is := range kept.Uint8s() {
		if is == 0 {
			losses[i] = 0
		}
	}
}

// take copies rows of each sequence, whatever they hold.
func take(k *op.TakeKernel) error {
	x, at, out := k.X, k.At, k.Out
	if x.DType() != out.DType() || !x.Contiguous() {
		return fmt.Errorf("cpu: take of %s with strides %v to %s", x.DType(), x.Strides(), out.DType())
	}
	width, n := x.DType().Bytes(x.Dim(2)), at.Dim(1)
	from, to, positions := x.Bytes(), out.Bytes(), at.Int64s()
	for row := range x.Dim(0) {
		here := positions[:n]
		if at.Dim(0) > 1 {
			here = positions[row*n : (row+1)*n]
		}
		for _, p := range here {
			copy(to[:width], from[(row*x.Dim(1)+int(p))*width:])
			to = to[width:]
		}
	}
	return nil
}
