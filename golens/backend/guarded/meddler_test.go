package guarded_test

import (
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// meddling is a kernel that says that it reads X and writes Out, and does something.
type meddling struct {
	X, Out *tensor.Tensor
	deed   func()
}

func (*meddling) Kernel() string { return "meddling" }

func (m *meddling) Operands() backend.Operands { return backend.Reads(&m.X).Writes(&m.Out) }

// meddler is a backend that has that kernel.
type meddler struct{ cpu.CPU }

func (m meddler) Launch(k backend.Kernel) error {
	if k, ok := k.(*meddling); ok {
		k.deed()
		return nil
	}
	return m.CPU.Launch(k)
}

var seen float32 // so that reading is not optimised away

// read reaches for the float at that place of a tensor, which may lie beyond it.
func read(x *tensor.Tensor, i int) { seen = *at(x, i) }

func write(x *tensor.Tensor, i int) { *at(x, i) = 1 }

func at(x *tensor.Tensor, i int) *float32 { return (*float32)(unsafe.Add(x.Pointer(), 4*i)) }
