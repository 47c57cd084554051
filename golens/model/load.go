// Load: a model from a Hugging Face folder, a GGUF file, or tensors in memory.
package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/checkpoint"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/weight"
)

// Options say how to load a model. The zero value loads it as it is.
type Options struct {
	Name      string          // cfg.model_name
	DType     string          // what the model holds its weights and computes in; "" is float32
	NCtx      int             // context length in place of the checkpoint's; 0: as it is
	Overrides map[string]any  // config.json keys; nil is null
	Tensors   Tensors         // for FromTensors
	Blank     bool            // for Native: the weights are the caller's to fill
	Backend   backend.Backend // what computes; nil: DefaultBackend
	// NoTokenizer leaves the tokenizer beside the weights alone.
	NoTokenizer bool
}

// Tensors is where weights come from: an open checkpoint, or a model that is in memory already.
type Tensors interface {
	Shapes() map[string][]int
	// Load gives a tensor in that dtype, without a copy where it is stored so.
	Load(name string, dt tensor.DType) (*tensor.Tensor, error)
}

// storedTensors are Tensors that can be had as they are stored.
type storedTensors interface {
	// LoadStored is Load, but gives a tensor in the form it is stored in where a model of that dtype keeps it so.
	LoadStored(name string, dt tensor.DType) (*tensor.Tensor, error)
}

// stored makes Tensors of an open checkpoint.
type stored struct{ checkpoint.Source }

// Shapes implements Tensors.
func (s stored) Shapes() map[string][]int {
	shapes := map[string][]int{}
	for _, name := range s.Names() {
		if e, ok := s.Entry(name); ok {
			shapes[name] = e.Shape
		}
	}
	return shapes
}

// Load implements Tensors.
// LoadStored implements storedTensors.
func (s stored) LoadStored(name string, dt tensor.DType) (*tensor.Tensor, error) {
	if e, ok := s.Entry(name); ok {
		if raw, ok := e.Kind.DType(); ok && weight.Stays(raw, dt) {
			return s.LoadRaw(name)
		}
	}
	return s.Load(name, dt)
}

func (s stored) Load(name string, dt tensor.DType) (*tensor.Tensor, error) {
	if e, ok := s.Entry(name); ok && dt != tensor.Float32 {
		if raw, ok := e.Kind.DType(); ok && raw == dt {
			return s.LoadRaw(name)
		}
	}
	t, err := s.Source.Load(name)
	if err != nil {
		return nil, err
	}
	return cast(t, dt)
}

// Open loads a model from a folder (config.json and safetensors) or a GGUF file, whatever its name. It ends between two
// tensors when the context does, and leaves nothing.
func Open(ctx context.Context, path string, o Options) (*Model, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("model: open %s: %w", path, err)
	}
	if info.IsDir() {
		return openFolder(ctx, path, o)
	}
	gguf, err := modelfile.IsGGUF(path)
	if err != nil {
		return nil, err
	}
	if gguf || strings.EqualFold(filepath.Ext(path), ".gguf") {
		return openGGUF(ctx, path, o)
	}
	what, err := modelfile.What(path)
	if err != nil {
		return nil, err
	}
	return nil, &config.Error{Kind: config.ValueError, Text: fmt.Sprintf("%s is not a GGUF file: it is %s; for a Hugging Face model pass its folder, %s",
		path, what, filepath.Dir(path))}
}

func (o *Options) check() error {
	if o.DType == "" {
		o.DType = "float32"
	}
	_, err := parseDType(o.DType)
	return err
}

func openFolder(ctx context.Context, dir string, o Options) (*Model, error) {
	hf, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	source, err := checkpoint.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	m, err := fromTensors(ctx, hf, stored{source}, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", dir, err, lacking(source, err))
	}
	if !o.NoTokenizer {
		m.tokenizer, m.tokenizerErr = folderTokenizer(dir)
	}
	return m, nil
}

// lacking adds to an error about missing tensors which shards should have held them.
func lacking(source checkpoint.Source, err error) string {
	file, ok := source.(*checkpoint.File)
	if !ok || !errors.Is(err, arch.ErrMissingTensor) {
		return ""
	}
	if shards := file.Lacking(); len(shards) > 0 {
		return fmt.Sprintf("; by the index %s should hold more tensors than there are: not downloaded whole, or another model's",
			strings.Join(shards, ", "))
	}
	return ""
}

// maxConfig bounds config.json, which is read whole. Those with the longest lists have some hundred kilobytes.
const maxConfig = 4 << 20

func readConfig(dir string) (map[string]any, error) {
	path := filepath.Join(dir, "config.json")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a model folder: it has no config.json (expected config.json and safetensors, or the path of a GGUF file): %w", dir, err)
	}
	raw, err := modelfile.Read(path, "config.json", maxConfig)
	if err != nil {
		return nil, err
	}
	hf, err := config.ParseObject(raw)
	if err != nil {
		return nil, &config.Error{Kind: config.ValueError, Text: fmt.Sprintf("%s is %v; expected a JSON object", path, err)}
	}
	return hf, nil
}

// FromTensors makes a model from a Hugging Face config and tensors in memory, which it shares where it can: their
// owner keeps borrowed ones alive as long as the model. The context is as in Open.
func FromTensors(ctx context.Context, hf map[string]any, o Options) (*Model, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return fromTensors(ctx, hf, o.Tensors, o)
}

