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

// insteadOf says what is there in place of weights, and what to do about it.
func insteadOf(dir string) string {
	if unfinished := firstOf(dir, "*.incomplete", "*.part", "*.crdownload", "*.aria2", ".cache/huggingface/download/*.incomplete"); unfinished != "" {
		return fmt.Sprintf("; there is %s, which is a download that was not finished: fetch the model again", unfinished)
	}
	if shard := firstOf(dir, "*-of-*.safetensors"); shard != "" {
		return fmt.Sprintf("; there are shards (%s, …) without %s, which says where each tensor lies: fetch that file too, from where they came",
			shard, indexFile)
	}
	if adapter := firstOf(dir, "adapter_model.*"); adapter != "" {
		return fmt.Sprintf("; %s is an adapter to another model's weights: merge the two first (peft: merge_and_unload, save_pretrained)", adapter)
	}
	if file := firstOf(dir, "*.safetensors"); file != "" {
		return fmt.Sprintf("; there is %s: if it holds the model's weights, rename it to %s", file, singleFile)
	}
	if file := firstOf(dir, "*.gguf"); file != "" {
		return fmt.Sprintf("; there is %s, which can be opened by its own path", file)
	}
	return ""
}

// firstOf is the first file of the folder that one of the patterns fits, "" for none.
func firstOf(dir string, patterns ...string) string {
	for _, pattern := range patterns {
		// The folder's own name may look like a pattern. Errors are about patterns, and these are right.
		if found, _ := fs.Glob(os.DirFS(dir), pattern); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
