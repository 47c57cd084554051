// Pass: a program's value at a hook point, and how hooks over Denses become hooks over the engine's tensors.
package hooked

import (
	"slices"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Pass lets a value pass a hook point, and returns what its hooks made of it, to go on with. Without hooks that is d
// itself. Hooks are given memory of their own, so d stays as it is whatever they write.
func (r *HookedRootModule) Pass(name string, d *gorgonia.Dense) (*gorgonia.Dense, error) {
	return r.pass(name, d, hook.Forward)
}

// PassGradient is Pass for the gradient of what passed there, where a program computes gradients itself.
func (r *HookedRootModule) PassGradient(name string, d *gorgonia.Dense) (*gorgonia.Dense, error) {
	return r.pass(name, d, hook.Backward)
}

func (r *HookedRootModule) pass(name string, d *gorgonia.Dense, dir hook.Direction) (*gorgonia.Dense, error) {
	p, err := r.point(name)
	if err != nil {
		return nil, err
	}
	if !p.Watched(dir) {
		return d, nil
	}
	t, err := tensor.CopyDense(d)
	if err != nil {
		return nil, err
	}
	e := passing{t}
	defer func() { e.t.Release() }()
	if err := r.Hooks.Fire(p, dir, &e, nil); err != nil {
		return nil, err
	}
	// not what a hook or a cache has kept, for the program may write to it
	own, err := e.Exclusive()
	if err != nil {
		return nil, err
	}
	d, _, err = own.DenseOrCopy()
	return d, err
}

// passing is a value at a hook point of a program's own module; any other tensor may replace it.
type passing struct{ t *tensor.Tensor }

// Exclusive implements hook.Edge.
func (e *passing) Exclusive() (*tensor.Tensor, error) {
	if !e.t.Shared() {
		return e.t, nil
	}
	own, err := e.t.Clone()
	if err != nil {
		return nil, err
	}
	e.t.Release()
	e.t = own
	return own, nil
}

// Replace implements hook.Edge.
func (e *passing) Replace(t *tensor.Tensor) error {
	e.t.Release()
	e.t = t
	return nil
}

// onTensors is a hook as the registry calls it.
func (r *HookedRootModule) onTensors(fn Func) hook.Func {
	return func(t *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
		d, shared, err := t.DenseOrCopy()
		if err != nil {
			return nil, err
		}
		out, err := fn(d, p)
		switch {
		case err != nil:
			return nil, err
		case out != nil && (out != d || rearranged(d, t)):
			return r.taken(out, t.DType())
		case !shared:
			return nil, t.SetDense(d)
		default:
			return nil, nil
		}
	}
}

// rearranged reports whether a hook turned or reshaped what it was given.
func rearranged(d *gorgonia.Dense, t *tensor.Tensor) bool {
	return !slices.Equal(d.Shape(), t.Shape()) || d.DataOrder().IsTransposed()
}

// taken is what a hook returned as a tensor, in the place of one of type dt.
func (r *HookedRootModule) taken(d *gorgonia.Dense, dt tensor.DType) (*tensor.Tensor, error) {
	t, err := tensor.FromDense(d)
	if err != nil || !r.Convert || t.DType() == dt || !t.DType().Floating() || !dt.Floating() {
		return t, err
	}
	defer t.Release()
	converted, err := tensor.New(dt, t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := converted.SetDense(d); err != nil {
		converted.Release()
		return nil, err
	}
	return converted, nil
}
