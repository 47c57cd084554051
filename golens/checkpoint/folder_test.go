package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func oneTensor(name string, value float32) string {
	return string(safetensorsBytes(`{"`+name+`":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, floatBytes(value)))
}

func TestOpenFolderChooses(t *testing.T) {
	index := `{"metadata":{"total_size":8,"more":[1,{"a":null}]},"weight_map":{"y":"two.safetensors","x":"one.safetensors"}}`
	shards := map[string]string{
		"one.safetensors": oneTensor("x", 1), "two.safetensors": oneTensor("y", 2), "model.safetensors.index.json": index,
	}
	before := tensor.Count().Storages
	s, err := OpenFolder(folder(t, shards))
	if err != nil {
		t.Fatal(err)
	}
	if names := s.Names(); !slices.Equal(names, []string{"y", "x"}) {
		t.Errorf("names %v", names)
	}
	for name, want := range map[string]float32{"x": 1, "y": 2} {
		x, err := s.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		sameBits(t, name, x.Float32s(), []float32{want})
		x.Release()
	}
	s.Close()
	if left := tensor.Count().Storages - before; left != 0 {
		t.Errorf("%d storages are left", left)
	}
	shards["model.safetensors"] = oneTensor("z", 3)
	s, err = OpenFolder(folder(t, shards))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if names := s.Names(); !slices.Equal(names, []string{"z"}) {
		t.Errorf("the single file should win: %v", names)
	}
}

func TestOpenFolderRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		is    error
		says  []string
	}{
		{"nothing", nil, ErrNoWeights, []string{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}},
		{"torch", map[string]string{"pytorch_model.bin": ""}, ErrUnsupported, []string{"save_pretrained", "pytorch_model.bin"}},
		{"torch shards", map[string]string{"pytorch_model.bin.index.json": ""}, ErrUnsupported, []string{"save_pretrained"}},
		{"gguf", map[string]string{"m.gguf": ""}, ErrNoWeights, []string{"m.gguf", "own path"}},
	} {
		_, err := OpenFolder(folder(t, c.files))
		if !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, words := range c.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v does not say %q", c.name, err, words)
			}
		}
	}
	if _, err := OpenFolder(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent folder: %v", err)
	}
	if _, err := OpenFolder(writeFile(t, "file", []byte("x"))); !errors.Is(err, ErrNoWeights) {
		t.Errorf("a file: %v", err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNoWeights) {
		t.Errorf("a broken link: %v", err)
	}
}

func TestShardsMalformed(t *testing.T) {
	for _, c := range []struct {
		name, index string
		says        string
	}{
		{"missing shards", `{"weight_map":{"x":"one.safetensors","y":"two.safetensors","z":"three.safetensors"}}`, `["two.safetensors" "three.safetensors"]`},
		{"damaged shard", `{"weight_map":{"x":"bad.safetensors"}}`, "bad.safetensors"},
		{"path out of the folder", `{"weight_map":{"x":"../one.safetensors"}}`, "same folder"},
		{"absolute path", `{"weight_map":{"x":"/one.safetensors"}}`, "same folder"},
		{"parent", `{"weight_map":{"x":".."}}`, "same folder"},
		{"no name", `{"weight_map":{"x":""}}`, "same folder"},
		{"not a name", `{"weight_map":{"x":7}}`, "a string"},
		{"twice", `{"weight_map":{"x":"one.safetensors","x":"one.safetensors"}}`, `"x" twice`},
		{"no map", `{"metadata":{}}`, "weight_map"},
		{"empty map", `{"weight_map":{}}`, "no tensors"},
		{"empty file", ``, "end of the text"},
		{"deep", `{"metadata":` + strings.Repeat("[", 1000), "nesting"},
		{"cut short", `{"weight_map":{"x":"one.safetensors"`, "end of the text"},
		{"text behind", `{"weight_map":{"x":"one.safetensors"}}x`, "nothing but spaces"},
	} {
		before := tensor.Count().Storages
		dir := folder(t, map[string]string{
			"model.safetensors.index.json": c.index, "one.safetensors": oneTensor("x", 1), "bad.safetensors": "no",
		})
		if _, err := OpenFolder(dir); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v should say %q", c.name, err, c.says)
		}
		if left := tensor.Count().Storages - before; left != 0 {
			t.Errorf("%s: %d storages are left", c.name, left)
		}
	}
}
