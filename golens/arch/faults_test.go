// Tests of configurations as they are found in the world: more keys than are read, classes of other heads, sizes that no
// model has.
package arch

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFaultF1OtherHeadsLoadByModelType(t *testing.T) {
	for _, c := range []struct{ class, modelType, want string }{
		{"GPT2Model", "gpt2", "GPT2LMHeadModel"}, {"GPT2ForSequenceClassification", "gpt2", "GPT2LMHeadModel"},
		{"LLaMAForCausalLM", "llama", "LlamaForCausalLM"}, {"LlamaModel", "llama", "LlamaForCausalLM"},
		{"MistralModel", "mistral", "MistralForCausalLM"}, {"Qwen2ForTokenClassification", "qwen2", "Qwen2ForCausalLM"},
		{"MyOwnModel", "llama", "LlamaForCausalLM"}, {"MistralForCausalLM", "llama", "LlamaForCausalLM"},
	} {
		hf := llama(c.class, map[string]any{"model_type": c.modelType})
		if c.modelType == "gpt2" {
			hf = gpt2(map[string]any{"architectures": []any{c.class}, "model_type": "gpt2"})
		}
		spec, err := FromHF(hf, Checkpoint{})
		if err != nil || spec.Architecture != c.want {
			t.Errorf("%s of type %s: %v", c.class, c.modelType, err)
			continue
		}
		if contradicts := c.class == "MistralForCausalLM"; contradicts != (len(spec.Warnings) == 1) {
			t.Errorf("%s of type %s warns %q", c.class, c.modelType, spec.Warnings)
		}
	}
}

func TestFaultF1TensorsOfOtherHeadsAreNoWeights(t *testing.T) {
	spec, err := FromHF(gpt2(nil), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	shapes := shapesOf(spec)
	delete(shapes, "lm_head.weight")
	shapes["score.weight"] = []int{2, 8}
	if _, err := spec.Weights.Bind(shapes, nil); err != nil {
		t.Error(err)
	}
	if heads := OtherHeads(shapes); !slices.Equal(heads, []string{"score.weight"}) {
		t.Errorf("other heads: %q", heads)
	}
}

func TestFaultF2KeysThatNobodyReadsAreIgnoredWithAWarning(t *testing.T) {
	full := []any{"full_attention", "full_attention"}
	for key, value := range map[string]any{
		"pretraining_tp": 2, "_model_name_or_path": "x", "license": "mit", "use_flash_attn": true, "_flash_attn_2_enabled": true,
		"my_note": map[string]any{"a": []any{1}}, "logit_scale": 2, "sparsity": 0.5,
	} {
		spec, err := FromHF(llama("LlamaForCausalLM", map[string]any{key: value}), Checkpoint{})
		if err != nil {
			t.Errorf("%s: %v", key, err)
		} else if len(spec.Warnings) != 1 || !strings.Contains(spec.Warnings[0], key) {
			t.Errorf("%s: warnings are %q", key, spec.Warnings)
		}
	}
	for _, extra := range []map[string]any{{"is_causal": true}, {"layer_types": full}} {
		if spec, err := FromHF(llama("LlamaForCausalLM", extra), Checkpoint{}); err != nil || spec.Warnings != nil {
			t.Errorf("%v: %v %v", extra, err, spec)
		}
	}
	two := llama("LlamaForCausalLM", map[string]any{"b_note": 1, "a_note": 2,
		"rope_scaling": map[string]any{"type": "linear", "factor": 2.0, "finetuned": true, "beta_fast": 1}})
	spec, err := FromHF(two, Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Warnings) != 1 || !strings.Contains(spec.Warnings[0], "a_note, b_note, rope_scaling.beta_fast, rope_scaling.finetuned:") {
		t.Errorf("warnings are %q", spec.Warnings)
	}
}

// TestFaultF2KeysThatAreReadStayErrors: what transformers reads and this package does not honour is never passed over.
func TestFaultF2KeysThatAreReadStayErrors(t *testing.T) {
	for family, list := range keys().Reads {
		if !slices.IsSorted(list) || !slices.Contains(list, "hidden_size") || !slices.Contains(list, "is_causal") {
			t.Errorf("%s: the table of keys lacks what every model reads, or is not sorted", family)
		}
	}
	for _, key := range []string{"per_layer_config", "attention_chunk_size", "text_config", "quantization_config", "fusion_config"} {
		if _, err := FromHF(llama("LlamaForCausalLM", map[string]any{key: map[string]any{"a": 1}}), Checkpoint{}); err == nil {
			t.Errorf("%s is accepted", key)
		}
	}
}

func TestFaultF3SizesAreHeldAgainstTheTensors(t *testing.T) {
	spec, err := FromHF(llama("LlamaForCausalLM", nil), Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	shapes := shapesOf(spec)
	if _, err := FromHF(llama("LlamaForCausalLM", nil), Checkpoint{Shapes: shapes}); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for _, key := range []string{"num_hidden_layers", "hidden_size", "head_dim", "num_attention_heads", "num_key_value_heads",
		"vocab_size", "intermediate_size"} {
		for _, size := range []int{100_000, 1 << 31, 1 << 40, 1 << 53, 1 << 62} {
			for _, known := range []Checkpoint{{Shapes: shapes}, {}} {
				spec, err := FromHF(llama("LlamaForCausalLM", map[string]any{key: size}), known)
				if err == nil {
					_, err = spec.Weights.Bind(shapes, nil)
				}
				if err == nil || !strings.Contains(err.Error(), key) && !errors.Is(err, ErrShape) {
					t.Errorf("%s %d: %v", key, size, err)
				}
			}
		}
	}
	runtime.ReadMemStats(&after)
	if took, bytes := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || bytes > 100<<20 {
		t.Errorf("refusing took %v and %d bytes", took, bytes)
	}
}

func TestFaultF17ErrorsShowValuesAsTheFileHasThem(t *testing.T) {
	object := map[string]any{"a": nil, "b": math.NaN()}
	for key, value := range map[string]any{
		"num_hidden_layers": object, "rms_norm_eps": []any{1, "x"}, "hidden_act": object, "tie_word_embeddings": object,
		"rope_scaling": []any{nil}, "sliding_window": object, "model_type": 5, "architectures": object, "layer_types": object,
		"quantization_config": object, "head_dim": object, "rope_theta": object,
	} {
		_, err := FromHF(llama("LlamaForCausalLM", map[string]any{key: value}), Checkpoint{})
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
			continue
		}
		for _, word := range []string{"map[", "<nil>", "interface", "%!"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q says %q", key, err, word)
			}
		}
	}
}

func TestFaultU11OnlySlipsGetASuggestion(t *testing.T) {
	for name, want := range map[string]string{
		"GPTNeoXForCausalLM": "", "MixtralForCausalLM": "", "Qwen3ForCausalLM": "", "GemmaForCausalLM": "", "OlmoForCausalLM": "",
		"LlamaForCasualLM": "LlamaForCausalLM", "LLamaForCausalLm": "LlamaForCausalLM", "Qwen2ForCausalML": "Qwen2ForCausalLM",
	} {
		_, err := Lookup(name)
		if err == nil || !strings.Contains(err.Error(), "this version has GPT2LMHeadModel") {
			t.Errorf("%s: %v does not list what there is", name, err)
			continue
		}
		if got := strings.Contains(err.Error(), "did you mean "+want+"?"); want != "" && !got || want == "" && strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
