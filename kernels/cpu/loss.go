package cpu

// #include "kernels.h"
// #cgo noescape tlg_cross_entropy
// #cgo nocallback tlg_cross_entropy
import "C"

import "unsafe"

// CrossEntropy computes loss[r] = -log softmax(logits[r])[targets[r]] for logits [rows, n], ld elements
// apart, and int64 targets [rows], each in 0..n-1.
func CrossEntropy(loss, logits unsafe.Pointer, ld int, targets unsafe.Pointer, rows, n int) {
	C.tlg_cross_entropy(C.long(rows), C.long(n), (*C.float)(logits), C.long(ld), (*C.int64_t)(targets),
		(*C.float)(loss))
}
