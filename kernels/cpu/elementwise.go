package cpu

// #include "kernels.h"
// #cgo noescape tlg_add
// #cgo nocallback tlg_add
// #cgo noescape tlg_mul
// #cgo nocallback tlg_mul
// #cgo noescape tlg_scale
// #cgo nocallback tlg_scale
// #cgo noescape tlg_add_rows
// #cgo nocallback tlg_add_rows
import "C"

import "unsafe"

// Add computes c[i] = a[i] + b[i] for n elements; c may be a or b.
func Add(c, a, b unsafe.Pointer, n int) {
	C.tlg_add(C.long(n), (*C.float)(a), (*C.float)(b), (*C.float)(c))
}

// Mul computes c[i] = a[i] · b[i] for n elements; c may be a or b.
func Mul(c, a, b unsafe.Pointer, n int) {
	C.tlg_mul(C.long(n), (*C.float)(a), (*C.float)(b), (*C.float)(c))
}

// Scale computes c[i] = s · a[i] for n elements; c may be a.
func Scale(c, a unsafe.Pointer, s float32, n int) {
	C.tlg_scale(C.long(n), C.float(s), (*C.float)(a), (*C.float)(c))
}

// AddRows adds row [n] to each row of a [rows, n], lda elements apart, into c, ldc apart; c may be a.
func AddRows(c unsafe.Pointer, ldc int, a unsafe.Pointer, lda int, row unsafe.Pointer, rows, n int) {
	C.tlg_add_rows(C.long(rows), C.long(n), (*C.float)(a), C.long(lda), (*C.float)(row), (*C.float)(c),
		C.long(ldc))
}
