package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// reference is what transformers makes of a GGUF file; see tests/py/parity/make_gguf_testdata.py.
type reference struct {
	Config       map[string]any
	Architecture string
	Names        map[string]string
	SHA256       map[string]string
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// loadHF loads a parameter as a Hugging Face checkpoint would hold it, in the way that a model loader does.
func loadHF(t *testing.T, g *GGUF, hfName, name string) *tensor.Tensor {
	t.Helper()
	x, err := g.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	heads, err := g.PermutedHeads(hfName)
	if err != nil {
		t.Fatal(err)
	}
	if heads > 0 {
		if x, err = UnpermuteQK(x, heads); err != nil {
			t.Fatal(err)
		}
	}
	if g.Transposed(hfName) {
		out, in := x.Dim(0), x.Dim(1)
		values := make([]float32, 0, x.Len())
		for i := range in {
			for o := range out {
				values = append(values, x.Float32s()[o*in+i])
			}
		}
		if x, err = tensor.FromFloat32s(values, in, out); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func hashFloats(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}

func TestModelsAgainstTransformers(t *testing.T) {
	for _, family := range []string{"llama", "qwen2", "gpt2"} {
		t.Run(family, func(t *testing.T) {
			var want reference
			readJSON(t, "testdata/"+family+".json", &want)
			g, err := OpenGGUF("testdata/" + family + ".gguf")
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			config, err := g.HFConfig()
			if err != nil {
				t.Fatal(err)
			}
			compareConfig(t, config, want.Config)
			if got := config["architectures"]; !reflect.DeepEqual(got, []any{want.Architecture}) {
				t.Errorf("architectures %v, want %s", got, want.Architecture)
			}
			for hf, name := range want.Names {
				got, ok := g.TensorName(hf)
				if got != name {
					t.Errorf("%s is %q, want %q", hf, got, name)
				}
				if tied := hf == "lm_head.weight" && config["tie_word_embeddings"] == true; ok == tied {
					t.Errorf("%s: in the file %v, tied %v", hf, ok, tied)
				} else if tied {
					continue
				}
				x := loadHF(t, g, hf, name)
				sum := sha256.Sum256(hashFloats(x.Float32s()))
				if hex.EncodeToString(sum[:]) != want.SHA256[hf] {
					t.Errorf("%s %v differs from what transformers reads", hf, x.Shape())
				}
			}
		})
	}
}

// compareConfig demands every key that transformers reads, but for the file's title and GPT-2's n_inner, to which
// transformers gives a name that no model knows.
func compareConfig(t *testing.T, got, want map[string]any) {
	t.Helper()
	for key, value := range want {
		switch key {
		case "_model_name_or_path":
			continue
		case "feed_forward_length":
			key = "n_inner"
		}
		if !reflect.DeepEqual(asJSON(got[key]), value) {
			t.Errorf("%s is %v (%T), transformers has %v", key, got[key], got[key], value)
		}
	}
}

// TestSmolLM2 needs the model's file, which is too large to keep here.
func TestSmolLM2(t *testing.T) {
	path := os.Getenv("SMOLLM2_GGUF")
	if path == "" {
		t.Skip("SMOLLM2_GGUF does not name SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	var want struct {
		Config  map[string]any
		Tensors int
		SHA256  string
	}
	readJSON(t, "testdata/smollm2.json", &want)
	g, err := OpenGGUF(path)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	config, err := g.HFConfig()
	if err != nil {
		t.Fatal(err)
	}
	compareConfig(t, config, want.Config)
	digest := sha256.New()
	for _, name := range g.Names() {
		x, err := g.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		digest.Write([]byte(name))
		digest.Write(hashFloats(x.Float32s()))
		x.Release()
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want.SHA256 || len(g.Names()) != want.Tensors {
		t.Errorf("%d tensors hash to %s, gguf-py's %d to %s", len(g.Names()), got, want.Tensors, want.SHA256)
	}
}

func BenchmarkLoadSmolLM2(b *testing.B) {
	path := os.Getenv("SMOLLM2_GGUF")
	if path == "" {
		b.Skip("SMOLLM2_GGUF does not name SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	for b.Loop() {
		g, err := OpenGGUF(path)
		if err != nil {
			b.Fatal(err)
		}
		var all []*tensor.Tensor
		for _, name := range g.Names() {
			x, err := g.Load(name)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, x)
		}
		g.Close()
		for _, x := range all {
			x.Release()
		}
	}
}

// hyper builds a metadata-only file: uint32 for int, float32, string or bool, and whatever tensors are named.
func hyper(arch string, values map[string]any, tensors ...string) []byte {
	b := ggufHead(3, uint64(len(tensors)), uint64(len(values)+1)).str("general.architecture").u32(ggufString).str(arch)
	for key, value := range values {
		b = b.str(key)
		switch v := value.(type) {
		case int:
			b = b.u32(ggufUint32).u32(uint32(v))
		case float32:
			b = append(b.u32(ggufFloat32), floatBytes(v)...)
		case string:
			b = b.u32(ggufString).str(v)
		case []int:
			b = b.u32(ggufArray).u32(ggufUint32).u64(uint64(len(v)))
			for _, n := range v {
				b = b.u32(uint32(n))
			}
		}
	}
	for i, name := range tensors {
		b = b.tensorInfo(name, 0, uint64(i*64), 2, 5)
	}
	b = b.pad(32)
	return append(b, make([]byte, 64*len(tensors))...)
}

func llamaValues(change map[string]any) map[string]any {
	values := map[string]any{
		"llama.block_count": 2, "llama.context_length": 64, "llama.embedding_length": 16, "llama.feed_forward_length": 24,
		"llama.attention.head_count": 4, "llama.attention.layer_norm_rms_epsilon": float32(1e-5), "llama.vocab_size": 11,
	}
	for key, value := range change {
		values[key] = value
		if value == nil {
			delete(values, key)
		}
	}
	return values
}

// asJSON is a number as encoding/json gives it: the expectations are JSON.
func asJSON(value any) any {
	if n, ok := value.(int); ok {
		return float64(n)
	}
	return value
}

func TestHFConfigDerives(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  map[string]any
		tensors []string
		want    map[string]any
	}{
		{"defaults", nil, nil, map[string]any{
			"model_type": "llama", "num_key_value_heads": 4.0, "rope_theta": 10000.0, "head_dim": 4.0, "hidden_act": "silu",
			"tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false, "rope_scaling": nil,
			"partial_rotary_factor": nil, "sliding_window": nil, "bos_token_id": nil, "vocab_size": 11.0,
		}},
		{"untied and biased", nil, []string{"output.weight", "blk.0.attn_q.bias"}, map[string]any{
			"tie_word_embeddings": false, "attention_bias": true, "mlp_bias": false}},
		{"vocabulary of the embedding", map[string]any{"llama.vocab_size": nil}, []string{"token_embd.weight"}, map[string]any{"vocab_size": 5.0}},
		{"own head size", map[string]any{"llama.attention.key_length": 8, "llama.attention.value_length": 8, "llama.rope.dimension_count": 8}, nil,
			map[string]any{"head_dim": 8.0, "partial_rotary_factor": nil}},
		{"partial rotary", map[string]any{"llama.rope.dimension_count": 2}, nil, map[string]any{"head_dim": 4.0, "partial_rotary_factor": 0.5}},
		{"linear scaling", map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(4)}, nil,
			map[string]any{"rope_scaling": map[string]any{"rope_type": "linear", "factor": 4.0}}},
		{"scaling of old files", map[string]any{"llama.rope.scale_linear": float32(2)}, nil,
			map[string]any{"rope_scaling": map[string]any{"rope_type": "linear", "factor": 2.0}}},
		{"no scaling", map[string]any{"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": float32(4)}, nil, map[string]any{"rope_scaling": nil}},
		{"yarn", map[string]any{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4),
			"llama.rope.scaling.original_context_length": 16, "llama.rope.scaling.yarn_beta_fast": float32(32)}, nil,
			map[string]any{"rope_scaling": map[string]any{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16.0, "beta_fast": 32.0}}},
		{"mistral by name", map[string]any{"general.name": "mistral"}, nil, map[string]any{"model_type": "mistral", "architectures": []any{"MistralForCausalLM"}}},
		{"mistral by window", map[string]any{"llama.attention.sliding_window": 32}, nil, map[string]any{"model_type": "mistral", "sliding_window": 32.0}},
		{"token ids", map[string]any{"tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.padding_token_id": 0}, nil,
			map[string]any{"bos_token_id": 1.0, "pad_token_id": 0.0, "eos_token_id": nil}},
		{"harmless", map[string]any{"llama.expert_count": 0, "llama.tensor_data_layout": "Meta AI original pth", "other.key": 3, "split.count": 1}, nil,
			map[string]any{"model_type": "llama"}},
	} {
		config, err := openGGUFBytes(t, hyper("llama", llamaValues(c.change), c.tensors...)).HFConfig()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for key, want := range c.want {
			if !reflect.DeepEqual(asJSON(config[key]), want) {
				t.Errorf("%s: %s is %v, want %v", c.name, key, config[key], want)
			}
		}
	}
}

func TestHFConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name, arch  string
		change      map[string]any
		tensors     []string
		unsupported bool
		says        string
	}{
		{"unknown architecture", "mamba", nil, nil, true, "known are gpt2, llama (Mistral too) and qwen2"},
		{"missing key", "llama", map[string]any{"llama.block_count": nil}, nil, false, "llama.block_count"},
		{"key of the wrong type", "llama", map[string]any{"llama.block_count": "two"}, nil, false, "an integer"},
		{"heads of each layer", "llama", map[string]any{"llama.attention.head_count": []int{4, 2}}, nil, false, "llama.attention.head_count"},
		{"zero heads", "llama", map[string]any{"llama.attention.head_count": 0}, nil, false, "above 0"},
		{"width not a multiple", "llama", map[string]any{"llama.attention.head_count": 3}, nil, false, "a divisor"},
		{"epsilon not a number", "llama", map[string]any{"llama.attention.layer_norm_rms_epsilon": float32(-1)}, nil, false, "finite"},
		{"unknown key", "llama", map[string]any{"llama.attention.clamp_kqv": float32(8)}, nil, true, "llama.attention.clamp_kqv"},
		{"experts", "llama", map[string]any{"llama.expert_count": 8, "llama.expert_used_count": 2}, nil, true, "8 experts"},
		{"other scaling", "llama", map[string]any{"llama.rope.scaling.type": "longrope"}, nil, true, "longrope"},
		{"values of another size", "llama", map[string]any{"llama.attention.key_length": 8, "llama.attention.value_length": 4}, nil, true, "values of 4"},
		{"split file", "llama", map[string]any{"split.count": 3}, nil, true, "llama-gguf-split --merge"},
		{"vocabulary contradicted", "llama", nil, []string{"token_embd.weight"}, false, "5, the rows of token_embd.weight"},
		{"vocabulary unknown", "llama", map[string]any{"llama.vocab_size": nil}, nil, false, "tokenizer.ggml.tokens"},
		{"mistral with biases", "llama", map[string]any{"general.name": "mistral"}, []string{"blk.0.attn_q.bias"}, true, "Mistral"},
	} {
		_, err := openGGUFBytes(t, hyper(c.arch, llamaValues(c.change), c.tensors...)).HFConfig()
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %v should say %q", c.name, err, c.says)
		}
	}
}

