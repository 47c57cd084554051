// A tiny model in a folder, as Hugging Face would save it, for the tests of this directory.
package gotests_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// gpt2Shapes are the tensors of a GPT-2 of two layers, two heads and eight dimensions.
func gpt2Shapes() (names []string, shapes map[string][]int) {
	const d, vocab, positions = 8, 20, 16
	shapes = map[string][]int{}
	add := func(name string, shape ...int) {
		names = append(names, name)
		shapes[name] = shape
	}
	add("transformer.wte.weight", vocab, d)
	add("transformer.wpe.weight", positions, d)
	for layer := range 2 {
		h := fmt.Sprintf("transformer.h.%d.", layer)
		for _, norm := range []string{"ln_1", "ln_2"} {
			add(h+norm+".weight", d)
			add(h+norm+".bias", d)
		}
		for name, out := range map[string][2]int{"attn.c_attn": {d, 3 * d}, "attn.c_proj": {d, d}, "mlp.c_fc": {d, 4 * d}, "mlp.c_proj": {4 * d, d}} {
			add(h+name+".weight", out[0], out[1])
			add(h+name+".bias", out[1])
		}
	}
	add("transformer.ln_f.weight", d)
	add("transformer.ln_f.bias", d)
	return names, shapes
}

// seedOf gives each tensor values of its own, whatever the order in which they are written.
func seedOf(name string) float64 {
	seed := 0
	for _, c := range name {
		seed = (seed*31 + int(c)) % 1009
	}
	return float64(seed)
}

// writeModel writes config.json and model.safetensors into a folder.
func writeModel(dir string) error {
	config := map[string]any{"architectures": []string{"GPT2LMHeadModel"}, "model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 16, "vocab_size": 20}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		return err
	}
	names, shapes := gpt2Shapes()
	header := map[string]any{}
	var data []byte
	for _, name := range names {
		n := 1
		for _, size := range shapes[name] {
			n *= size
		}
		begin := len(data)
		for i := range n {
			v := math.Sin(seedOf(name)+float64(i)*1.7) / 2
			if len(shapes[name]) == 1 {
				v = 1 + v/4
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{begin, len(data)}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return os.WriteFile(filepath.Join(dir, "model.safetensors"), append(append(file, head...), data...), 0o600)
}
