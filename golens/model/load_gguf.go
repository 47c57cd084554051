// Loading from GGUF: metadata becomes the spec and the tokenizer, stored row orders are put back.
package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/checkpoint"
	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
)

func openGGUF(ctx context.Context, path string, o Options) (*Model, error) {
	file, err := checkpoint.OpenGGUF(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	spec, err := ggufSpec(file, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m, err := assemble(ctx, spec, ggufTensors{stored{file}}, o, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !o.NoTokenizer {
		m.tokenizer, m.tokenizerErr = ggufTokenizer(file)
	}
	return m, nil
}

// ropeFactors divide the rotary frequencies of models that were trained with scaled ones.
const ropeFactors = "rope_freqs.weight"

// ggufTensors are the weights of a GGUF file without what has become part of the spec.
type ggufTensors struct{ stored }

// Shapes implements Tensors.
func (g ggufTensors) Shapes() map[string][]int {
	shapes := g.stored.Shapes()
	delete(shapes, ropeFactors)
	return shapes
}

func ggufSpec(file *checkpoint.GGUF, o Options) (*arch.Spec, error) {
	hf, err := file.HFConfig()
	if err != nil {
		return nil, err
	}
	spec, err := arch.FromHF(o.override(hf), arch.Checkpoint{Transposed: file.Transposed, Shapes: stored{file}.Shapes()})
	if err != nil {
		return nil, err
	}
	if err := o.heeded(spec); err != nil {
		return nil, err
	}
	if _, ok := file.Entry(ropeFactors); !ok {
		return spec, nil
	}
	factors, err := file.Load(ropeFactors)
	if err != nil {
		return nil, err
	}
	defer factors.Release()
	if err := spec.Position.DivideFrequencies(factors.Float32s()); err != nil {
		return nil, fmt.Errorf("%s: %w", ropeFactors, err)
	}
	return spec, nil
}

// ggufTokenizer reads the tokenizer from the metadata; nil when the file has none.
func ggufTokenizer(file *checkpoint.GGUF) (*tokenizer.Tokenizer, error) {
	const prefix = "tokenizer.ggml."
	if !file.Has(prefix + "model") {
		return nil, nil
	}
	r := &ggufReader{file: file}
	meta := tokenizer.GGUFMeta{
		Model: r.text(prefix + "model"), Pre: r.text(prefix + "pre"), ChatTemplate: r.text("tokenizer.chat_template"),
		Tokens: r.texts(prefix + "tokens"), Merges: r.texts(prefix + "merges"), TokenTypes: r.types(prefix + "token_type"),
		BOS: r.id(prefix + "bos_token_id"), EOS: r.id(prefix + "eos_token_id"),
		UNK: r.id(prefix + "unknown_token_id"), PAD: r.id(prefix + "padding_token_id"),
		AddBOS: r.flag(prefix + "add_bos_token"), AddEOS: r.flag(prefix + "add_eos_token"),
		AddSpacePrefix: r.flag(prefix + "add_space_prefix"), Scores: r.scores(prefix + "scores"),
		Architecture: r.text("general.architecture"),
	}
	if r.err != nil {
		return nil, r.err
	}
	return tokenizer.FromGGUF(meta)
}

// ggufReader reads metadata that may be absent, and keeps the first error of metadata that is there and wrong.
type ggufReader struct {
	file *checkpoint.GGUF
	err  error
}

func read[T any](r *ggufReader, key string, absent T, get func(string) (T, error)) T {
	if !r.file.Has(key) {
		return absent
	}
	v, err := get(key)
	r.err = errors.Join(r.err, err)
	return v
}

func (r *ggufReader) text(key string) string { return read(r, key, "", r.file.String) }

func (r *ggufReader) texts(key string) []string { return read(r, key, nil, r.file.Strings) }

func (r *ggufReader) id(key string) int { return int(read(r, key, -1, r.file.Int)) }

func (r *ggufReader) flag(key string) *bool {
	if !r.file.Has(key) {
		return nil
	}
	v := read(r, key, false, r.file.Bool)
	return &v
}

func (r *ggufReader) scores(key string) []float32 {
	var scores []float32
	for _, v := range read(r, key, nil, r.file.Floats) {
		scores = append(scores, float32(v))
	}
	return scores
}

func (r *ggufReader) types(key string) []int32 {
	var types []int32
	for _, v := range read(r, key, nil, r.file.Ints) {
		types = append(types, int32(v))
	}
	return types
}

// OpenTokenizer reads the tokenizer of a model folder, a tokenizer.json or a GGUF file; nil when there is none.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("model: open tokenizer: %w", err)
	case info.IsDir():
		return folderTokenizer(path)
	}
	gguf, err := modelfile.IsGGUF(path)
	if err != nil {
		return nil, err
	}
	if !gguf && !strings.EqualFold(filepath.Ext(path), ".gguf") {
		return tokenizer.FromFile(path)
	}
	file, err := checkpoint.OpenGGUF(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ggufTokenizer(file)
}

// folderTokenizer is the tokenizer of a model folder; nil when the folder has none.
func folderTokenizer(dir string) (*tokenizer.Tokenizer, error) {
	tok, err := tokenizer.FromDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return tok, err
}
