package cpu

// #include "kernels.h"
// #cgo noescape tlg_widen
// #cgo nocallback tlg_widen
// #cgo noescape tlg_narrow
// #cgo nocallback tlg_narrow
// #cgo noescape tlg_widen_rows
// #cgo nocallback tlg_widen_rows
// #cgo noescape tlg_narrow_rows
// #cgo nocallback tlg_narrow_rows
import "C"

import "unsafe"

// Form is how the numbers of a matrix are stored.
type Form int

// The forms. Q8_0 and Q4_1 are GGUF's blocks of 32 values along a row: rows are whole blocks, and whatever counts
// elements of them (leading dimensions, columns) is a multiple of 32.
const (
	Float32  Form = C.TLG_F32
	BFloat16 Form = C.TLG_BF16
	Float16  Form = C.TLG_F16
	Q8_0     Form = C.TLG_Q8_0
	Q4_1     Form = C.TLG_Q4_1
)

// Widen converts n values to float32: exactly, and those of blocks as golens/checkpoint does. NaNs stay NaN.
func Widen(from Form, dst, src unsafe.Pointer, n int) {
	C.tlg_widen(C.int(from), C.long(n), src, (*C.float)(dst))
}

// Narrow converts n float32 values to the nearest of 16 bits, ties to even; NaNs stay NaN.
func Narrow(to Form, dst, src unsafe.Pointer, n int) {
	C.tlg_narrow(C.int(to), C.long(n), (*C.float)(src), (*C.uint16_t)(dst))
}

// WidenRows is Widen for a matrix whose rows lie ldDst and ldSrc apart.
func WidenRows(from Form, rows, cols int, dst unsafe.Pointer, ldDst int, src unsafe.Pointer, ldSrc int) {
	C.tlg_widen_rows(C.int(from), C.long(rows), C.long(cols), src, C.long(ldSrc), (*C.float)(dst), C.long(ldDst))
}

// NarrowRows is Narrow for a matrix whose rows lie ldDst and ldSrc apart.
func NarrowRows(to Form, rows, cols int, dst unsafe.Pointer, ldDst int, src unsafe.Pointer, ldSrc int) {
	C.tlg_narrow_rows(C.int(to), C.long(rows), C.long(cols), (*C.float)(src), C.long(ldSrc), (*C.uint16_t)(dst), C.long(ldDst))
}
