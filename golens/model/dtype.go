// DType: the floating dtype that a model holds its weights in and rounds every activation to.
package model

import (
	"context"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
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

// cast gives a contiguous tensor of the host's in another dtype. It takes over t's reference.
func cast(t *tensor.Tensor, dt tensor.DType) (*tensor.Tensor, error) {
	if t.DType() == dt {
		return t, nil
	}
	defer t.Release()
	out, err := tensor.New(dt, t.Shape()...)
	if err != nil {
		return nil, err
	}
	if err := DefaultBackend().Launch(&op.ConvertKernel{X: t, Out: out}); err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}

// DType is the dtype of activations, and of weights as they are handed out.
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
		s, err := m.begin()
		if err != nil {
			return err
		}
		done := s.dtype() == dt
		if !done {
			done, err = m.convert(ctx, s, dt)
		}
		s.end()
		if err != nil {
			return fmt.Errorf("model: to %s: %w", dt, err)
		}
		if done {
			return nil
		}
	}
}

// convert puts rounded weights in the place of those of a session. False: others did meanwhile.
func (m *Model) convert(ctx context.Context, s *session, dt tensor.DType) (bool, error) {
	made, err := s.weights.Cast(ctx, dt)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.weights != s.weights {
		made.Release()
		if m.weights == nil {
			return false, ErrClosed
		}
		return false, nil
	}
	m.weights, m.dtype = made, dt
	s.weights.Release()
	cfg := m.Spec.Config.Clone()
	cfg.DType = dt.String()
	m.Spec.Config = cfg
	return true, nil
}
