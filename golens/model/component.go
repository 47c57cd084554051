// Component: running a part of the model by itself, with its own hooks.
package model

import (
	"context"
	"fmt"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Arguments are what a component is called on. Only X is always given.
type Arguments struct {
	X         *tensor.Tensor // what goes in: ids, positions or activations
	Mask      *tensor.Tensor // int64 [batch, pos]
	Positions *tensor.Tensor // int64 [1 or batch, pos]; nil: 0, 1, 2, …
	Cos, Sin  *tensor.Tensor // [1 or batch, pos, rotary_dim], in place of those for Positions
	Watch
}

// Call runs one component ("ln_final", "blocks.3", "blocks.3.attn", "blocks.3.mlp.out") by itself. An attention
// component returns its pattern as Extra, the rotary one the sines.
func (m *Model) Call(ctx context.Context, name string, a *Arguments) (*Result, error) {
	s, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	c, ok := s.components[name]
	if !ok {
		if _, exists := m.Spec.Tree.Component(name); exists {
			return nil, &config.Error{Kind: "NotImplementedError", Field: name, Text: "this component cannot be called by itself (under the flags that are set now)"}
		}
		return nil, fmt.Errorf("%w: no component %q", ErrInput, name)
	}
	if a.X == nil {
		return nil, fmt.Errorf("%w: %s was called without an input", ErrInput, name)
	}
	x, err := m.componentInput(name, a.X)
	if err != nil {
		return nil, err
	}
	defer x.Release()
	k, err := m.ask(s, &a.Watch, name)
	if err != nil {
		return nil, err
	}
	k.q.Want, k.q.Active = c.out, c.active()
	if shape := x.Shape(); len(shape) > 1 {
		k.batch, k.pos = shape[0], shape[1]
	}
	k.env.Given.Put(c.in, x)
	k.env.Renew = func() (*graph.Renewal, error) {
		now := m.current()
		c, ok := now.components[name]
		if !ok { // the flag takes effect on the next call
			return nil, nil
		}
		return &graph.Renewal{Graph: now.g, Want: c.out, Active: c.active()}, nil
	}
	if (a.Cos == nil) != (a.Sin == nil) || (a.Cos != nil && s.cos == graph.None) {
		return nil, fmt.Errorf("%w: cosines and sines go together, and only with rotary positions", ErrInput)
	}
	if a.Cos != nil {
		k.env.Given.Put(s.cos, a.Cos)
		k.env.Given.Put(s.sin, a.Sin)
	}
	made, err := m.giveBeside(k, x, a)
	defer release(made)
	if err != nil {
		return nil, err
	}
	views, err := k.giveOuter(a.Outer)
	defer release(views)
	if err != nil {
		return nil, err
	}
	answer, err := k.run(ctx)
	if err != nil {
		return nil, err
	}
	r := &Result{Output: answer.Values[c.out[0]], Kept: answer.Kept}
	for _, v := range c.out[1:] {
		r.Extra = append(r.Extra, answer.Values[v])
	}
	return r, m.componentOutput(name, r)
}

// giveBeside hands over what a component reads beside its input. It returns what it made, for the caller to release.
func (m *Model) giveBeside(k *asking, x *tensor.Tensor, a *Arguments) ([]*tensor.Tensor, error) {
	switch {
	case len(x.Shape()) < 2:
		return nil, nil
	case k.env.Given.Get(k.positions) == nil:
		return m.givePositions(k, a.Mask, a.Positions, span{batch: x.Dim(0), pos: x.Dim(1)})
	}
	// The embedding of positions reads the tokens' only for the number of rows: one for each row of positions here.
	like, err := m.backend.Alloc(k.dtype(), x.Dim(0), x.Dim(1), m.Spec.DModel)
	if err != nil {
		return nil, err
	}
	k.env.Given.Put(k.embedded, like)
	return []*tensor.Tensor{like}, nil
}

// componentInput gives a projection of heads its input by head: upstream's modules take and give it flat.
func (m *Model) componentInput(name string, x *tensor.Tensor) (*tensor.Tensor, error) {
	if strings.HasSuffix(name, ".attn.o") && len(x.Shape()) == 3 && x.Dim(2) == m.Spec.NHeads*m.Spec.DHead {
		return x.Reshape(x.Dim(0), x.Dim(1), m.Spec.NHeads, m.Spec.DHead)
	}
	return x.Retain(), nil
}

func (m *Model) componentOutput(name string, r *Result) error {
	for _, suffix := range []string{".attn.q", ".attn.k", ".attn.v"} {
		if strings.HasSuffix(name, suffix) && len(r.Output.Shape()) == 4 {
			flat, err := r.Output.Reshape(r.Output.Dim(0), r.Output.Dim(1), r.Output.Dim(2)*r.Output.Dim(3))
			if err != nil {
				r.Release()
				return err
			}
			r.Output.Release()
			r.Output = flat
		}
	}
	return nil
}
