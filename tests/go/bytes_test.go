package gotests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What gives out the bytes of a tensor, or copies them itself.
var byteAccess = []string{"Float32s", "Float64s", "Uint16s", "Uint8s", "Int64s", "Pointer", "Bytes", "Data", "CopyFrom", "Clone"}

// Where the engine above its backends does so, and why it may: what is there lies on the host wherever the rest lies.
var hostPlaces = map[string]string{
	"op/embed.go":        "ids are compared with the table's rows",
	"op/loss.go":         "the next tokens and which of them count",
	"op/take.go":         "positions that are wanted",
	"graph/cell.go":      "ids and masks that a run was given",
	"graph/outline.go":   "bytes of types, not of tensors",
	"model/forward.go":   "positions that are wanted",
	"model/load.go":      "tensors of a checkpoint, before they are placed",
	"model/load_gguf.go": "rotary factors of a checkpoint",
	"model/native.go":    "weights that are drawn, before they are placed",
	"model/past.go":      "masks",
	"model/positions.go": "masks and positions",
	"model/replaced.go":  "whether two tensors are one, by their address",
	"model/text.go":      "ids of a text",
}

// TestOnlyBackendsTouchFloats: a new place that reads or writes the bytes of tensors must say here why it may.
func TestOnlyBackendsTouchFloats(t *testing.T) {
	root, err := filepath.Abs("../../golens")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, layer := range []string{"op", "weight", "graph", "kvcache", "model"} {
		files, err := os.ReadDir(filepath.Join(root, layer))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			name := path.Join(layer, f.Name())
			for _, at := range touches(t, filepath.Join(root, name)) {
				found[name] = true
				if hostPlaces[name] == "" {
					t.Errorf("%s: bytes of tensors are a backend's business; if these lie on the host by design, say so in hostPlaces", at)
				}
			}
		}
	}
	for name := range hostPlaces {
		if !found[name] {
			t.Errorf("%s touches no bytes any more: take it off the list", name)
		}
	}
}

// touches lists the calls in a file that reach for bytes.
func touches(t *testing.T, file string) []string {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(byteAccess, selector.Sel.Name) || !ofTensor(selector.X) {
			return true
		}
		at = append(at, set.Position(call.Pos()).String())
		return true
	})
	return at
}

// ofTensor is false for packages and configurations, which have methods of such names too.
func ofTensor(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return !slices.Contains([]string{"slices", "maps", "backend", "spec", "cfg"}, x.Name)
	case *ast.SelectorExpr:
		return x.Sel.Name != "Config"
	}
	return true
}
