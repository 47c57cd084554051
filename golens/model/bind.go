// Bind: where parameters lie in the weights, in the component's layout and as operations read them.
package model

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/weight"
)

// invFreq names the rotary frequencies among the operands; they come from the configuration, not the checkpoint.
const invFreq = "rotary_emb.inv_freq"

// bindings say where parameters lie. They are the same for every set of weights that the model may have.
type bindings struct {
	params   []parameter
	byName   map[string]int // "blocks.0.attn.q.weight"
	operands map[string]int // by the parameter's name: its index among the operands of a set
}

// parameter is a Param and where it lies.
type parameter struct {
	Param
	view weight.View
}

// strides are where its elements lie, counted in elements.
func (p *parameter) strides() []int {
	if p.view.Strides != nil {
		return p.view.Strides
	}
	return tensor.RowMajor(p.view.Shape)
}

// bind finds the parameters in the weights.
func (m *Model) bind() error {
	m.byName, m.operands = map[string]int{}, map[string]int{}
	shapes := map[string][]int{}
	for _, t := range m.Spec.Weights.Tensors {
		shapes[t.Name] = t.Shape
	}
	for _, c := range m.Spec.Tree.Components {
		for _, name := range []string{"weight", "bias"} {
			v, ok := c.View(name)
			if !ok || v.Kind != arch.Stored {
				continue
			}
			m.byName[c.Name+"."+name] = len(m.params)
			m.params = append(m.params, parameter{Param{c.Name, name, v.Slot.Shape}, viewOf(v.Slot)})
		}
	}
	for name, ref := range m.Spec.Weights.Refs {
		shape, ok := shapes[ref.Name]
		if !ok {
			return fmt.Errorf("%w: %s", arch.ErrMissingTensor, ref.Name)
		}
		index, err := m.weights.Operand(operand(ref, shape))
		if err != nil {
			return fmt.Errorf("model: %s: %w", name, err)
		}
		m.operands[name] = index
	}
	if p := m.Spec.Position; p.Kind == arch.Rotary {
		t, err := tensor.FromFloat32s(p.InvFreq, len(p.InvFreq))
		if err != nil {
			return err
		}
		defer t.Release()
		if m.operands[invFreq], err = m.weights.Constant(t); err != nil {
			return err
		}
	}
	return nil
}

func viewOf(s arch.Slot) weight.View {
	return weight.View{Tensor: s.Tensor, Shape: s.Shape, Strides: s.Strides, Offset: s.Offset}
}

// operand is a parameter as operations read it: matrices as [in, out] whatever their layout, tables as they are.
func operand(r arch.Ref, shape []int) weight.View {
	columns := r.Columns
	switch r.Layout {
	case arch.OutIn:
		if columns == 0 {
			columns = shape[0]
		}
		return weight.View{Tensor: r.Name, Shape: []int{shape[1], columns}, Strides: []int{1, shape[1]}, Offset: r.ColumnOffset * shape[1]}
	case arch.InOut:
		if columns == 0 {
			columns = shape[1]
		}
		return weight.View{Tensor: r.Name, Shape: []int{shape[0], columns}, Strides: []int{shape[1], 1}, Offset: r.ColumnOffset}
	case arch.Vector:
		if columns == 0 {
			columns = shape[0]
		}
		return weight.View{Tensor: r.Name, Shape: []int{columns}, Offset: r.ColumnOffset}
	default:
		return weight.View{Tensor: r.Name, Shape: shape}
	}
}

// param is the value of the parameter of that name, or none where the family has none (a bias).
func (b *builder) param(name string) graph.Value {
	index, ok := b.m.operands[name]
	if !ok {
		return graph.None
	}
	return b.g.Weight(name, index)
}

// like is the value that has the dtype of the model.
func (b *builder) like() graph.Value { return b.g.Weight("dtype", weight.Like) }
