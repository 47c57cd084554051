package cpu

// #include "kernels.h"
// #cgo noescape tlg_solu
// #cgo nocallback tlg_solu
import "C"

import "unsafe"

// SoLU computes y = x · softmax(x) for each row of x [rows, n], contiguous as y, which must not be x.
func SoLU(y, x unsafe.Pointer, rows, n int) {
	C.tlg_solu(C.long(rows), C.long(n), (*C.float)(x), (*C.float)(y))
}
