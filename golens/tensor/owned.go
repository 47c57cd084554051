// Owned: storages over memory that is neither the pool's nor a file's, such as a device's.
package tensor

/*
#include "storage.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Owned makes a storage over memory of an owner (struct tlg_owner in storage.h), who frees it behind the last reference.
// whose is the owner's own.
func Owned(owner unsafe.Pointer, whose uintptr, data unsafe.Pointer, bytes int) (*Storage, error) {
	c := C.tlg_storage_of((*C.tlg_owner)(owner), C.intptr_t(whose), data, C.int64_t(bytes))
	if c == nil {
		return nil, fmt.Errorf("%w: of the counter of %d bytes", ErrOutOfMemory, bytes)
	}
	return &Storage{c}, nil
}

// Data is the address of the memory, which may not be one that the host can read.
func (s *Storage) Data() unsafe.Pointer { return s.c.data }

// OwnedBy reports whether the memory belongs to that owner.
func (s *Storage) OwnedBy(owner unsafe.Pointer) bool { return unsafe.Pointer(s.c.owner) == owner }
