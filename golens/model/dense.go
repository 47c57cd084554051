// Dense: results and parameters for Go programs that use gorgonia.org/tensor.
package model

import (
	"fmt"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
)

// Dense is the output as a gorgonia Dense, which outlives Release: over the same memory, or a copy in float32 of 16-bit
// floats (tensor.Tensor.DenseOrCopy). It is an error where there is no output.
func (r *Result) Dense() (*gorgonia.Dense, error) {
	if r.Output == nil {
		return nil, fmt.Errorf("%w: this run had no output (OutputNone)", ErrInput)
	}
	d, _, err := r.Output.DenseOrCopy()
	return d, err
}

// KeptDense is what was kept at a hook point, by its index (Input.Keep), as Dense.
func (r *Result) KeptDense(point int) (*gorgonia.Dense, error) {
	for _, k := range r.Kept {
		if k.Point == point {
			d, _, err := k.T.DenseOrCopy()
			return d, err
		}
	}
	return nil, fmt.Errorf("%w: nothing was kept at point %d", hook.ErrNoPoint, point)
}

// ParamDense is a parameter by its index in Params, as a gorgonia Dense. Where it is shared, what is written to it
// changes what the model computes from the next run on, as with Param. Else it is a copy (of 16-bit floats, and of
// what lies within a larger tensor, as GPT-2's W_Q does), which SetParam writes back.
func (m *Model) ParamDense(index int) (d *gorgonia.Dense, shared bool, err error) {
	t, err := m.Param(index)
	if err != nil {
		return nil, false, err
	}
	defer t.Release()
	return t.DenseOrCopy()
}

// SetParam writes a Dense of a parameter's shape into it, rounded to the model's dtype.
func (m *Model) SetParam(index int, d *gorgonia.Dense) error {
	t, err := m.Param(index)
	if err != nil {
		return err
	}
	defer t.Release()
	if err := t.SetDense(d); err != nil {
		p := m.Params()[index]
		return fmt.Errorf("model: %s.%s: %w", p.Component, p.Name, err)
	}
	return nil
}
