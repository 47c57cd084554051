// Bind: parameters as views of checkpoint tensors, in the component's layout and as operations read them.
package model

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// invFreq names the rotary frequencies among the operands; they come from the configuration, not the checkpoint.
const invFreq = "rotary_emb.inv_freq"

// bindings are a model's weights and the views of them.
type bindings struct {
	weights map[string]*tensor.Tensor // checkpoint tensors by the name the Spec wants
	params  []parameter
	byName  map[string]int // "blocks.0.attn.q.weight"
	linear  map[string]*op.Param
}

// parameter is a Param's memory.
type parameter struct {
	Param
	value *tensor.Tensor
	slot  arch.Slot
}

func (b *bindings) release() {
	for _, p := range b.params {
		p.value.Release()
	}
	for _, p := range b.linear {
		p.Value.Release()
	}
	for _, t := range b.weights {
		t.Release()
	}
}

// bind makes the views. Nothing is copied: whoever writes to one view writes to all.
func (m *Model) bind() error {
	m.byName = map[string]int{}
	m.linear = map[string]*op.Param{}
	for _, c := range m.Spec.Tree.Components {
		for _, name := range []string{"weight", "bias"} {
			v, ok := c.View(name)
			if !ok || v.Kind != arch.Stored {
				continue
			}
			t, err := m.view(v.Slot)
			if err != nil {
				return fmt.Errorf("model: %s.%s: %w", c.Name, name, err)
			}
			m.byName[c.Name+"."+name] = len(m.params)
			m.params = append(m.params, parameter{Param{c.Name, name, t.Shape()}, t, v.Slot})
		}
	}
	for name, ref := range m.Spec.Weights.Refs {
		t, err := m.operand(ref)
		if err != nil {
			return fmt.Errorf("model: %s: %w", name, err)
		}
		m.linear[name] = &op.Param{Name: name, Value: t}
	}
	if p := m.Spec.Position; p.Kind == arch.Rotary {
		t, err := tensor.FromFloat32s(p.InvFreq, len(p.InvFreq))
		if err != nil {
			return err
		}
		m.linear[invFreq] = &op.Param{Name: invFreq, Value: t}
	}
	return nil
}

func (m *Model) view(s arch.Slot) (*tensor.Tensor, error) {
	t, ok := m.weights[s.Tensor]
	if !ok {
		return nil, fmt.Errorf("%w: %s", arch.ErrMissingTensor, s.Tensor)
	}
	return t.View(s.Shape, s.Strides, s.Offset)
}

// operand is a parameter as operations read it: matrices as [in, out] whatever their layout, tables as they are.
func (m *Model) operand(r arch.Ref) (*tensor.Tensor, error) {
	t, ok := m.weights[r.Name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", arch.ErrMissingTensor, r.Name)
	}
	shape := t.Shape()
	columns := r.Columns
	switch r.Layout {
	case arch.OutIn:
		if columns == 0 {
			columns = shape[0]
		}
		return t.View([]int{shape[1], columns}, []int{1, shape[1]}, r.ColumnOffset*shape[1])
	case arch.InOut:
		if columns == 0 {
			columns = shape[1]
		}
		return t.View([]int{shape[0], columns}, []int{shape[1], 1}, r.ColumnOffset)
	case arch.Vector:
		if columns == 0 {
			columns = shape[0]
		}
		return t.View([]int{columns}, nil, r.ColumnOffset)
	default:
		return t.View(shape, t.Strides(), 0)
	}
}

// param is the operand of that name, or nil where the family has none (a bias).
func (m *Model) param(name string) *op.Param { return m.linear[name] }
