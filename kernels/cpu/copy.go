package cpu

// #include "kernels.h"
// #cgo noescape tlg_copy_strided
// #cgo nocallback tlg_copy_strided
import "C"

import (
	"fmt"
	"unsafe"
)

// MaxCopyDims is the largest number of axes that CopyStrided takes.
const MaxCopyDims = C.TLG_MAX_DIMS

// CopyStrided copies float32 elements of the given shape between tensors with any strides (in
// elements). A source stride of 0 broadcasts. The tensors must not overlap.
func CopyStrided(dst unsafe.Pointer, dstStrides []int64, src unsafe.Pointer, srcStrides, shape []int64) error {
	n := len(shape)
	if n > MaxCopyDims || len(dstStrides) != n || len(srcStrides) != n {
		return fmt.Errorf("cpu: copy of a shape with %d axes, %d and %d strides: want equal numbers, at most %d",
			n, len(dstStrides), len(srcStrides), MaxCopyDims)
	}
	if n == 0 {
		one := []int64{1}
		return CopyStrided(dst, one, src, one, one)
	}
	C.tlg_copy_strided(C.int(n), (*C.int64_t)(&shape[0]), (*C.float)(src), (*C.int64_t)(&srcStrides[0]),
		(*C.float)(dst), (*C.int64_t)(&dstStrides[0]))
	return nil
}