func TestTensorName(t *testing.T) {
	for _, c := range []struct{ arch, hf, want string }{
		{"llama", "model.layers.17.self_attn.o_proj.weight", "blk.17.attn_output.weight"},
		{"llama", "layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight"},
		{"llama", "embed_tokens.weight", "token_embd.weight"},
		{"llama", "lm_head.weight", "output.weight"},
		{"qwen2", "model.layers.3.self_attn.q_proj.bias", "blk.3.attn_q.bias"},
		{"gpt2", "h.2.attn.c_attn.bias", "blk.2.attn_qkv.bias"},
		{"gpt2", "transformer.wpe.weight", "position_embd.weight"},
		{"llama", "model.layers.03.mlp.up_proj.weight", ""},
		{"llama", "model.layers.-1.mlp.up_proj.weight", ""},
		{"llama", "model.layers.x.mlp.up_proj.weight", ""},
		{"llama", "model.layers.3", ""},
		{"llama", "model.layers.3.self_attn.rotary_emb.inv_freq", ""},
		{"llama", "transformer.wte.weight", ""},
		{"gpt2", "transformer.h.0.attn.bias", ""},
		{"llama", "", ""},
		{"mamba", "lm_head.weight", ""},
	} {
		g := openGGUFBytes(t, hyper(c.arch, nil))
		if got, ok := g.TensorName(c.hf); got != c.want || ok {
			t.Errorf("%s %s: %q, %v, want %q, false", c.arch, c.hf, got, ok, c.want)
		}
	}
}

