// Reading the files of a tokenizer.

package tokenizer

import (
	"path/filepath"

	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
)

// maxFile bounds a file that is read whole. The largest vocabularies take some forty megabytes.
const maxFile = 1 << 29

func readFile(path string) ([]byte, error) { return modelfile.Read(path, filepath.Base(path), maxFile) }
