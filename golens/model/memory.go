// Memory: the weights of a model that somebody holds in memory already, such as a Hugging Face model of torch.
package model

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Memory implements Tensors by contiguous tensors of floats. Those of the dtype asked for are shared, not copied.
type Memory map[string]*tensor.Tensor

// Shapes implements Tensors.
func (m Memory) Shapes() map[string][]int {
	shapes := make(map[string][]int, len(m))
	for name, t := range m {
		shapes[name] = t.Shape()
	}
	return shapes
}

// Load implements Tensors.
func (m Memory) Load(name string, dt tensor.DType) (*tensor.Tensor, error) {
	t, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", arch.ErrMissingTensor, name)
	}
	if !t.Contiguous() {
		return nil, fmt.Errorf("%w: %s has strides %v, expected a contiguous tensor", ErrInput, name, t.Strides())
	}
	if !t.DType().Floating() {
		return nil, fmt.Errorf("%w: %s is %s, expected a floating dtype", ErrInput, name, t.DType())
	}
	return cast(t.Retain(), dt)
}
