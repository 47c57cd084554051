// Package cpu holds the engine's CPU kernels: C code chosen for the processor at run time (plain C,
// AVX2, AVX-512) behind thin Go wrappers. It knows nothing of graphs, tensors or models.
//
// Everything is float32. Memory is passed as unsafe.Pointer to the first element; sizes, leading
// dimensions and strides are counted in elements, and the last axis is always contiguous. The
// wrappers allocate nothing and do not validate what they are given: that is the caller's work, once
// for each operation and not once for each call. Outputs must not overlap inputs unless a function
// says that they may.
//
// # One order of summation
//
// Results do not depend on the instruction set, the number of threads, the number of rows in a call,
// the position of a row among them, or on which of several kernels was picked: they have the same
// bits. A matrix product is, for each output, the chain of fused multiply-adds over k in blocks,
// block sums added in order, then bias, then residual; the blocks are 384 long while at least 768 of
// K remain, then half of what remains (rounded up) while that is more than 384, then the rest. That
// is oneDNN's order on AVX-512, so that its products can be used where they are faster and a check
// finds the same bits (see GemmBackend).
//
// # Threads
//
// Work is shared between Threads threads. Where the process has libgomp (brought by oneDNN or by
// torch) its pool is used, for two pools would take each other's cores; otherwise a small one of our
// own. libgomp keeps a pool for each calling thread, so Go programs with many goroutines should make
// large calls from few locked threads.
package cpu

// -std=c11 also forbids contracting a*b+c into one rounding, which would make variants differ.

// #cgo CFLAGS: -O3 -std=c11 -D_GNU_SOURCE
// #cgo linux LDFLAGS: -lm -ldl -lpthread
// #include "kernels.h"
import "C"

import "errors"

// ErrNoMemory is returned by kernels that could not get their (bounded) working memory.
var ErrNoMemory = errors.New("cpu: no memory for a kernel's working buffers")

func status(rc C.int) error {
	if rc != 0 {
		return ErrNoMemory
	}
	return nil
}
