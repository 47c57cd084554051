// Tests inside the package: the graphs of all flags fit each other, so that a run may go from one to the other.
package model

import (
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// TestValueNames: in no graph do two values have a name in common (graph appends ' to the second), or could a
// value be taken for another when a run goes over to another graph.
func TestValueNames(t *testing.T) {
	hf := map[string]any{"architectures": []any{"LlamaForCausalLM"}, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 2, "hidden_size": 8, "intermediate_size": 12, "vocab_size": 9}
	spec, err := arch.FromHF(hf, arch.Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	memory := Memory{}
	for _, want := range spec.Weights.Tensors {
		if memory[want.Name], err = tensor.Zeros(tensor.Float32, want.Shape...); err != nil {
			t.Fatal(err)
		}
		defer memory[want.Name].Release()
	}
	m, err := FromTensors(t.Context(), hf, Options{Tensors: memory})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	points := map[string]bool{} // by the value's name: it is behind a hook point
	for bits := range 1 << len(graphFlags) {
		for i, flag := range graphFlags {
			if err := m.Set(flag, bits>>i&1 == 1); err != nil && !strings.Contains(err.Error(), "exclude each other") {
				t.Fatal(err)
			}
		}
		values := 0
		for _, n := range m.built.g.Nodes {
			for _, v := range n.Out {
				name := m.built.g.NameOf(v)
				values++
				if strings.HasSuffix(name, "'") {
					t.Errorf("flags %b: two values have the name of %s", bits, name)
				}
				if is, known := points[name]; known && is != (n.Op == nil) {
					t.Errorf("%s is a hook point under some flags only", name)
				}
				points[name] = n.Op == nil
			}
		}
		if values < 100 {
			t.Fatalf("flags %b: the graph has only %d values", bits, values)
		}
	}
}
