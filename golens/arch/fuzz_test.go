package arch

import (
	"encoding/json"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// oddValues are what a key of a config.json may hold by mistake.
var oddValues = []any{nil, true, false, 0, 1, 2, 3, 4, 8, -1, 1.5, 1e308, math.NaN(), math.Inf(1), 1 << 31, 1 << 53, 1 << 62, "", "x", "gelu", "relu",
	[]any{}, []any{1}, []any{"full_attention", "full_attention"}, []any{"sliding_attention", nil}, map[string]any{},
	map[string]any{"rope_type": "linear", "factor": 2}, map[string]any{"type": "yarn", "factor": 4.0}, map[string]any{"rope_type": "llama3", "factor": 0},
	map[string]any{"rope_type": "default", "full_attention": map[string]any{}}, map[string]any{"type": []any{}}}

// oddKeys are keys besides those of the file.
var oddKeys = []string{"head_dim", "sliding_window", "layer_types", "rope_scaling", "rope_parameters", "use_sliding_window", "max_window_layers",
	"n_inner", "tie_word_embeddings", "attention_bias", "mlp_bias", "is_causal", "quantization_config", "model_type", "architectures",
	"partial_rotary_factor", "original_max_position_embeddings", "rope_theta", "hidden_act", "activation_function", "nonsense", ""}

// mutate changes a configuration in one way, by three bytes.
func mutate(hf map[string]any, how, where, what byte) {
	keys := append(slices.Sorted(maps.Keys(hf)), oddKeys...)
	key, other := keys[int(where)%len(keys)], keys[int(what)%len(keys)]
	switch how % 4 {
	case 0:
		hf[key] = oddValues[int(what)%len(oddValues)]
	case 1:
		hf[key], hf[other] = hf[other], hf[key]
	case 2:
		delete(hf, key)
	case 3:
		if n, ok := asInt(hf[key]); ok {
			hf[key] = n + int(int8(what))
		} else if object, ok := hf[key].(map[string]any); ok {
			inner := map[string]any{"factor": oddValues[int(what)%len(oddValues)], other: 1}
			maps.Copy(inner, object)
			hf[key] = inner
		}
	}
}

// FuzzConfigStructure: configurations that are nearly right, against a checkpoint that is.
func FuzzConfigStructure(f *testing.F) {
	bases := []map[string]any{gpt2(nil), llama("LlamaForCausalLM", nil), llama("MistralForCausalLM", nil), llama("Qwen2ForCausalLM", nil)}
	shapes := make([]map[string][]int, len(bases))
	for i, base := range bases {
		spec, err := FromHF(base, Checkpoint{})
		if err != nil {
			f.Fatal(err)
		}
		shapes[i] = shapesOf(spec)
		for how := range byte(4) {
			f.Add(append([]byte{byte(i)}, how, 3, 14, how, 20, 25, how, 9, 16))
		}
	}
	f.Fuzz(func(t *testing.T, decisions []byte) {
		if len(decisions) == 0 || len(decisions) > 64 {
			return
		}
		family := int(decisions[0]) % len(bases)
		hf := maps.Clone(bases[family])
		for rest := decisions[1:]; len(rest) >= 3; rest = rest[3:] {
			mutate(hf, rest[0], rest[1], rest[2])
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		spec, err := FromHF(hf, Checkpoint{Shapes: shapes[family]})
		if err == nil {
			if _, err = json.Marshal(spec.Config); err != nil {
				t.Fatalf("%v: its configuration cannot be written: %v", hf, err)
			}
			_, err = spec.Weights.Bind(shapes[family], nil)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
			t.Fatalf("%v took %d bytes", hf, took)
		}
		if err != nil {
			for _, word := range []string{"map[", "<nil>", "interface {}", "%!"} {
				if strings.Contains(err.Error(), word) {
					t.Fatalf("%v: %q says %q", hf, err, word)
				}
			}
		}
	})
}
