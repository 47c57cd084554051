// Package cpu is the backend on the processor: memory from golens/tensor, products and kernels from kernels/cpu.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// CPU implements backend.Backend, and the optional interfaces beside it. The zero value is ready.
type CPU struct{}

var (
	_ backend.Backend = CPU{}
	_ backend.Placer  = CPU{}
	_ backend.Bounded = CPU{}
)

// Name implements backend.Backend.
func (CPU) Name() string { return "cpu" }

// Alloc implements backend.Backend.
func (CPU) Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error) {
	return tensor.New(dt, shape...)
}

// Place implements backend.Placer: what lies on the host lies where this backend computes.
func (CPU) Place(t *tensor.Tensor) (*tensor.Tensor, error) { return t.Retain(), nil }

// Fits implements backend.Bounded.
func (CPU) Fits(what string, bytes int64) error { return tensor.Fits(what, bytes) }

// Zero implements backend.Backend.
func (CPU) Zero(t *tensor.Tensor) error {
	if !t.Contiguous() {
		return fmt.Errorf("cpu: zero of a tensor with strides %v", t.Strides())
	}
	clear(t.Bytes())
	return nil
}

// Sync implements backend.Backend: every call has done its work when it returns.
func (CPU) Sync() error { return nil }

// Launch implements backend.Backend.
func (CPU) Launch(k backend.Kernel) error {
	entry, ok := table[k.Kernel()]
	if !ok {
		return fmt.Errorf("%w: cpu has no %q", backend.ErrNoKernel, k.Kernel())
	}
	if entry.any {
		return entry.float32(k)
	}
	operands := k.Operands()
	dt, err := dtypeOf(&operands)
	switch {
	case err != nil:
		return fmt.Errorf("cpu: %s of %w", k.Kernel(), err)
	case dt == tensor.Float32:
		return entry.float32(k)
	case dt == tensor.Float64 && entry.float64 != nil:
		return entry.float64(k)
	case sixteen(dt):
		return narrow(entry, k, &operands, dt)
	default:
		return fmt.Errorf("%w: cpu has no %q of %s", backend.ErrNoKernel, k.Kernel(), dt)
	}
}

// dtypeOf is what the floating operands have; float32 may stand beside one of 16 bits.
func dtypeOf(operands *backend.Operands) (tensor.DType, error) {
	var found [tensor.BFloat16 + 1]bool
	for i := range operands.Len() {
		if t := *operands.At(i).T; t != nil && t.DType().Floating() {
			found[t.DType()] = true
		}
	}
	switch found {
	case [...]bool{tensor.Float64: true, tensor.BFloat16: false}:
		return tensor.Float64, nil
	case [...]bool{tensor.Float16: true, tensor.BFloat16: false}, [...]bool{tensor.Float32: true, tensor.Float16: true, tensor.BFloat16: false}:
		return tensor.Float16, nil
	case [...]bool{tensor.BFloat16: true}, [...]bool{tensor.Float32: true, tensor.BFloat16: true}:
		return tensor.BFloat16, nil
	case [...]bool{tensor.Float32: true, tensor.BFloat16: false}:
		return tensor.Float32, nil
	}
	return 0, errMixed
}

// pointer is a tensor's address, nil for an absent one.
func pointer(t *tensor.Tensor) unsafe.Pointer {
	if t == nil {
		return nil
	}
	return t.Pointer()
}
