// Models: opening, describing, configuring, parameters.
package pybind

import (
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
}

func (o *openOptions) model() model.Options {
	m := model.Options{Name: o.Name, DType: o.DType, Overrides: o.ConfigOverrides}
	if o.NCtx != nil {
		m.NCtx = *o.NCtx
	}
	return m
}

// ModelOpen loads a model from a folder or a GGUF file. Options (JSON): path, name, dtype, n_ctx, config_overrides.
func ModelOpen(options string) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	var o openOptions
	if err := decode(options, &o); err != nil {
		return 0, err
	}
	m, err := model.Open(o.Path, o.model())
	if err != nil {
		return 0, err
	}
	return models.add(m), nil
}

// ModelFromState makes a model of a Hugging Face config and tensors in memory. Options (JSON): config, tensors
// (name to handle), name, dtype, n_ctx, config_overrides.
func ModelFromState(options string) (h int64, err error) {
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
	m, err := model.FromTensors(o.Config, opts)
	if err != nil {
		return 0, err
	}
	return models.add(m), nil
}

// ModelNative makes a model of a configuration (JSON by upstream's field names) with weights that are still to be
// filled, in float32. Options (JSON): config, name.
func ModelNative(options string) (h int64, err error) {
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
	m, err := model.Native(o.Config, model.Options{Name: o.Name, Blank: true})
	if err != nil {
		return 0, err
	}
	return models.add(m), nil
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

// ModelConvert gives a model another floating dtype; parameters have new memory afterwards.
func ModelConvert(h int64, dtype string) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	return 0, m.Convert(dtype)
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
	return export(t)
}

// ModelTokenizer gives a handle to the tokenizer found beside the weights, 0 when there is none.
func ModelTokenizer(h int64) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil || m.Tokenizer() == nil {
		return 0, err
	}
	return tokenizers.add(openTokenizer{m.Tokenizer(), m.Config().ModelName}), nil
}

func export(t *tensor.Tensor) (int64, error) {
	h, err := t.Export()
	return int64(h), err
}
