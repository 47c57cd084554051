// Package checkpoint reads model weights from files: safetensors (one file or shards) and GGUF. Files are mapped,
// described lazily, and checked whole before any length they claim is used. It imports golens/tensor and nothing
// else of the engine, and knows nothing of models beyond the names that GGUF gives their parameters.
//
// The machine is taken to be little endian, as every platform of this project is. A file must not be cut short or
// rewritten in place while it is open: as with any mapping, the system ends a process that reads pages which are gone.
package checkpoint

import (
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var (
	// ErrNotFound is wrapped when a checkpoint has no tensor of the name asked for.
	ErrNotFound = errors.New("no such tensor")
	// ErrUnsupported is wrapped by errors about things that are well formed but that this package cannot read.
	ErrUnsupported = errors.New("unsupported")
	// ErrClosed is wrapped when a checkpoint is used after Close.
	ErrClosed = errors.New("checkpoint is closed")
	// ErrNoWeights is wrapped by OpenFolder when the folder holds no weights that can be opened.
	ErrNoWeights = errors.New("no weights")
)

// FormatError says that a file is not what it claims to be: which field of it, what was found, what is valid.
type FormatError struct {
	Path, Field, Found, Want string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("checkpoint: %s: %s: found %s, expected %s", e.Path, e.Field, e.Found, e.Want)
}

// Entry describes one stored tensor. Shape is row-major, outermost dimension first, whatever the file's own order.
type Entry struct {
	Name  string
	Kind  Kind
	Shape []int

	storage      *tensor.Storage
	offset, size int
}

// Len is the number of elements.
func (e Entry) Len() int {
	n := 1
	for _, d := range e.Shape {
		n *= d
	}
	return n
}

// Bytes is the number of bytes that the tensor takes in the file.
func (e Entry) Bytes() int { return e.size }

// Source is an open checkpoint. Its methods may be called from several goroutines. Tensors that were loaded stay
// valid after Close: each holds a reference to the memory below it.
type Source interface {
	// Names lists the tensors in the file's order.
	Names() []string
	Entry(name string) (Entry, bool)
	// Load gives the values as contiguous float32: a view of the mapped file where it holds aligned float32 (writes
	// never reach the file), unless it is small in a quantised file; else widened into memory of its own. Wider values
	// are rounded to the nearest.
	Load(name string) (*tensor.Tensor, error)
	// LoadRaw gives what is stored in its own dtype, blocks of Q8_0 and Q4_1 as they are, viewed where alignment allows.
	// Kinds that no tensor.DType describes (the other blocks among them) come as Uint8, the last dimension counting bytes.
	LoadRaw(name string) (*tensor.Tensor, error)
	Close() error
}
