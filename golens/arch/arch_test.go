// Tests of what the reference files cannot show: refusals, defaults, bindings, layouts.

package arch

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

func gpt2(extra map[string]any) map[string]any {
	hf := map[string]any{"architectures": []any{"GPT2LMHeadModel"}, "n_layer": 2, "n_head": 4, "n_embd": 8,
		"n_positions": 16, "vocab_size": 40}
	maps.Copy(hf, extra)
	return hf
}

func llama(architecture string, extra map[string]any) map[string]any {
	hf := map[string]any{"architectures": []any{architecture}, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 2, "hidden_size": 8, "intermediate_size": 12, "vocab_size": 40,
		"max_position_embeddings": 64}
	maps.Copy(hf, extra)
	return hf
}

func TestRefusals(t *testing.T) {
	one := func(key string, value any) map[string]any { return map[string]any{key: value} }
	cases := []struct {
		name string
		hf   map[string]any
		is   error
		says []string
	}{
		{"unknown architecture", one("architectures", []any{"LlamaForCasualLM"}), ErrUnknownArchitecture,
			[]string{"LlamaForCasualLM", "did you mean LlamaForCausalLM", "Qwen2ForCausalLM"}},
		{"no architecture", map[string]any{"model_type": "bert"}, ErrUnknownArchitecture, []string{"bert"}},
		{"unknown key", gpt2(one("attention_chunk_size", 64)), ErrUnknownKey,
			[]string{"attention_chunk_size", "GPT2LMHeadModel", `hf_config_overrides={"attention_chunk_size": None}`}},
		{"cross attention", gpt2(one("add_cross_attention", true)), ErrUnsupported, []string{"add_cross_attention", "true"}},
		{"quantised", llama("LlamaForCausalLM", one("quantization_config", map[string]any{"bits": 4})), ErrUnsupported,
			[]string{"quantization_config"}},
		{"not causal", llama("LlamaForCausalLM", one("is_causal", false)), ErrUnsupported, []string{"is_causal", "true"}},
		{"layers of kinds", llama("LlamaForCausalLM", one("layer_types", []any{"full_attention", "sliding_attention"})), ErrUnsupported,
			[]string{"layer 1", "sliding_attention", "full_attention"}},
		{"window of another family", llama("LlamaForCausalLM", one("sliding_window", 8)), ErrUnsupported, []string{"sliding_window", "absent"}},
		{"activation", gpt2(one("activation_function", "mish")), nil, []string{"mish", "gelu_new"}},
		{"wrong type", gpt2(one("n_head", "four")), nil, []string{"n_head", "four", "positive integer"}},
		{"zero size", gpt2(one("n_head", 0)), nil, []string{"n_head", "0"}},
		{"fraction", gpt2(one("n_embd", 8.5)), nil, []string{"n_embd", "8.5"}},
		{"indivisible", gpt2(one("n_head", 3)), nil, []string{"n_embd", "8", "3"}},
		{"kv heads", llama("LlamaForCausalLM", one("num_key_value_heads", 3)), nil, []string{"num_key_value_heads", "3", "4"}},
		{"odd head", llama("LlamaForCausalLM", one("head_dim", 5)), nil, []string{"head_dim", "5", "even"}},
		{"rope kind", llama("LlamaForCausalLM", one("rope_scaling", map[string]any{"type": "dynamic", "factor": 2.0})), nil,
			[]string{"dynamic", "llama3", "linear"}},
		{"rope setting", llama("LlamaForCausalLM", one("rope_parameters", map[string]any{"rope_type": "default",
			"full_attention": map[string]any{"rope_theta": 1.0}})), nil, []string{"full_attention", "by kind of layer"}},
		{"rope factor missing", llama("LlamaForCausalLM", one("rope_scaling", map[string]any{"type": "linear"})), nil, []string{"factor"}},
		{"partial rotation", llama("LlamaForCausalLM", one("partial_rotary_factor", 0.5)), nil, []string{"partial_rotary_factor"}},
		{"layer types", llama("Qwen2ForCausalLM", one("layer_types", []any{"full_attention"})), nil, []string{"layer_types", "1", "2"}},
		{"layer types without window", llama("Qwen2ForCausalLM", one("layer_types", []any{"full_attention", "sliding_attention"})),
			nil, []string{"layer 1", "use_sliding_window"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromHF(c.hf, Checkpoint{})
			if err == nil {
				t.Fatal("accepted")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
}

// TestAccepted: harmless keys, null, and neutral values of keys that would matter otherwise.
func TestAccepted(t *testing.T) {
	extra := map[string]any{"torch_dtype": "bfloat16", "use_cache": true, "attention_dropout": 0.3, "rope_interleaved": false,
		"pretraining_tp": 1.0, "never_heard_of": nil, "quantization_config": nil, "is_llama_config": true,
		"transformers.js_config": map[string]any{}, "sliding_window": nil}
	if _, err := FromHF(llama("LlamaForCausalLM", extra), Checkpoint{}); err != nil {
		t.Error(err)
	}
	numbers := gpt2(map[string]any{"n_head": json.Number("4"), "layer_norm_epsilon": json.Number("1e-6"), "eos_token_id": json.Number("7")})
	if spec, err := FromHF(numbers, Checkpoint{}); err != nil || spec.NHeads != 4 || spec.Norm.Eps != 1e-6 || spec.Config.Extra["eos_token_id"] != 7 {
		t.Errorf("json.Number: %v %v", spec, err)
	}
	byType := llama("", map[string]any{"architectures": nil, "model_type": "qwen2"})
	if spec, err := FromHF(byType, Checkpoint{}); err != nil || spec.Architecture != "Qwen2ForCausalLM" {
		t.Errorf("by model_type: %v", err)
	}
}

func TestScaleAndWindows(t *testing.T) {
	cases := []struct {
		name    string
		hf      map[string]any
		scale   []float32
		windows []int
	}{
		{"gpt2", gpt2(nil), []float32{float32(math.Sqrt(0.5)), float32(math.Sqrt(0.5))}, []int{0, 0}},
		{"inverse layer", gpt2(map[string]any{"scale_attn_by_inverse_layer_idx": true}),
			[]float32{float32(math.Sqrt(0.5)), float32(math.Sqrt(0.5) / 2)}, []int{0, 0}},
		{"unscaled", gpt2(map[string]any{"scale_attn_weights": false}), []float32{1, 1}, []int{0, 0}},
		{"head_dim", llama("LlamaForCausalLM", map[string]any{"head_dim": 16}), []float32{0.25, 0.25}, []int{0, 0}},
		{"mistral default", llama("MistralForCausalLM", map[string]any{"head_dim": 16}), []float32{0.25, 0.25}, []int{4096, 4096}},
		{"mistral null", llama("MistralForCausalLM", map[string]any{"head_dim": 16, "sliding_window": nil}), []float32{0.25, 0.25}, []int{0, 0}},
		{"qwen2 off", llama("Qwen2ForCausalLM", map[string]any{"head_dim": 16, "sliding_window": 7, "max_window_layers": 1}),
			[]float32{0.25, 0.25}, []int{0, 0}},
		{"qwen2 on", llama("Qwen2ForCausalLM", map[string]any{"head_dim": 16, "sliding_window": 7, "max_window_layers": 1,
			"use_sliding_window": true}), []float32{0.25, 0.25}, []int{0, 7}},
		{"qwen2 by type", llama("Qwen2ForCausalLM", map[string]any{"head_dim": 16, "sliding_window": 7, "use_sliding_window": true,
			"layer_types": []any{"sliding_attention", "full_attention"}}), []float32{0.25, 0.25}, []int{7, 0}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec, err := FromHF(c.hf, Checkpoint{})
			if err != nil {
				t.Fatal(err)
			}
			for layer, want := range c.scale {
				if got := spec.Attention.Scale(layer); float32(got) != want {
					t.Errorf("layer %d scales by %v, expected %v", layer, got, want)
				}
			}
			if !slices.Equal(spec.Attention.Windows, c.windows) {
				t.Errorf("windows are %v, expected %v", spec.Attention.Windows, c.windows)
			}
		})
	}
}

func TestActivations(t *testing.T) {
	for name, want := range map[string]Activation{
		"gelu_new": GELUTanh, "gelu_fast": GELUTanh, "gelu_pytorch_tanh": GELUTanh, "gelu": GELU, "relu": ReLU,
		"silu": SiLU, "swish": SiLU, "quick_gelu": QuickGELU, "tanh": Tanh, "relu2": ReLU2,
	} {
		if got, err := LookupActivation(name); got != want || err != nil {
			t.Errorf("%s is %q (%v), expected %q", name, got, err, want)
		}
	}
}

// shapesOf gives a checkpoint as the Spec wants it.
func shapesOf(s *Spec) map[string][]int {
	shapes := map[string][]int{}
	for _, tensor := range s.Weights.Tensors {
		shapes[tensor.Name] = tensor.Shape
	}
	return shapes
}

func TestBind(t *testing.T) {
	tied, untied := gpt2(nil), llama("LlamaForCausalLM", nil)
	cases := []struct {
		name   string
		hf     map[string]any
		change func(map[string][]int)
		is     error
		says   string
		bound  map[string]string
	}{
		{name: "whole", hf: tied, change: func(map[string][]int) {},
			bound: map[string]string{"lm_head.weight": "lm_head.weight", "transformer.wte.weight": "transformer.wte.weight"}},
		{name: "tied, no head", hf: tied, change: func(m map[string][]int) { delete(m, "lm_head.weight") },
			bound: map[string]string{"lm_head.weight": "transformer.wte.weight"}},
		{name: "tied, no embedding", hf: tied, change: func(m map[string][]int) { delete(m, "transformer.wte.weight") },
			bound: map[string]string{"transformer.wte.weight": "lm_head.weight"}},
		{name: "no prefix, with masks", hf: tied, change: func(m map[string][]int) {
			for name, shape := range maps.Clone(m) {
				delete(m, name)
				m[strings.TrimPrefix(name, "transformer.")] = shape
			}
			m["h.0.attn.bias"], m["h.1.attn.masked_bias"] = []int{1, 1, 16, 16}, nil
		}, bound: map[string]string{"transformer.h.0.attn.c_attn.weight": "h.0.attn.c_attn.weight"}},
		{name: "old rotary buffers", hf: untied, change: func(m map[string][]int) {
			m["model.layers.0.self_attn.rotary_emb.inv_freq"] = []int{1}
		}},
		{name: "untied, no head", hf: untied, change: func(m map[string][]int) { delete(m, "lm_head.weight") },
			is: ErrMissingTensor, says: "tie_word_embeddings"},
		{name: "missing", hf: untied, change: func(m map[string][]int) { delete(m, "model.layers.1.mlp.up_proj.weight") },
			is: ErrMissingTensor, says: "model.layers.1.mlp.up_proj.weight"},
		{name: "unused", hf: untied, change: func(m map[string][]int) { m["model.layers.2.mlp.up_proj.weight"] = []int{12, 8} },
			is: ErrUnusedTensor, says: "model.layers.2.mlp.up_proj.weight"},
		{name: "shape", hf: untied, change: func(m map[string][]int) { m["model.norm.weight"] = []int{9} },
			is: ErrShape, says: "model.norm.weight is [9], expected [8]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec, err := FromHF(c.hf, Checkpoint{})
			if err != nil {
				t.Fatal(err)
			}
			shapes := shapesOf(spec)
			c.change(shapes)
			bound, err := spec.Weights.Bind(shapes, nil)
			if c.is != nil {
				if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, expected %v with %q", err, c.is, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for tensor, want := range c.bound {
				if bound[tensor] != want {
					t.Errorf("%s is bound to %q, expected %q", tensor, bound[tensor], want)
				}
			}
			for _, tensor := range spec.Weights.Tensors {
				if _, ok := shapes[bound[tensor.Name]]; !ok {
					t.Errorf("%s is bound to %q, which the checkpoint lacks", tensor.Name, bound[tensor.Name])
				}
			}
		})
	}
}

func TestBindRenamed(t *testing.T) {
	spec, err := FromHF(llama("LlamaForCausalLM", map[string]any{"tie_word_embeddings": true}), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	rename := func(hf string) string { return "x." + hf }
	shapes := map[string][]int{"rope_freqs.weight": {1}}
	for name, shape := range shapesOf(spec) {
		shapes[rename(name)] = shape
	}
	delete(shapes, "x.lm_head.weight")
	bound, err := spec.Weights.Bind(shapes, rename)
	if err != nil {
		t.Fatal(err)
	}
	if got := bound["lm_head.weight"]; got != "x.model.embed_tokens.weight" {
		t.Errorf("the tied unembedding is bound to %q", got)
	}
}

// element finds which element of the checkpoint tensor, in the [in, out] sense, an index of a view means.
func element(s Slot, transposed bool, width int, index ...int) (in, out int) {
	at := s.Offset
	for d, i := range index {
		at += i * s.Strides[d]
	}
	if transposed {
		return at % width, at / width
	}
	return at / width, at % width
}

// TestTransposed: a checkpoint that holds Conv1D weights transposed gives the same elements under the same indices.
func TestTransposed(t *testing.T) {
	plain, err := FromHF(gpt2(nil), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	turned, err := FromHF(gpt2(nil), Checkpoint{Transposed: func(tensor string) bool {
		return strings.HasSuffix(tensor, ".weight") && (strings.Contains(tensor, ".c_attn") || strings.Contains(tensor, ".c_proj") ||
			strings.Contains(tensor, ".c_fc"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, component := range plain.Tree.Components {
		for j, view := range component.Views {
			other := turned.Tree.Components[i].Views[j]
			if plain.Weights.Refs[component.Name+".weight"].Layout == InOut && turned.Weights.Refs[component.Name+".weight"].Layout != OutIn {
				t.Errorf("%s is not transposed", component.Name)
			}
			if !strings.HasPrefix(view.Name, "W_") || view.Kind != Stored || !strings.HasPrefix(component.Name, "blocks") {
				continue
			}
			if !slices.Equal(view.Slot.Shape, other.Slot.Shape) {
				t.Fatalf("%s.%s is %v, expected %v", component.Name, view.Name, other.Slot.Shape, view.Slot.Shape)
			}
			shapes, turnedShapes := shapesOf(plain)[view.Slot.Tensor], shapesOf(turned)[view.Slot.Tensor]
			for d := range view.Slot.Shape {
				index := make([]int, len(view.Slot.Shape))
				index[d] = view.Slot.Shape[d] - 1
				in, out := element(view.Slot, false, shapes[1], index...)
				in2, out2 := element(other.Slot, true, turnedShapes[1], index...)
				if in != in2 || out != out2 {
					t.Errorf("%s.%s%v is [%d, %d], expected [%d, %d]", component.Name, view.Name, index, in2, out2, in, out)
				}
			}
		}
	}
}

func TestDivideFrequencies(t *testing.T) {
	spec, err := FromHF(llama("LlamaForCausalLM", map[string]any{"head_dim": 4}), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	second := spec.Position.InvFreq[1]
	if err := spec.Position.DivideFrequencies([]float32{1, 8}); err != nil {
		t.Fatal(err)
	}
	if got := spec.Position.InvFreq; got[0] != 1 || got[1] != second/8 {
		t.Errorf("frequencies are %v", got)
	}
	for _, bad := range [][]float32{{1}, {1, 0}, {1, float32(math.NaN())}} {
		if err := spec.Position.DivideFrequencies(bad); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

// TestRopeSpellings: transformers 5's spelling and the older one mean the same.
func TestRopeSpellings(t *testing.T) {
	scaling := map[string]any{"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
		"original_max_position_embeddings": 32}
	with := func(extra map[string]any) map[string]any {
		m := maps.Clone(scaling)
		maps.Copy(m, extra)
		return m
	}
	spellings := []map[string]any{
		{"rope_parameters": with(map[string]any{"rope_type": "llama3", "rope_theta": 500000.0})},
		{"rope_theta": 500000, "rope_scaling": with(map[string]any{"rope_type": "llama3"})},
		{"rope_theta": 500000.0, "rope_scaling": with(map[string]any{"type": "llama3"})},
		{"rope_theta": 500000.0, "rope_parameters": with(map[string]any{"rope_type": "llama3"}), "rope_scaling": nil},
	}
	var first []float32
	for i, extra := range spellings {
		extra["head_dim"] = 16
		spec, err := FromHF(llama("LlamaForCausalLM", extra), Checkpoint{})
		if err != nil {
			t.Fatalf("spelling %d: %v", i, err)
		}
		if spec.Position.Base != 500000 {
			t.Errorf("spelling %d: base %v", i, spec.Position.Base)
		}
		if first == nil {
			first = spec.Position.InvFreq
		}
		if !slices.Equal(spec.Position.InvFreq, first) {
			t.Errorf("spelling %d: %v, expected %v", i, spec.Position.InvFreq, first)
		}
	}
	plain, err := FromHF(llama("LlamaForCausalLM", map[string]any{"head_dim": 16, "rope_theta": 500000.0}), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(plain.Position.InvFreq, first) {
		t.Error("scaling changes nothing")
	}
}
