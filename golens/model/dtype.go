// DType: the floating dtype that a model holds its weights in and rounds every activation to.
package model

import (
	"context"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// parseDType is a dtype that models can have.
func parseDType(name string) (tensor.DType, error) {
	dt, err := tensor.ParseDType(name)
	if err == nil && !dt.Floating() {
		err = fmt.Errorf("got %s, expected one of float32, float64, float16, bfloat16", name)
	}
	if err != nil {
		return 0, &config.Error{Kind: config.ValueError, Field: "dtype", Text: err.Error()}
	}
	return dt, nil
}

// cast gives a contiguous tensor in another dtype. It takes over t's reference.
func cast(t *tensor.Tensor, dt tensor.DType) (*tensor.Tensor, error) {
	if t.DType() == dt {
		return t, nil
	}
	defer t.Release()
	c, err := tensor.New(dt, t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := (cpu.CPU{}).Launch("convert", t, c); err != nil {
		c.Release()
		return nil, err
	}
	return c, nil
}

// DType is the dtype of weights and activations.
func (m *Model) DType() tensor.DType {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.dtype
}

// Convert gives the model another floating dtype, rounding its weights as they are now. Parameters have new memory
// afterwards; views of the old are no longer the model's. Runs in progress end in the dtype that they began in, and
// others may begin while the weights are rounded. It ends between two weights when the context does; then, and after
// any other error, the model is as it was.
func (m *Model) Convert(ctx context.Context, name string) error {
	dt, err := parseDType(name)
	if err != nil {
		return err
	}
	for {
		old, is, err := m.held()
		if err != nil {
			return err
		}
		if is == dt {
			old.release()
			return nil
		}
		weights, err := castAll(ctx, old.weights, dt)
		if err != nil {
			old.release()
			return fmt.Errorf("model: to %s: %w", dt, err)
		}
		done, err := m.become(weights, dt, is)
		old.release()
		if done || err != nil {
			return err
		}
	}
}

// held is the weights as they are now, which the caller releases, and their dtype.
func (m *Model) held() (bindings, tensor.DType, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return bindings{}, 0, ErrClosed
	}
	held := bindings{weights: make(map[string]*tensor.Tensor, len(m.weights))}
	for name, t := range m.weights {
		held.weights[name] = t.Retain()
	}
	return held, m.dtype, nil
}

// become takes over weights that were rounded from dtype was to dt. False: somebody else converted the model meanwhile.
func (m *Model) become(weights map[string]*tensor.Tensor, dt, was tensor.DType) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	made := bindings{weights: weights}
	if m.closed {
		made.release()
		return false, ErrClosed
	}
	if m.dtype != was {
		made.release()
		return false, nil
	}
	old, spec := m.bindings, m.Spec.Config
	m.bindings, m.dtype, m.Spec.Config = made, dt, spec.Clone()
	m.Spec.Config.DType = dt.String()
	b, err := m.rebuild()
	if err != nil {
		m.bindings.release()
		m.bindings, m.dtype, m.Spec.Config = old, was, spec
		return false, fmt.Errorf("model: to %s: %w", dt, err)
	}
	m.built, m.retired = b, append(m.retired, old)
	if m.runs == 0 {
		m.releaseRetired()
	}
	return true, nil
}

func (m *Model) rebuild() (*built, error) {
	if err := m.bind(); err != nil {
		return nil, err
	}
	return build(m)
}

func (m *Model) releaseRetired() {
	for i := range m.retired {
		m.retired[i].release()
	}
	m.retired = nil
}

// castAll rounds each tensor once, however many names it has.
func castAll(ctx context.Context, weights map[string]*tensor.Tensor, dt tensor.DType) (map[string]*tensor.Tensor, error) {
	done, made := map[*tensor.Tensor]*tensor.Tensor{}, map[string]*tensor.Tensor{}
	for name, t := range weights {
		if c, ok := done[t]; ok {
			made[name] = c.Retain()
			continue
		}
		err := ctx.Err()
		var c *tensor.Tensor
		if err == nil {
			c, err = cast(t.Retain(), dt)
		}
		if err != nil {
			for _, c := range made {
				c.Release()
			}
			return nil, err
		}
		done[t], made[name] = c, c
	}
	return made, nil
}