func fromTensors(ctx context.Context, hf map[string]any, source Tensors, o Options) (*Model, error) {
	shapes := source.Shapes()
	spec, err := arch.FromHF(o.override(hf), arch.Checkpoint{Shapes: shapes})
	if err != nil {
		return nil, err
	}
	if err := o.heeded(spec); err != nil {
		return nil, err
	}
	if heads := arch.OtherHeads(shapes); len(heads) > 0 {
		spec.Warnings = append(spec.Warnings, "the checkpoint's other head is not loaded: "+strings.Join(heads, ", "))
	}
	return assemble(ctx, spec, source, o, nil)
}

// override is hf with the caller's keys put in; nil (null) leaves a key at what null means for the architecture.
func (o *Options) override(hf map[string]any) map[string]any {
	merged := maps.Clone(hf)
	maps.Copy(merged, o.Overrides)
	if o.NCtx > 0 {
		key := "max_position_embeddings"
		if _, ok := hf["n_positions"]; ok || hf["model_type"] == "gpt2" {
			key = "n_positions"
		}
		merged[key] = o.NCtx
	}
	return merged
}

// heeded refuses overrides that nothing reads: what a file has too much is passed over, what a caller asks for is not.
func (o *Options) heeded(spec *arch.Spec) error {
	for _, key := range spec.Ignored {
		if _, asked := o.Overrides[key]; asked {
			return &config.Error{Kind: config.ValueError, Field: "hf_config_overrides", Text: fmt.Sprintf("%q is no key that a %s "+
				"reads, so it would change nothing", key, spec.Architecture)}
		}
	}
	return nil
}

// naming says how a checkpoint's names and row orders differ from Hugging Face's; nil: not at all.
type naming interface {
	TensorName(hf string) (string, bool)
	PermutedHeads(hf string) (int, error)
}

// assemble loads every tensor that the spec wants and makes the model.
func assemble(ctx context.Context, spec *arch.Spec, source Tensors, o Options, names naming) (*Model, error) {
	spec.Config.ModelName = o.Name
	dt, err := parseDType(o.DType)
	if err != nil {
		return nil, err
	}
	spec.Config.DType = dt.String()
	var rename func(string) string
	if names != nil {
		rename = func(hf string) string {
			name, _ := names.TensorName(hf)
			return name
		}
	}
	bound, err := spec.Weights.Bind(source.Shapes(), rename)
	if err != nil {
		return nil, err
	}
	l := &loader{source: source, dtype: dt, names: names, bound: bound, matrices: matrices(&spec.Weights),
		loaded: map[string]*tensor.Tensor{}, weights: map[string]*tensor.Tensor{}}
	for _, t := range spec.Weights.Tensors {
		err := ctx.Err()
		if err == nil {
			err = l.load(t)
		}
		if err != nil {
			l.release()
			return nil, err
		}
	}
	return newModel(spec, l.weights, dt, o.device())
}

// loader loads each checkpoint tensor once, however many names it serves.
type loader struct {
	source   Tensors
	dtype    tensor.DType
	names    naming
	matrices map[string]bool           // by the spec's name
	bound    map[string]string         // the spec's name to the checkpoint's
	loaded   map[string]*tensor.Tensor // by the checkpoint's name; references belong to weights
	weights  map[string]*tensor.Tensor // by the spec's name
}

func (l *loader) release() {
	for _, t := range l.weights {
		t.Release()
	}
}

func (l *loader) load(want arch.Tensor) error {
	name := l.bound[want.Name]
	if t, ok := l.loaded[name]; ok {
		l.weights[want.Name] = t.Retain()
		return nil
	}
	t, err := l.read(want.Name, name)
	if err != nil {
		return err
	}
	if partner := l.loaded[l.bound[want.TiedTo]]; want.TiedTo != "" && partner != nil && sameValues(t, partner) {
		t.Release()
		t = partner.Retain()
	}
	l.loaded[name], l.weights[want.Name] = t, t
	return nil
}

// read loads a tensor with its rows in the order that the spec expects.
func (l *loader) read(hf, name string) (*tensor.Tensor, error) {
	heads := 0
	if l.names != nil {
		var err error
		if heads, err = l.names.PermutedHeads(hf); err != nil {
			return nil, err
		}
	}
	load := l.source.Load
	if s, ok := l.source.(storedTensors); ok && l.matrices[hf] {
		load = s.LoadStored
	}
	t, err := load(name, l.dtype)
	if err != nil || heads == 0 {
		return t, err
	}
	defer t.Release()
	return checkpoint.UnpermuteQK(t, heads)
}

// matrices are the tensors that operations read as matrices and tables alone: those may stay as they are stored.
func matrices(w *arch.WeightMap) map[string]bool {
	stay := map[string]bool{}
	for _, ref := range w.Refs {
		is := ref.Layout != arch.Vector
		was, known := stay[ref.Name]
		stay[ref.Name] = is && (was || !known)
	}
	return stay
}

// sameValues: tied tensors that a checkpoint stores twice are one parameter.
func sameValues(a, b *tensor.Tensor) bool {
	return a.DType() == b.DType() && a.Contiguous() && b.Contiguous() && bytes.Equal(a.Bytes(), b.Bytes())
}
