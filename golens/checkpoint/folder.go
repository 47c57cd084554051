// Which file of a Hugging Face model folder holds the weights.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

var torchFiles = []string{"pytorch_model.bin", "pytorch_model.bin.index.json"}

// OpenFolder opens the weights of a model folder: model.safetensors, else the shards of
// model.safetensors.index.json. Anything else is an error that says what to do.
func OpenFolder(dir string) (Source, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open model folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("checkpoint: %s is a file, not a model folder: %w", dir, ErrNoWeights)
	}
	if path, ok := present(dir, singleFile); ok {
		return OpenSafetensors(path)
	}
	if path, ok := present(dir, indexFile); ok {
		return OpenShards(path)
	}
	for _, name := range torchFiles {
		if path, ok := present(dir, name); ok {
			return nil, fmt.Errorf("checkpoint: %s holds torch weights, which cannot be read yet: %w; convert them once in "+
				"Python: transformers.AutoModelForCausalLM.from_pretrained(%q).save_pretrained(new_folder)", path, ErrUnsupported, dir)
		}
	}
	return nil, fmt.Errorf("checkpoint: %s: %w: looked for %s, %s and %s%s", dir, ErrNoWeights,
		singleFile, indexFile, strings.Join(torchFiles, ", "), insteadOf(dir))
}

func present(dir, name string) (string, bool) {
	path := filepath.Join(dir, name)
	// Lstat, so that a link whose target is gone is opened and reported rather than passed over.
	_, err := os.Lstat(path)
	return path, !errors.Is(err, fs.ErrNotExist)
}

// insteadOf names weights that are there but need to be opened by their own path.
func insteadOf(dir string) string {
	files, _ := os.ReadDir(dir) // only a hint: an unreadable folder has none to give
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext == ".gguf" || ext == ".safetensors" {
			return fmt.Sprintf("; there is %s, which can be opened by its own path", f.Name())
		}
	}
	return ""
}
