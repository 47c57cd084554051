// Memory: how much of it there is, and letting go of what rests in the pool.
package tensor

/*
#include <stdlib.h>
#include "pool.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// ErrOutOfMemory is returned when memory for a tensor could not be had, or could not fit.
var ErrOutOfMemory = errors.New("tensor: out of memory")

// unasked is how many bytes are taken without asking the system what it has left, which costs some ten files read.
const unasked = 64 << 20

// EmptyPool gives the system the memory that released tensors left for what comes next. Tensors that are in use keep
// theirs. Without it, memory that nobody used for long goes back as others is taken.
func EmptyPool() { C.tlg_pool_trim() }

// Available is how many bytes tensors can still be had for: what rests in the pool, and what the system would give this
// process (free and reclaimable memory and swap, within the limits of its control groups and its address space). It is
// math.MaxInt64 where the system does not say.
func Available() int64 {
	free, resting := int64(C.tlg_memory_free(1)), int64(C.tlg_pool_resting())
	if free > math.MaxInt64-resting {
		return math.MaxInt64
	}
	return free + resting
}

// freeUnder is what a system would give whose files lie in a folder.
func freeUnder(folder string) int64 {
	c := C.CString(folder)
	defer C.free(unsafe.Pointer(c))
	return int64(C.tlg_memory_free_under(c, 1))
}

// Fits reports an ErrOutOfMemory that names what, the bytes it needs and those there are, if it needs more than
// Available. It asks the system only about more than 64 MB that do not rest in the pool.
func Fits(what string, bytes int64) error {
	if bytes <= unasked || bytes <= int64(C.tlg_pool_resting()) {
		return nil
	}
	if available := Available(); bytes > available {
		return fmt.Errorf("%w: %s needs %s, and %s can still be had", ErrOutOfMemory, what, megabytes(bytes), megabytes(available))
	}
	return nil
}

func megabytes(bytes int64) string {
	return fmt.Sprintf("%.1f MB (%d bytes)", float64(bytes)/1e6, bytes)
}