func TestLayoutsOfParameters(t *testing.T) {
	llama := openGGUFBytes(t, hyper("llama", map[string]any{"llama.attention.head_count": 4, "llama.attention.head_count_kv": 2}))
	for name, want := range map[string]int{
		"model.layers.0.self_attn.q_proj.weight": 4, "model.layers.0.self_attn.k_proj.bias": 2,
		"model.layers.0.self_attn.v_proj.weight": 0, "model.norm.weight": 0, "nothing": 0,
	} {
		if heads, err := llama.PermutedHeads(name); err != nil || heads != want {
			t.Errorf("%s: %d heads, %v, want %d", name, heads, err, want)
		}
	}
	if _, err := openGGUFBytes(t, hyper("llama", nil)).PermutedHeads("model.layers.0.self_attn.q_proj.weight"); !errors.Is(err, ErrNoKey) {
		t.Errorf("heads unknown: %v", err)
	}
	gpt2 := openGGUFBytes(t, hyper("gpt2", nil))
	for name, want := range map[string]bool{"h.0.attn.c_attn.weight": true, "h.0.attn.c_attn.bias": false, "wte.weight": false, "h.0.mlp.c_proj.weight": true} {
		if got := gpt2.Transposed(name); got != want {
			t.Errorf("%s transposed: %v", name, got)
		}
	}
	if llama.Transposed("model.layers.0.mlp.up_proj.weight") {
		t.Error("llama stores Linear weights as they are")
	}
}
