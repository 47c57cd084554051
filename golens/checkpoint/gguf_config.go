// GGUF metadata as the config.json that the same model has on the Hugging Face hub.
package checkpoint

import "fmt"

// HFConfig gives the model's configuration under the keys of Hugging Face config.json files, with the types that
// encoding/json gives (every number a float64). Values agree with what transformers reads from the same file; where
// it passes over metadata that changes the numbers (rope scaling, biases, a context length or head size of its own),
// this does not. Metadata that would change the numbers and has no counterpart here is an error.
//
// Frequency factors are not configuration: Llama 3's are the tensor "rope_freqs.weight", one divisor for each rotary
// frequency, which the model must read where the file has it.
func (g *GGUF) HFConfig() (map[string]any, error) {
	arch, _, err := g.layout()
	if err != nil {
		return nil, err
	}
	p := &ggufParams{g: g, arch: arch}
	config := map[string]any{}
	if arch == "gpt2" {
		p.gpt2(config)
	} else {
		p.llamaKind(config)
	}
	p.common(config)
	if p.err != nil {
		return nil, p.err
	}
	return config, nil
}

// common fills what every architecture has.
func (p *ggufParams) common(config map[string]any) {
	_, untied := p.g.entries["output.weight"]
	config["tie_word_embeddings"] = !untied
	config["vocab_size"] = p.vocabulary()
	for key, hf := range map[string]string{"bos": "bos_token_id", "eos": "eos_token_id", "unknown": "unk_token_id", "padding": "pad_token_id"} {
		if name := "tokenizer.ggml." + key + "_token_id"; p.g.Has(name) {
			id, err := p.g.Uint(name)
			if err != nil {
				p.note(err)
			}
			config[hf] = int(id)
		}
	}
	if p.g.Has("split.count") {
		if n, err := p.g.Uint("split.count"); err != nil || n > 1 {
			p.unsupported("this is one of %d files of a split model; join them with llama-gguf-split --merge", n)
		}
	}
	p.unread()
}

// vocabulary is the number of rows of the embedding, which metadata may not contradict.
func (p *ggufParams) vocabulary() int {
	declared := p.count("vocab_size", 0)
	if embedding, ok := p.g.entries["token_embd.weight"]; ok && len(embedding.Shape) == 2 {
		if rows := embedding.Shape[0]; declared == 0 || declared == rows {
			return rows
		}
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", p.key("vocab_size")), fmt.Sprint(declared),
			fmt.Sprintf("%d, the rows of token_embd.weight", embedding.Shape[0])})
	}
	if declared == 0 {
		tokens, err := p.g.Strings("tokenizer.ggml.tokens")
		if err != nil {
			p.note(err)
		}
		return len(tokens)
	}
	return declared
}

func (p *ggufParams) gpt2(config map[string]any) {
	config["architectures"] = []any{"GPT2LMHeadModel"}
	config["model_type"] = "gpt2"
	config["activation_function"] = "gelu_new"
	config["n_layer"] = p.size("block_count", required)
	config["n_positions"] = p.size("context_length", required)
	config["n_ctx"] = config["n_positions"]
	config["n_embd"] = p.size("embedding_length", required)
	config["n_head"] = p.size("attention.head_count", required)
	config["n_inner"] = p.size("feed_forward_length", required)
	config["layer_norm_epsilon"] = p.real("attention.layer_norm_epsilon", required)
	if heads := config["n_head"].(int); p.size("attention.head_count_kv", heads) != heads {
		p.unsupported("%d heads with another number of key and value heads", heads)
	}
	size := p.headSize(config["n_embd"].(int), config["n_head"].(int))
	if stated := p.stated(size); stated != size {
		p.unsupported("heads of %d numbers, where width and heads give %d", stated, size)
	}
}

