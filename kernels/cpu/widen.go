package cpu

// #include "kernels.h"
// #cgo noescape tlg_widen
// #cgo nocallback tlg_widen
// #cgo noescape tlg_narrow
// #cgo nocallback tlg_narrow
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
