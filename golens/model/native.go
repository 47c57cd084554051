// Native: a model from a configuration alone, with weights drawn by a generator of Go's, or left to the caller.
package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Native builds a small transformer from a configuration. Its weights are drawn as InitWeights says, or, where
// cfg.InitWeights is false, as Construction does; with o.Blank they are left at 0. Of the options, Name (in
// place of "native"), DType and Blank count. It ends between two weights when the context does, and leaves nothing.
func Native(ctx context.Context, cfg *config.Config, o Options) (*Model, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	spec, err := arch.Native(cfg)
	if err != nil {
		return nil, err
	}
	if spec.Config.InitWeights {
		if _, err := spec.Initialization(spec.Config); err != nil {
			return nil, err
		}
	}
	spec.Config.ModelName, spec.Config.DType = o.Name, "float32"
	if o.Name == "" {
		spec.Config.ModelName = "native"
	}
	weights := map[string]*tensor.Tensor{}
	for _, t := range spec.Weights.Tensors {
		w, err := blank(ctx, t.Shape)
		if err != nil {
			for _, made := range weights {
				made.Release()
			}
			return nil, fmt.Errorf("model: %s: %w", t.Name, err)
		}
		weights[t.Name] = w
	}
	m, err := newModel(spec, weights, tensor.Float32, o.device())
	if err != nil {
		return nil, err
	}
	switch {
	case o.Blank:
	case cfg.InitWeights:
		err = m.InitWeights()
	default:
		err = m.fill(spec.Construction())
	}
	if err == nil {
		err = m.Convert(ctx, o.DType) // drawn in float32, whatever the dtype, so that one seed gives one model
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// blank is a float32 tensor of zeros.
func blank(ctx context.Context, shape []int) (*tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := tensor.New(tensor.Float32, shape...)
	if err == nil {
		clear(t.Float32s())
	}
	return t, err
}

// Recipe says how a native model's weights are drawn: as its modules are made, or (initialize) by init_mode under the
// configuration as it is now.
func (m *Model) Recipe(initialize bool) ([]arch.Draw, error) {
	if m.Spec.Architecture != arch.NativeArchitecture {
		return nil, &config.Error{Kind: "RuntimeError", Text: fmt.Sprintf("init_weights is only for native models, made by boot_native; this one is a %s with weights of its own", m.Spec.Architecture)}
	}
	if !initialize {
		return m.Spec.Construction(), nil
	}
	return m.Spec.Initialization(m.Config())
}

// InitWeights draws a native model's weights afresh, by init_mode and initializer_range. The generator is PCG
// (math/rand/v2) with cfg.Seed, twice, as its seed; without one, the program's own.
func (m *Model) InitWeights() error {
	recipe, err := m.Recipe(true)
	if err != nil {
		return err
	}
	return m.fill(recipe)
}

func (m *Model) fill(recipe []arch.Draw) error {
	normal, uniform := rand.NormFloat64, rand.Float64
	if seed := m.Config().Seed; seed != nil {
		r := rand.New(rand.NewPCG(uint64(*seed), uint64(*seed)))
		normal, uniform = r.NormFloat64, r.Float64
	}
	for _, d := range recipe {
		if err := m.draw(d, normal, uniform); err != nil {
			return err
		}
	}
	return nil
}

// draw fills one parameter.
func (m *Model) draw(d arch.Draw, normal, uniform func() float64) error {
	index := slices.IndexFunc(m.Params(), func(p Param) bool { return p.Component+"."+p.Name == d.Parameter })
	t, err := m.Param(index)
	if err != nil {
		return fmt.Errorf("model: %s: %w", d.Parameter, err)
	}
	defer t.Release()
	drawn, err := tensor.New(tensor.Float32, t.Shape()...)
	if err != nil {
		return err
	}
	defer drawn.Release()
	values := drawn.Float32s()
	for i := range values {
		v := d.A
		switch d.Kind {
		case "normal":
			v += d.B * normal()
		case "uniform":
			v += (d.B - d.A) * uniform()
		}
		values[i] = float32(v * d.Factor)
	}
	placed, err := backend.Place(m.backend, drawn)
	if err != nil {
		return err
	}
	defer placed.Release()
	return m.backend.Launch(&op.ConvertKernel{X: placed, Out: t})
}