func (p *ggufParams) llamaKind(config map[string]any) {
	p.identity(config)
	config["hidden_act"] = "silu"
	config["num_hidden_layers"] = p.size("block_count", required)
	config["max_position_embeddings"] = p.size("context_length", required)
	config["hidden_size"] = p.size("embedding_length", required)
	config["intermediate_size"] = p.size("feed_forward_length", required)
	config["rms_norm_eps"] = p.real("attention.layer_norm_rms_epsilon", required)
	config["rope_theta"] = p.real("rope.freq_base", 10000)
	heads := p.size("attention.head_count", required)
	config["num_attention_heads"] = heads
	config["num_key_value_heads"] = p.size("attention.head_count_kv", heads)
	if experts := p.count("expert_count", 0); experts > 0 || p.count("expert_used_count", 0) > 0 {
		p.unsupported("a mixture of %d experts", experts)
	}
	size := p.stated(p.headSize(config["hidden_size"].(int), heads))
	if config["model_type"] != "qwen2" || size*heads != config["hidden_size"] {
		config["head_dim"] = size
	}
	if rotary := p.size("rope.dimension_count", size); rotary != size && size > 0 {
		config["partial_rotary_factor"] = float64(rotary) / float64(size)
	}
	if scaling := p.ropeScaling(); scaling != nil {
		config["rope_scaling"] = scaling
	}
}

// identity tells the models apart that share GGUF's "llama": as in transformers one named "mistral" is Mistral, and
// so is one with a sliding window.
func (p *ggufParams) identity(config map[string]any) {
	_, attentionBias := p.g.entries["blk.0.attn_q.bias"]
	_, mlpBias := p.g.entries["blk.0.ffn_gate.bias"]
	if p.arch == "qwen2" {
		config["architectures"], config["model_type"] = []any{"Qwen2ForCausalLM"}, "qwen2"
		return
	}
	window := p.count("attention.sliding_window", 0)
	if name, _ := p.g.String("general.name"); name == "mistral" || window > 0 {
		config["architectures"], config["model_type"] = []any{"MistralForCausalLM"}, "mistral"
		if window > 0 {
			config["sliding_window"] = window
		}
		if attentionBias || mlpBias {
			p.unsupported("a Mistral model with biases")
		}
		return
	}
	config["architectures"], config["model_type"] = []any{"LlamaForCausalLM"}, "llama"
	config["attention_bias"], config["mlp_bias"] = attentionBias, mlpBias
}

// stated is the size of a head that the metadata give, which may be another than that of the width's share.
func (p *ggufParams) stated(share int) int {
	size := p.size("attention.key_length", share)
	if value := p.size("attention.value_length", size); value != size {
		p.unsupported("keys of %d but values of %d numbers", size, value)
	}
	return size
}

// headSize is each head's share of the width.
func (p *ggufParams) headSize(width, heads int) int {
	if heads > 0 && width%heads != 0 && !p.has("attention.key_length") {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", p.arch+".attention.head_count"), fmt.Sprint(heads),
			fmt.Sprintf("a divisor of the embedding length, %d", width)})
	}
	return max(width/max(heads, 1), 1)
}

// ropeScaling is the rope_scaling of config.json, nil for none. Without a type, a factor means linear scaling.
func (p *ggufParams) ropeScaling() map[string]any {
	kind := p.text("rope.scaling.type")
	name, factor := "rope.scale_linear", 1.0
	if p.has("rope.scaling.factor") {
		name = "rope.scaling.factor"
	}
	if !p.neutral(name) {
		factor = p.real(name, factor)
	}
	original := p.count("rope.scaling.original_context_length", 0)
	switch kind {
	case "", "linear":
		if factor == 1 {
			return nil
		}
		return map[string]any{"rope_type": "linear", "factor": factor}
	case "none":
		return nil
	case "yarn":
		scaling := map[string]any{"rope_type": "yarn", "factor": factor}
		if original > 0 {
			scaling["original_max_position_embeddings"] = float64(original)
		}
		for key, hf := range map[string]string{"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow"} {
			if p.has("rope.scaling." + key) {
				scaling[hf] = p.real("rope.scaling."+key, required)
			}
		}
		return scaling
	}
	p.unsupported("rope scaling of type %q", clip(kind))
	return nil
}
