// Storage: counted memory. The only file of the package that allocates or maps.
package tensor

/*
#cgo CFLAGS: -O2 -std=c11
#include "storage.h"
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Storage is memory that tensors share. It is counted: Retain and Release may be called from any goroutine,
// and its owner (the pool, a mapping, a Python object) has the memory back when the last reference is released.
type Storage struct{ c *C.tlg_storage }

// NewStorage takes bytes of uninitialised memory, 64-byte aligned, from the recycling pool. What cannot fit is
// refused (Fits) rather than begun.
func NewStorage(bytes int) (*Storage, error) {
	s, err := take(bytes)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

func take(bytes int) (Storage, error) {
	if err := Fits("a tensor", int64(bytes)); err != nil {
		return Storage{}, err
	}
	c := C.tlg_storage_new(C.int64_t(bytes))
	if c == nil {
		return Storage{}, fmt.Errorf("%w: %d bytes were asked for", ErrOutOfMemory, bytes)
	}
	return Storage{c}, nil
}

// MapFile maps a whole file privately: it can be read and written, and what is written never reaches the file.
func MapFile(path string) (*Storage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tensor: map file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("tensor: map file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("tensor: map file: %s is not a regular file", path)
	}
	if info.Size() == 0 {
		return NewStorage(0)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("tensor: map %s: %w", path, err)
	}
	c := C.tlg_storage_map(unsafe.Pointer(unsafe.SliceData(data)), C.int64_t(len(data)))
	if c == nil {
		_ = unix.Munmap(data)
		return nil, ErrOutOfMemory
	}
	return &Storage{c}, nil
}

// Bytes is the memory itself.
func (s *Storage) Bytes() []byte { return unsafe.Slice((*byte)(s.c.data), int(s.c.bytes)) }

// Forget tells the system that the bytes from offset on were read for the last time, so that pages of a mapped file
// need not stay in memory. What was written to such pages is lost: only for ranges that nobody views.
func (s *Storage) Forget(offset, bytes int) {
	C.tlg_storage_forget(s.c, C.int64_t(offset), C.int64_t(bytes))
}

// Len is the number of bytes.
func (s *Storage) Len() int { return int(s.c.bytes) }

// Lent reports whether others read and write the memory without a reference that is counted here, as its owner does
// with an array of Python's. The owner keeps it for as long as any reference lasts.
func (s *Storage) Lent() bool { return s.c.owner.lent != 0 }

// Refs is the number of references at this moment, views held by other languages included.
func (s *Storage) Refs() int { return int(C.tlg_storage_refs(s.c)) }

// Retain adds a reference and returns the storage.
func (s *Storage) Retain() *Storage {
	C.tlg_storage_retain(s.c)
	return s
}

// Release drops a reference; the last one frees.
func (s *Storage) Release() { C.tlg_storage_release(s.c) }

// Counts says what is alive in the whole process, and how many bytes rest in the pool for what comes next: for leak
// tests and memory reports.
type Counts struct {
	Storages, Bytes, Handles, Exported, PoolBytes int64
}

// Count reads the process-wide counters.
func Count() Counts {
	return Counts{
		Storages: int64(C.tlg_count(0)), Bytes: int64(C.tlg_count(1)), Handles: int64(C.tlg_count(2)),
		Exported: int64(C.tlg_count(3)), PoolBytes: int64(C.tlg_count(4)),
	}
}
