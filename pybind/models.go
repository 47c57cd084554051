// Models: opening, describing, configuring, parameters.
package pybind

import (
	"context"
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var models = newTable[*model.Model]("model")

type openOptions struct {
	Path            string           `json:"path"`
	Name            string           `json:"name"`
	DType           string           `json:"dtype"`
	NCtx            *int             `json:"n_ctx"`
	ConfigOverrides map[string]any   `json:"config_overrides"`
	Config          map[string]any   `json:"config"`
	Tensors         map[string]int64 `json:"tensors"`
	NoTokenizer     bool             `json:"no_tokenizer"`
}

func (o *openOptions) model() model.Options {
	m := model.Options{Name: o.Name, DType: o.DType, Overrides: o.ConfigOverrides, NoTokenizer: o.NoTokenizer}
	if o.NCtx != nil {
		m.NCtx = *o.NCtx
	}
	return m
}

// ModelOpen loads a model from a folder or a GGUF file. Options (JSON): path, name, dtype, n_ctx, config_overrides.
// cb is asked meanwhile whether to go on, as Run asks; when it raises, nothing is left, and -1 is returned.
func ModelOpen(options string, cb func(run, hook, tensor int64) int64) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	var o openOptions
	if err := decode(options, &o); err != nil {
		return 0, err
	}
	return makeModel(cb, func(ctx context.Context) (*model.Model, error) { return ofFiles(model.Open(ctx, o.Path, o.model())) })
}

// ModelFromState makes a model of a Hugging Face config and tensors in memory. Options (JSON): config, tensors
// (name to handle), name, dtype, n_ctx, config_overrides. cb is as in ModelOpen.
func ModelFromState(options string, cb func(run, hook, tensor int64) int64) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	var o openOptions
	if err := decode(options, &o); err != nil {
		return 0, err
	}
	memory := model.Memory{}
	defer func() {
		for _, t := range memory {
			t.Release()
		}
	}()
	for name, handle := range o.Tensors {
		t, err := tensor.Import(tensor.Handle(handle))
		if err != nil {
			return 0, err
		}
		memory[name] = t
	}
	opts := o.model()
	opts.Tensors = memory
	return makeModel(cb, func(ctx context.Context) (*model.Model, error) {
		return ofFiles(model.FromTensors(ctx, o.Config, opts))
	})
}

// ModelNative makes a model of a configuration (JSON by upstream's field names) with weights that are still to be
// filled, in float32. Options (JSON): config, name. cb is as in ModelOpen.
func ModelNative(options string, cb func(run, hook, tensor int64) int64) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	var o struct {
		Config *config.Config `json:"config"`
		Name   string         `json:"name"`
	}
	if err := decode(options, &o); err != nil {
		return 0, err
	}
	if o.Config == nil {
		return 0, fmt.Errorf("%w: no configuration", errValue)
	}
	return makeModel(cb, func(ctx context.Context) (*model.Model, error) {
		return model.Native(ctx, o.Config, model.Options{Name: o.Name, Blank: true})
	})
}

func makeModel(cb func(run, hook, tensor int64) int64, build func(context.Context) (*model.Model, error)) (int64, error) {
	m, err := looking(cb, build, func(m *model.Model) { _ = m.Close() }) // it fails only for what is closed already
	return handed(models, m, err)
}

// ofFiles: what goes wrong with a model's files, and has no kind of its own, is their fault. A load that was ended is not
// theirs.
func ofFiles(m *model.Model, err error) (*model.Model, error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		err = asValueError(err)
	}
	return m, err
}

// ModelRecipe says how a native model's weights are drawn, as its modules are "made" or by init_mode ("initialized"):
// a JSON list of draws.
func ModelRecipe(h int64, how string) (out string, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return "", err
	}
	recipe, err := m.Recipe(how == "initialized")
	if err != nil {
		return "", err
	}
	return encode(recipe)
}

// ModelClose ends a model. Tensors that it gave out stay valid.
func ModelClose(h int64) (out int64, err error) {
	defer guard(&err)
	m, err := models.take(h)
	if err != nil {
		return 0, err
	}
	return 0, m.Close()
}

// ModelDescribe gives the component tree, hook points and parameters as JSON.
func ModelDescribe(h int64) (out string, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return "", err
	}
	d, err := m.Describe()
	if err != nil {
		return "", err
	}
	return encode(d)
}

// ModelSetConfig writes a field of the configuration; the value is JSON.
func ModelSetConfig(h int64, key, value string) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	var v any
	if err := decode(value, &v); err != nil {
		return 0, err
	}
	return 0, m.Set(key, config.PlainNumbers(v))
}

// ModelConvert gives a model another floating dtype; parameters have new memory afterwards. cb is asked meanwhile
// whether to go on; when it raises, -1 is returned. Whether the model was converted by then, ModelDType says.
func ModelConvert(h int64, dtype string, cb func(run, hook, tensor int64) int64) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	_, err = looking(cb, func(ctx context.Context) (struct{}, error) { return struct{}{}, m.Convert(ctx, dtype) }, func(struct{}) {})
	if errors.Is(err, errRaised) {
		return ended, nil
	}
	return 0, err
}

// ModelDType is the dtype that a model computes in now.
func ModelDType(h int64) (dtype string, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return "", err
	}
	return m.DType().String(), nil
}

// ParamOpen gives a handle to a parameter's live memory.
func ParamOpen(h, index int64) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	t, err := m.Param(int(index))
	if err != nil {
		return 0, err
	}
	defer t.Release()
	return export(t)
}

// ModelTokenizer gives a handle to the tokenizer found beside the weights, 0 when there is none; the error is why one
// that is there cannot be read.
func ModelTokenizer(h int64) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	if m.Tokenizer() == nil {
		if err := m.TokenizerError(); err != nil {
			return 0, asValueError(err)
		}
		return 0, nil
	}
	return tokenizers.add(openTokenizer{m.Tokenizer(), m.Config().ModelName, 0}), nil
}

func export(t *tensor.Tensor) (int64, error) {
	h, err := t.Export()
	return int64(h), err
}
