// Package gotests holds black-box tests of the engine as a Go program sees it. This file keeps the import order of
// the packages: each may use those above it in the list, never those below.
package gotests

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/transformer-lens-go/transformer-lens-go/"

// The layers, uppermost first. A folder below one of these belongs to it.
var layers = []string{
	"golens/bitset",
	"golens/jsontext",
	"kernels",
	"golens/modelfile",
	"golens/pyjson",
	"golens/tensor",
	"golens/config",
	"golens/hook",
	"golens/hooked",
	"golens/backend",
	"golens/op",
	"golens/backend/cpu",     // as a driver: what it serves is above it, and one place chooses it
	"golens/backend/guarded", // for tests
	"golens/weight",
	"golens/graph",
	"golens/kvcache",
	"golens/arch",
	"golens/checkpoint",
	"golens/tokenizer",
	"golens/model",
	"pybind",
}

// Layers that use less than what is above them.
var narrower = map[string][]string{
	"golens/bitset":          {},
	"golens/jsontext":        {},
	"kernels":                {},
	"golens/modelfile":       {},
	"golens/tensor":          {},
	"golens/pyjson":          {},
	"golens/config":          {"golens/jsontext", "golens/pyjson"},
	"golens/hook":            {"golens/bitset", "golens/tensor"},
	"golens/backend":         {"golens/tensor"},
	"golens/op":              {"golens/tensor", "golens/backend"},
	"golens/backend/cpu":     {"golens/tensor", "golens/backend", "golens/op", "kernels"},
	"golens/backend/guarded": {"golens/tensor", "golens/backend"},
	"golens/weight":          {"golens/tensor", "golens/backend", "golens/op"},
	"golens/hooked":          {"golens/tensor", "golens/hook"},
	"golens/checkpoint":      {"golens/jsontext", "golens/modelfile", "golens/tensor"},
	"golens/arch":            {"golens/config", "golens/pyjson"},
	"golens/tokenizer":       {"golens/jsontext", "golens/modelfile", "golens/pyjson"},
}

// kernels are reached through a backend; pybind sets the number of their threads and the library they open.
var kernelUsers = []string{"golens/backend/cpu", "pybind"}

func layerOf(folder string) (found string, ok bool) {
	for _, layer := range layers {
		if (folder == layer || strings.HasPrefix(folder, layer+"/")) && len(layer) > len(found) {
			found, ok = layer, true
		}
	}
	return found, ok
}

// chooser is the package that says which backend there is where nobody else does.
const chooser = "golens/model"

// offence says what is wrong with a package in folder from importing another of the module, or "".
func offence(folder, imported string) string {
	from, ok := layerOf(folder)
	if !ok {
		return fmt.Sprintf("%s is in no layer: give it a place in the list of this test and in docs/architecture.md", folder)
	}
	to, ok := layerOf(imported)
	switch {
	case !ok:
		return fmt.Sprintf("%s imports %s, which is in no layer", folder, imported)
	case from == to:
		return ""
	case slices.Index(layers, to) > slices.Index(layers, from):
		return fmt.Sprintf("%s imports %s, which is below it", folder, imported)
	case to == "golens/backend/cpu" && from != chooser:
		return fmt.Sprintf("%s imports %s: backends are handed in", folder, imported)
	case to == "kernels" && !slices.Contains(kernelUsers, from):
		return fmt.Sprintf("%s imports %s: only a backend and pybind may", folder, imported)
	}
	if allowed, ok := narrower[from]; ok && !slices.Contains(allowed, to) {
		return fmt.Sprintf("%s imports %s: it may use only %v", folder, imported, allowed)
	}
	return ""
}

func TestImportsGoOneWay(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, top := range []string{"golens", "kernels", "pybind"} {
		err := fs.WalkDir(os.DirFS(root), top, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			seen++
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				inner, ours := strings.CutPrefix(imported, module)
				if !ours {
					continue
				}
				if problem := offence(path.Dir(name), inner); problem != "" {
					t.Errorf("%s: %s", name, problem)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 10 {
		t.Fatalf("only %d Go files were found under %s", seen, root)
	}
}

func TestTheRulesNotice(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		allowed          bool
	}{
		{"golens/op", "golens/tensor", true},
		{"golens/op", "golens/graph", false},
		{"golens/tensor", "golens/op", false},
		{"golens/backend/cpu", "kernels/cpu", true},
		{"golens/op", "kernels/cpu", false},
		{"golens/tokenizer", "golens/tensor", false},
		{"golens/checkpoint", "golens/tensor", true},
		{"golens/checkpoint", "golens/config", false},
		{"golens/model", "golens/tokenizer", true},
		{"pybind", "golens/model", true},
		{"golens/model", "pybind", false},
		{"kernels/cpu", "golens/tensor", false},
		{"golens/hooked", "golens/hook", true},
		{"golens/hooked", "golens/backend", false},
		{"golens/misc", "golens/tensor", false},
		{"golens/model", "bench", false},
		{"golens/backend/cpu", "golens/backend", true},
	} {
		if problem := offence(c.folder, c.imported); (problem == "") != c.allowed {
			t.Errorf("%s importing %s: %q", c.folder, c.imported, problem)
		}
	}
}
