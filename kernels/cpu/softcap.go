package cpu

// #include "kernels.h"
// #cgo noescape tlg_softcap
// #cgo nocallback tlg_softcap
import "C"

import "unsafe"

// SoftCap computes y[i] = limit · tanh(x[i] / limit) for n elements; y may be x.
func SoftCap(y, x unsafe.Pointer, limit float32, n int) {
	C.tlg_softcap(C.long(n), C.float(limit), (*C.float)(x), (*C.float)(y))
}
