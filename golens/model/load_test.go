// Tests of loading from files: GGUF against the same weights in Hugging Face's layout, and what is refused.
package model_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/checkpoint"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// asHuggingFace is a GGUF file's weights under their Hugging Face names, as those checkpoints lay them out.
func asHuggingFace(t *testing.T, path string) (map[string]any, model.Memory) {
	t.Helper()
	file, err := checkpoint.OpenGGUF(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hf, err := file.HFConfig()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := arch.FromHF(hf, arch.Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	memory := model.Memory{}
	for _, want := range spec.Weights.Tensors {
		name, ok := file.TensorName(want.Name)
		if _, stored := file.Entry(name); !ok || !stored {
			continue // tied
		}
		w, err := file.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		heads, err := file.PermutedHeads(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if heads > 0 {
			straight, err := checkpoint.UnpermuteQK(w, heads)
			if err != nil {
				t.Fatal(err)
			}
			w.Release()
			w = straight
		}
		if file.Transposed(want.Name) {
			w = turned(t, w)
		}
		memory[want.Name] = w
	}
	return hf, memory
}

// turned is the transposed matrix, in place of w.
func turned(t *testing.T, w *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	defer w.Release()
	rows, cols := w.Dim(0), w.Dim(1)
	out, err := tensor.New(tensor.Float32, cols, rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range w.Float32s() {
		out.Float32s()[i%cols*rows+i/cols] = v
	}
	return out
}

func TestGGUF(t *testing.T) {
	for _, family := range []string{"gpt2", "llama", "qwen2"} {
		t.Run(family, func(t *testing.T) {
			path := filepath.Join("..", "checkpoint", "testdata", family+".gguf")
			before := tensor.Count().Storages
			m, err := model.Open(t.Context(), path, model.Options{Name: family})
			if err != nil {
				t.Fatal(err)
			}
			hf, memory := asHuggingFace(t, path)
			same := open(t, hf, memory)
			tokens, err := tensor.FromInt64s([]int64{1, 5, 3, 0, 2, 2, 4}, 1, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, stop := range []int{model.NoLayer, 1} {
				in := asking(tokens)
				in.Stop = stop
				sameBits(t, "output", runOnce(t, m, in), runOnce(t, same, in))
			}
			if m.Config().ModelName != family {
				t.Errorf("the model is called %q", m.Config().ModelName)
			}
			m.Close()
			same.Close()
			release(memory)
			tokens.Release()
			if after := tensor.Count().Storages; after != before {
				t.Errorf("%d storages are left behind", after-before)
			}
		})
	}
}

// runOnce gives a run's output, and keeps nothing of the run.
func runOnce(t *testing.T, m *model.Model, in *model.Input) []float32 {
	t.Helper()
	r, err := m.Forward(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	return copied(r.Output)
}

func TestOpenRefuses(t *testing.T) {
	empty := t.TempDir()
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("config.json", `{"architectures": ["GPT2LMHeadModel"], `)
	for _, c := range []struct {
		path    string
		options model.Options
		is      error
		says    string
	}{
		{filepath.Join(empty, "nowhere"), model.Options{}, fs.ErrNotExist, "nowhere"},
		{empty, model.Options{}, nil, "no config.json"},
		{folder, model.Options{}, nil, "is not JSON"},
		{write("model.onnx", "x"), model.Options{}, nil, "pass its folder"},
		{write("model.gguf", "GGUF"), model.Options{}, nil, "model.gguf"},
		{empty, model.Options{DType: "float33"}, nil, "float33"},
		{empty, model.Options{DType: "int32"}, nil, "expected one of float32, float64, float16, bfloat16"},
	} {
		before := tensor.Count().Storages
		m, err := model.Open(t.Context(), c.path, c.options)
		if err == nil || m != nil || !strings.Contains(err.Error(), c.says) || (c.is != nil && !errors.Is(err, c.is)) {
			t.Errorf("%s %+v: error %v, want one that says %q", c.path, c.options, err, c.says)
		}
		if after := tensor.Count().Storages; after != before {
			t.Errorf("%s: %d storages are left behind", c.path, after-before)
		}
	}
}

// TestPositions: what the model makes of a mask, as its position table is asked.
func TestPositions(t *testing.T) {
	m := tiny(t, "gpt2")
	straight := []int64{0, 1, 2, 3, 4}
	for _, c := range []struct {
		name     string
		mask     []int64
		embedded bool
		want     []int64
	}{
		{"no mask", nil, false, straight},
		{"nothing masked", []int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, false, straight},
		{"padded right", []int64{1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, false, straight},
		{"padded left", []int64{0, 0, 1, 1, 1, 0, 1, 1, 1, 1}, false, []int64{0, 0, 0, 1, 2, 0, 0, 1, 2, 3}},
		{"one left, one right", []int64{0, 0, 1, 1, 1, 1, 1, 1, 0, 0}, false, []int64{0, 0, 0, 1, 2, 0, 1, 2, 3, 4}},
		{"a hole", []int64{1, 1, 0, 1, 1, 1, 1, 1, 1, 1}, false, []int64{0, 1, 1, 2, 3, 0, 1, 2, 3, 4}},
		{"nothing but padding", []int64{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, false, straight},
		{"embeddings", []int64{0, 0, 1, 1, 1, 1, 1, 1, 1, 1}, true, []int64{0, 0, 0, 1, 2, 0, 1, 2, 3, 4}},
		{"embeddings, padded right", []int64{1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, true, straight},
	} {
		in := asking(words(t, 2, 5))
		if c.mask != nil {
			in.Mask = integers(t, c.mask, 2, 5)
		}
		if c.embedded {
			in.Tokens, in.Embeds = nil, floats(t, 2, 5, 32)
		}
		in.Keep = bitset.Of(point(t, m, "pos_embed.hook_in"))
		got := run(t, m, in).Kept[0].T
		if got.Dim(0)*5 != len(c.want) {
			t.Errorf("%s: positions of shape %v, want %v", c.name, got.Shape(), c.want)
			continue
		}
		for i, want := range c.want {
			if got.Int64s()[i] != want {
				t.Errorf("%s: positions %v, want %v", c.name, got.Int64s(), c.want)
				break
			}
		}
	}
}
