// Package cpu holds the engine's CPU kernels: C code chosen for the processor at run time (plain C,
// AVX2, AVX-512) behind thin Go wrappers. It knows nothing of graphs, tensors or models.
//
// Everything is float32, but for what is read in the Form that it is stored in, and Gemm.RunFloat64. Memory is passed as unsafe.Pointer to the first element; sizes, leading
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
// Work is shared between Threads threads: the caller's and helpers from one pool for the process, which
// all callers share. Work is claimed piece by piece, so that a thread without a core holds up no more
// than the piece it is at. A thread that has to wait spins for 20 µs, for up to 1 ms while the machine has
// cores to spare, and then sleeps (pool.c, wait.c). libgomp's threads, which spin for longer whatever else
// runs, are not used, not for oneDNN's products either.
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
