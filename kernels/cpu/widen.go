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

// Half names a floating-point format of 16 bits.
type Half int

// The formats of 16 bits.
const (
	BFloat16 Half = C.TLG_BF16
	Float16  Half = C.TLG_F16
)

// Widen converts n values to float32, exactly. NaNs stay NaN.
func Widen(from Half, dst, src unsafe.Pointer, n int) {
	C.tlg_widen(C.int(from), C.long(n), (*C.uint16_t)(src), (*C.float)(dst))
}

// Narrow converts n float32 values to the nearest of 16 bits, ties to even; NaNs stay NaN.
func Narrow(to Half, dst, src unsafe.Pointer, n int) {
	C.tlg_narrow(C.int(to), C.long(n), (*C.float)(src), (*C.uint16_t)(dst))
}

// WidenRows is Widen for a matrix whose rows lie ldDst and ldSrc apart.
func WidenRows(from Half, rows, cols int, dst unsafe.Pointer, ldDst int, src unsafe.Pointer, ldSrc int) {
	C.tlg_widen_rows(C.int(from), C.long(rows), C.long(cols), (*C.uint16_t)(src), C.long(ldSrc), (*C.float)(dst), C.long(ldDst))
}

// NarrowRows is Narrow for a matrix whose rows lie ldDst and ldSrc apart.
func NarrowRows(to Half, rows, cols int, dst unsafe.Pointer, ldDst int, src unsafe.Pointer, ldSrc int) {
	C.tlg_narrow_rows(C.int(to), C.long(rows), C.long(cols), (*C.float)(src), C.long(ldSrc), (*C.uint16_t)(dst), C.long(ldDst))
}
