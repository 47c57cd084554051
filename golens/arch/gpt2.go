// GPT-2: learned positions, LayerNorm with bias, joint q, k, v in Conv1D layout, tied unembedding.
// Source of the keys and defaults: transformers' GPT2Config.

package arch

import (
	"fmt"
)

func init() {
	Register(Family{
		Name:          "gpt2",
		Architectures: []string{"GPT2LMHeadModel"},
		ModelTypes:    []string{"gpt2"},
		build:         buildGPT2,
	})
}

func buildGPT2(r *reader) (*Spec, error) {
	d := r.size(768, "n_embd", "hidden_size")
	s := &Spec{
		DModel:  d,
		NLayers: r.layers(12, "n_layer", "num_hidden_layers"),
		NHeads:  r.size(12, "n_head", "num_attention_heads"),
		NCtx:    r.size(1024, "n_positions", "max_position_embeddings"),
		DVocab:  r.size(50257, "vocab_size"),
		DMLP:    r.size(4*d, "n_inner"),
		Norm:    Norm{Kind: LayerNorm, Eps: r.float("layer_norm_epsilon", 1e-5), Bias: true},
		Attention: Attention{
			BaseScale:    1,
			InverseLayer: r.bool("scale_attn_by_inverse_layer_idx", false),
			UpcastScores: r.bool("reorder_and_upcast_attn", false),
			QKVBias:      true, OBias: true,
		},
		TiedUnembed: r.bool("tie_word_embeddings", true),
	}
	r.raw("n_ctx") // older files repeat n_positions under this name; transformers reads only n_positions
	act, function := r.activation("activation_function", "gelu_new")
	s.MLP = MLP{Act: function, Bias: true}
	if s.DModel%s.NHeads != 0 {
		r.fail("n_embd", "got %d, expected a multiple of n_head (%d)", s.DModel, s.NHeads)
		return nil, r.err
	}
	s.NKVHeads, s.DHead = s.NHeads, s.DModel/s.NHeads
	r.layerTypes(s.NLayers, 0)
	if r.err != nil {
		return nil, r.err
	}
	if r.bool("scale_attn_weights", true) {
		s.Attention.BaseScale = inverseSqrt(s.DHead)
	}
	s.Attention.Windows = make([]int, s.NLayers)

	s.Tree, s.Weights = gpt2Parts(s, r.checkpoint.Transposed)
	s.Config = s.baseConfig(r, act)
	s.Config.NormalizationType = text("LN")
	s.Config.PositionalEmbeddingType = "standard"
	s.Config.SplitAttentionWeights = true
	s.Config.ScaleAttnByInverseLayerIdx = s.Attention.InverseLayer
	passThrough(s.Config, r, map[string]any{"eos_token_id": 50256, "bos_token_id": 50256, "pad_token_id": nil})
	return s, r.err
}

func gpt2Parts(s *Spec, transposed Transposed) (Tree, WeightMap) {
	d, m := s.DModel, s.DMLP
	a := newAssembler(transposed, "transformer.", `^(transformer\.)?h\.\d+\.attn\.(masked_)?bias$`)
	a.silent = []string{".qkv.hook_in", ".qkv.hook_out"}
	a.table("embed", "EmbeddingBridge", "transformer.wte.weight", "W_E", s.DVocab, d)
	a.table("pos_embed", "PosEmbedBridge", "transformer.wpe.weight", "W_pos", s.NCtx, d)
	for i := range s.NLayers {
		block, hf := fmt.Sprintf("blocks.%d", i), fmt.Sprintf("transformer.h.%d.", i)
		joint := linear{tensor: hf + "attn.c_attn", layout: InOut, in: d, out: 3 * d, bias: true}
		part := func(index int) linear {
			l := joint
			l.offset, l.columns = index*d, d
			return l
		}
		a.add(block, "BlockBridge")
		a.norm(block+".ln1", "NormalizationBridge", hf+"ln_1", d, true)
		a.attention(block+".attn", attention{
			class: "JointQKVAttentionBridge", heads: s.NHeads, kvHeads: s.NHeads,
			q: part(0), k: part(1), v: part(2), joint: joint,
			o: linear{tensor: hf + "attn.c_proj", layout: InOut, in: d, out: d, bias: true},
		})
		a.norm(block+".ln2", "NormalizationBridge", hf+"ln_2", d, true)
		a.mlp(block+".mlp", nil,
			linear{tensor: hf + "mlp.c_fc", layout: InOut, in: d, out: m, bias: true},
			linear{tensor: hf + "mlp.c_proj", layout: InOut, in: m, out: d, bias: true})
	}
	a.norm("ln_final", "NormalizationBridge", "transformer.ln_f", d, true)
	a.unembed("lm_head.weight", "transformer.wte.weight", s.DVocab, d, s.TiedUnembed)
	return a.finish(s.NLayers, "attn.q", "attn.k", "attn.v", "attn.o", "mlp.in", "mlp.out", "ln1", "ln2")
}

// text is a config string that may be None.
func text(s string) *string { return &s }
