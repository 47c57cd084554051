// Strided: elements copied one by one, whatever their strides: for tensors that leave the engine or enter it, not for
// what a run computes.
package tensor

import "unsafe"

// strided is elements in memory that somebody else keeps.
type strided struct {
	dtype          DType
	data           unsafe.Pointer
	shape, strides []int
}

func (t *Tensor) strided() strided { return strided{t.dtype, t.Pointer(), t.shape, t.strides} }

func (s strided) len() int {
	n := 1
	for _, d := range s.shape {
		n *= d
	}
	return n
}

// assign writes from's elements, of the same shape, into s. Types are the same, or both floating.
func (s strided) assign(from strided) {
	if s.len() == 0 {
		return
	}
	put := converter(s.dtype, from.dtype)
	row, step, fromStep := 1, 0, 0
	outer := len(s.shape)
	if outer > 0 {
		outer--
		row, step, fromStep = s.shape[outer], s.strides[outer], from.strides[outer]
	}
	at := make([]int, outer)
	for {
		to, of := 0, 0
		for i, n := range at {
			to += n * s.strides[i]
			of += n * from.strides[i]
		}
		for range row {
			put(unsafe.Add(s.data, to*s.dtype.Size()), unsafe.Add(from.data, of*from.dtype.Size()))
			to, of = to+step, of+fromStep
		}
		axis := outer - 1
		for ; axis >= 0; axis-- {
			if at[axis]++; at[axis] < s.shape[axis] {
				break
			}
			at[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}

// converter copies one element.
func converter(to, from DType) func(to, from unsafe.Pointer) {
	if to != from {
		read, write := reader(from), writer(to)
		return func(to, from unsafe.Pointer) { write(to, read(from)) }
	}
	switch to.Size() {
	case 8:
		return func(to, from unsafe.Pointer) { *(*uint64)(to) = *(*uint64)(from) }
	case 4:
		return func(to, from unsafe.Pointer) { *(*uint32)(to) = *(*uint32)(from) }
	case 2:
		return func(to, from unsafe.Pointer) { *(*uint16)(to) = *(*uint16)(from) }
	default:
		return func(to, from unsafe.Pointer) { *(*uint8)(to) = *(*uint8)(from) }
	}
}

func reader(dt DType) func(unsafe.Pointer) float64 {
	switch dt {
	case Float64:
		return func(p unsafe.Pointer) float64 { return *(*float64)(p) }
	case Float32:
		return func(p unsafe.Pointer) float64 { return float64(*(*float32)(p)) }
	default:
		return func(p unsafe.Pointer) float64 { return float64(widened(dt, *(*uint16)(p))) }
	}
}

func writer(dt DType) func(unsafe.Pointer, float64) {
	switch dt {
	case Float64:
		return func(p unsafe.Pointer, f float64) { *(*float64)(p) = f }
	case Float32:
		return func(p unsafe.Pointer, f float64) { *(*float32)(p) = float32(f) }
	default:
		return func(p unsafe.Pointer, f float64) { *(*uint16)(p) = narrowed(dt, float32(f)) }
	}
}
