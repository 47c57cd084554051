// Handles: how other languages name tensors. An index with a generation, checked in C before any use.
package tensor

/*
#include "storage.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrStaleHandle is returned for a handle that was never given out or was closed.
var ErrStaleHandle = errors.New("tensor: unknown or closed handle")

// Handle names an exported tensor. 0 is never a handle.
type Handle int64

// Export gives out a handle that keeps the tensor's storage alive until Close, and each view made of it beyond.
// Blocks have no elements that another language could read: they are refused.
func (t *Tensor) Export() (Handle, error) {
	dtype, ok := t.dtype.dlpack()
	if !ok {
		length, bytes := t.dtype.Block()
		return 0, fmt.Errorf("tensor: a %s tensor of shape %v cannot be handed out as it is stored, %d values in %d bytes: widen it to float32 first",
			t.dtype, t.shape, length, bytes)
	}
	var shape, strides [MaxDims]C.int64_t
	for i := range t.shape {
		shape[i], strides[i] = C.int64_t(t.shape[i]), C.int64_t(t.strides[i])
	}
	h := C.tlg_handle_new(t.storage.c, C.int64_t(t.offset), C.int32_t(dtype), C.int32_t(len(t.shape)), &shape[0], &strides[0])
	if h == 0 {
		return 0, ErrOutOfMemory
	}
	return Handle(h), nil
}

// Group gives out a handle that is no tensor's: these end with it.
func Group(handles []Handle) (Handle, error) {
	h := C.tlg_handle_group((*C.int64_t)(unsafe.SliceData(handles)), C.int64_t(len(handles)))
	if h == 0 {
		return 0, ErrOutOfMemory
	}
	return Handle(h), nil
}

// Import makes a tensor over the storage behind a handle.
func Import(h Handle) (*Tensor, error) {
	c := C.tlg_handle_acquire(C.int64_t(h))
	if c == nil {
		return nil, fmt.Errorf("%w: %d", ErrStaleHandle, h)
	}
	defer C.tlg_tensor_release(c)
	t := &Tensor{storage: Storage{c.storage}, offset: int(uintptr(c.data) - uintptr(c.storage.data))}
	t.storage.Retain()
	var shape, strides [MaxDims]int
	for i := range int(c.ndim) {
		shape[i], strides[i] = int(c.shape[i]), int(c.strides[i])
	}
	t.lay(shape[:c.ndim], strides[:c.ndim])
	for i := range dtypes {
		if code, ok := DType(i).dlpack(); ok && code == int32(c.dtype) {
			t.dtype = DType(i)
		}
	}
	return t, nil
}

// Close ends a handle. Views made of it stay valid.
func (h Handle) Close() error {
	if C.tlg_handle_close(C.int64_t(h)) != 0 {
		return fmt.Errorf("%w: %d", ErrStaleHandle, h)
	}
	return nil
}

// GlueAPI is the address of the table of C functions (struct tlg_glue_api in storage.h) for C code outside Go.
func GlueAPI() uintptr { return uintptr(unsafe.Pointer(C.tlg_glue())) }
