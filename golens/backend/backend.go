// Package backend is what the engine asks of a device: memory, products, and kernels. A new operation adds a kernel,
// never a method here.
package backend

import (
	"errors"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrNoKernel is wrapped when a backend lacks a kernel that an operation asks for.
var ErrNoKernel = errors.New("backend: no such kernel")

// Backend is a device that can hold tensors of floating dtypes and compute on them. Ids, positions and masks lie in
// the host's memory wherever the rest lies: the engine reads them itself. Only a backend touches the bytes of floats.
type Backend interface {
	// Name is the device as users write it ("cpu").
	Name() string
	// Alloc makes an uninitialised contiguous tensor.
	Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error)
	// Copy writes the elements of src to dst, which has its dtype and shape. Either may have strides (src ones of 0
	// too), and lie on the host.
	Copy(dst, src *tensor.Tensor) error
	// Zero fills a contiguous tensor with zeros.
	Zero(t *tensor.Tensor) error
	// Sync waits until all that was asked for is done, and reports what failed meanwhile.
	Sync() error
	// Gemm is a matrix product.
	Gemm(g *Gemm) error
	// Launch runs a kernel.
	Launch(k Kernel) error
}

// Kernel is the arguments of one kernel: a struct of tensors and numbers, which stands in the file of the operation
// that launches it. Tensors of real numbers are of one floating dtype, to which results are rounded; float32 may
// stand beside one of 16 bits. A backend may exchange the tensors while a kernel runs.
type Kernel interface {
	// Kernel is its name.
	Kernel() string
	// Operands are its tensors.
	Operands() Operands
}

// Placer is a backend that need not copy what lies on the host. The others are given copies (Place).
type Placer interface {
	// Place is t itself, or the same values where the backend computes. The caller releases it.
	Place(t *tensor.Tensor) (*tensor.Tensor, error)
}

// Bounded is a backend that knows how much memory there is.
type Bounded interface {
	// Fits reports an error that wraps tensor.ErrOutOfMemory, and names what, if so many bytes cannot be had.
	Fits(what string, bytes int64) error
}

// Place brings a contiguous tensor of the host's memory to where b computes. The caller releases it.
func Place(b Backend, t *tensor.Tensor) (*tensor.Tensor, error) {
	if p, ok := b.(Placer); ok {
		return p.Place(t)
	}
	return Clone(b, t)
}

// Clone copies a tensor, with whatever strides, into contiguous memory of its own.
func Clone(b Backend, t *tensor.Tensor) (*tensor.Tensor, error) {
	own, err := b.Alloc(t.DType(), t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := b.Copy(own, t); err != nil {
		own.Release()
		return nil, err
	}
	return own, nil
}
