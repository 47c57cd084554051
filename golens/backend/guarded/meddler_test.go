package guarded_test

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// meddling is a kernel that says that it reads, and writes.
type meddling struct{ X *tensor.Tensor }

func (*meddling) Kernel() string { return "meddling" }

func (m *meddling) Operands() backend.Operands { return backend.Reads(&m.X) }

// meddler is a backend that has that kernel.
type meddler struct{ cpu.CPU }

func (m meddler) Launch(k backend.Kernel) error {
	if k, ok := k.(*meddling); ok {
		k.X.Float32s()[0] = 2
		return nil
	}
	return m.CPU.Launch(k)
}
