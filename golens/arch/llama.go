// Llama 1 to 3, SmolLM2 and whatever else calls itself LlamaForCausalLM; and the shape that Mistral and Qwen2 share
// with it: RMSNorm, rotary positions, grouped keys and values, gated MLP.
// Source of the keys and defaults: transformers' LlamaConfig.

package arch

import "fmt"

func init() {
	Register(Family{
		Name:          "llama",
		Architectures: []string{"LlamaForCausalLM"},
		ModelTypes:    []string{"llama"},
		build:         buildLlama,
	})
}

func buildLlama(r *reader) (*Spec, error) {
	s := llamaSpec(r, llamaSizes{vocab: 32000, hidden: 4096, mlp: 11008, layers: 32, heads: 32, positions: 2048})
	s.Attention.QKVBias = r.bool("attention_bias", false)
	s.Attention.OBias = s.Attention.QKVBias
	s.MLP.Bias = r.bool("mlp_bias", false)
	s.Attention.Windows = make([]int, s.NLayers)
	r.layerTypes(s.NLayers, 0)
	return llamaFinish(r, s, map[string]any{"attention_bias": s.Attention.QKVBias, "bos_token_id": 1, "eos_token_id": 2})
}

// llamaSizes are the defaults of a config class.
type llamaSizes struct {
	vocab, hidden, mlp, layers, heads, positions int
	kvHeads                                      int // 0: as many as heads
}

// llamaSpec reads what the whole kind has in common.
func llamaSpec(r *reader, standard llamaSizes) *Spec {
	s := &Spec{
		DModel:      r.size(standard.hidden, "hidden_size"),
		NLayers:     r.layers(standard.layers, "num_hidden_layers"),
		NHeads:      r.size(standard.heads, "num_attention_heads"),
		NCtx:        r.length(standard.positions, "max_position_embeddings"),
		DVocab:      r.size(standard.vocab, "vocab_size"),
		DMLP:        r.size(standard.mlp, "intermediate_size"),
		Norm:        Norm{Kind: RMSNorm, Eps: r.float("rms_norm_eps", 1e-6)},
		TiedUnembed: r.bool("tie_word_embeddings", false),
	}
	s.NKVHeads = r.optional("num_key_value_heads", standard.kvHeads)
	if s.NKVHeads == 0 {
		s.NKVHeads = s.NHeads
	}
	if s.NHeads%s.NKVHeads != 0 {
		r.fail("num_key_value_heads", "got %d, expected a divisor of num_attention_heads (%d)", s.NKVHeads, s.NHeads)
	}
	s.DHead = r.optional("head_dim", 0)
	if s.DHead == 0 {
		if s.DModel%s.NHeads != 0 {
			r.fail("hidden_size", "got %d, expected a multiple of num_attention_heads (%d) where head_dim is not given",
				s.DModel, s.NHeads)
		}
		s.DHead = s.DModel / s.NHeads
		r.head(s.DHead, "hidden_size")
		return s
	}
	r.head(s.DHead, "head_dim")
	return s
}

// llamaFinish completes a Spec once the family has set its biases and windows.
func llamaFinish(r *reader, s *Spec, extra map[string]any) (*Spec, error) {
	act, function := r.activation("hidden_act", "silu")
	s.MLP.Gated, s.MLP.Act = true, function
	if r.err != nil {
		return nil, r.err
	}
	s.Attention.BaseScale = inverseSqrt(s.DHead)
	position, settings := r.rope(s.DHead, s.NCtx)
	s.Position = position
	if r.err != nil {
		return nil, r.err
	}
	s.Tree, s.Weights = llamaParts(s, r.checkpoint.Transposed)
	s.Config = s.baseConfig(r, act)
	s.Config.NormalizationType = text("RMS")
	s.Config.PositionalEmbeddingType = "rotary"
	s.Config.FinalRMS = true
	extra["pad_token_id"] = nil
	passThrough(s.Config, r, extra)
	s.Config.Extra["intermediate_size"] = s.DMLP
	s.Config.Extra["hidden_act"] = act
	s.Config.Extra["rope_parameters"] = settings
	return s, r.err
}

func llamaParts(s *Spec, transposed Transposed) (Tree, WeightMap) {
	d, m, q, kv := s.DModel, s.DMLP, s.NHeads*s.DHead, s.NKVHeads*s.DHead
	a := newAssembler(transposed, "model.", `(^|\.)rotary_emb\.inv_freq$`, `^rope_freqs\.weight$`)
	a.silent = []string{"rotary_emb.hook_out", ".attn.hook_hidden_states"}
	a.table("embed", "EmbeddingBridge", "model.embed_tokens.weight", "W_E", s.DVocab, d)
	a.add("rotary_emb", "RotaryEmbeddingBridge")
	for i := range s.NLayers {
		block, hf := fmt.Sprintf("blocks.%d", i), fmt.Sprintf("model.layers.%d.", i)
		project := func(name string, in, out int, bias bool) linear {
			return linear{tensor: hf + name, in: in, out: out, bias: bias}
		}
		parts := attention{
			class: "PositionEmbeddingsAttentionBridge", heads: s.NHeads, kvHeads: s.NKVHeads,
			q: project("self_attn.q_proj", d, q, s.Attention.QKVBias),
			k: project("self_attn.k_proj", d, kv, s.Attention.QKVBias),
			v: project("self_attn.v_proj", d, kv, s.Attention.QKVBias),
			o: project("self_attn.o_proj", q, d, s.Attention.OBias),
		}
		gate := project("mlp.gate_proj", d, m, s.MLP.Bias)
		a.add(block, "BlockBridge")
		a.norm(block+".ln1", "RMSNormalizationBridge", hf+"input_layernorm", d, false)
		a.norm(block+".ln2", "RMSNormalizationBridge", hf+"post_attention_layernorm", d, false)
		a.attention(block+".attn", parts)
		a.mlp(block+".mlp", &gate, project("mlp.up_proj", d, m, s.MLP.Bias), project("mlp.down_proj", m, d, s.MLP.Bias))
	}
	a.norm("ln_final", "RMSNormalizationBridge", "model.norm", d, false)
	a.unembed("lm_head.weight", "model.embed_tokens.weight", s.DVocab, d, s.TiedUnembed)
	return a.finish(s.NLayers, "mlp.gate", "mlp.in", "mlp.out", "ln1", "ln2", "attn.q", "attn.k", "attn.v", "attn.o")
}
