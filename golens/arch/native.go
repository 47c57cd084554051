// Native models: built from a configuration alone, not from a checkpoint's config.json. The shape is that of
// transformer_lens's own small transformer: separate q, k, v with biases, norms in front of attention and MLP, learned
// or rotary positions. Weights have the names of upstream's module tree ("layers.0.attn.q.weight"); how they are drawn
// is in native_init.go, rotary settings are in native_rope.go.

package arch

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
)

// NativeArchitecture is the architecture that a native model's configuration names.
const NativeArchitecture = "TransformerLensNative"

// SoLU is Spec.MLP's activation that is no function of single elements: x · softmax(x) along d_mlp.
const SoLU Activation = "solu"

// nativeActivations are upstream's names.
var nativeActivations = map[string]Activation{
	"gelu": GELU, "gelu_new": GELUTanh, "relu": ReLU, "silu": SiLU, "swish": SiLU, "solu": SoLU, "solu_ln": SoLU,
}

// Native makes the Spec of a model with this configuration, which it copies and completes.
func Native(given *config.Config) (*Spec, error) {
	c := given.Clone()
	if c.Architecture != nil && *c.Architecture != NativeArchitecture {
		return nil, nativeError(config.ValueError, "architecture", "%q given: boot_native only builds %s; leave it unset, or use "+
			"boot_transformers for models of other architectures", *c.Architecture, NativeArchitecture)
	}
	c.Architecture = text(NativeArchitecture)
	if err := c.Derive(); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := refuseUnbuilt(c); err != nil {
		return nil, err
	}
	s := &Spec{
		Family: "native", Architecture: NativeArchitecture, Config: c,
		NLayers: c.NLayers, DModel: c.DModel, NHeads: c.NHeads, NKVHeads: c.NKVHeads(), DHead: c.DHead, DMLP: *c.DMLP,
		DVocab: c.DVocab, NCtx: c.NCtx, LimitContext: true, AttnOnly: c.AttnOnly,
		OutputSoftCap: max(c.OutputLogitsSoftCap, 0),
	}
	if c.DVocabOut < 1 {
		c.DVocabOut = c.DVocab
	}
	s.DVocabOut = c.DVocabOut
	if c.DVocab < 1 {
		return nil, nativeError("RuntimeError", "d_vocab", "got %d: a native model needs the size of its vocabulary", c.DVocab)
	}
	for _, step := range []func(*Spec) error{nativeNorms, nativeAttention, nativePositions, nativeMLP} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	s.Tree, s.Weights = nativeParts(s)
	return s, nil
}

func nativeError(kind config.Kind, field, format string, args ...any) error {
	return &config.Error{Kind: kind, Field: field, Text: fmt.Sprintf(format, args...)}
}

// refuseUnbuilt raises for fields that would change the numbers of a native model and do not: upstream ignores them.
func refuseUnbuilt(c *config.Config) error {
	standard := config.New(c.DModel, c.DHead, c.NLayers, c.NCtx)
	for _, name := range []string{
		"num_experts", "experts_per_token", "use_qk_norm", "qk_norm_after_rope", "parallel_attn_mlp", "post_embedding_ln",
		"use_normalization_before_and_after", "rmsnorm_uses_offset", "scale_embedding", "tie_word_embeddings",
		"use_NTK_by_parts_rope", "rotary_interleaved_cos_sin", "per_layer_head_dim", "per_layer_num_key_value_heads",
		"relative_attention_max_distance", "relative_attention_num_buckets", "load_in_4bit", "is_audio_model",
		"is_visual_model", "is_multimodal", "is_stateful", "use_attn_result", "use_split_qkv_input", "use_attn_in",
	} {
		value, _ := c.Get(name)
		usual, _ := standard.Get(name)
		if value != nil && value != usual {
			return nativeError("NotImplementedError", name, "%v given: a native model has no such operation (transformer_lens "+
				"ignores the field); leave it at %s", value, shown(usual))
		}
	}
	return nil
}

func shown(value any) string {
	switch value {
	case nil:
		return "None"
	case false:
		return "False"
	}
	return fmt.Sprint(value)
}

// nativeNorms reads normalization_type: LN, RMS, either without weights (…Pre), or None.
func nativeNorms(s *Spec) error {
	c := s.Config
	kind := ""
	if c.NormalizationType != nil {
		kind = strings.ToUpper(*c.NormalizationType)
	}
	n := Norm{Eps: c.Eps, Plain: strings.HasSuffix(kind, "PRE")}
	switch kind {
	case "":
		n.Kind = NoNorm
	case "LN", "LNPRE":
		n.Kind, n.Bias = LayerNorm, !n.Plain
	case "RMS", "RMSPRE":
		n.Kind = RMSNorm
	default:
		return nativeError(config.ValueError, "normalization_type", "got %q, expected LN, LNPre, RMS, RMSPre or None", *c.NormalizationType)
	}
	s.Norm = n
	if c.FinalRMS {
		s.Final = &Norm{Kind: RMSNorm, Eps: c.Eps, Plain: n.Plain}
	}
	return nil
}

func nativeAttention(s *Spec) error {
	c := s.Config
	a := Attention{
		QKVBias: true, OBias: true, InverseLayer: c.ScaleAttnByInverseLayerIdx, Bidirectional: c.AttentionDir != "causal",
		SoftCap: max(c.AttnScoresSoftCap, 0), ZeroMasked: true, ScoresShowPattern: true,
		Unforked: true, BaseScale: 1,
	}
	switch {
	case !c.UseAttnScale:
	case c.AttnScale <= 0:
		a.BaseScale = 1 / math.Sqrt(float64(c.DHead))
	case c.DHead > 1 && math.Abs(c.AttnScale-1) <= 1e-9:
		return nativeError(config.ValueError, "attn_scale", "got %v with d_head=%d: scores are divided by it, so these would not be "+
			"scaled at all; leave it at -1 for the square root of d_head, or set use_attn_scale=False", c.AttnScale, c.DHead)
	default:
		a.BaseScale = 1 / c.AttnScale
	}
	windows, err := nativeWindows(c)
	a.Windows = windows
	s.Attention = a
	return err
}

// nativeWindows is what use_local_attn asks for: window_size in the layers that attn_types calls local.
func nativeWindows(c *config.Config) ([]int, error) {
	windows := make([]int, c.NLayers)
	if !c.UseLocalAttn {
		return windows, nil
	}
	if c.WindowSize == nil || *c.WindowSize < 1 {
		return nil, nativeError(config.ValueError, "window_size", "missing or not positive; use_local_attn needs it")
	}
	if len(c.AttnTypes) != c.NLayers {
		return nil, nativeError(config.ValueError, "attn_types", "got %d entries, expected one for each of %d layers where use_local_attn is "+
			"set: \"local\" or \"global\"", len(c.AttnTypes), c.NLayers)
	}
	for i, kind := range c.AttnTypes {
		switch kind {
		case "local":
			windows[i] = *c.WindowSize
		case "global":
		default:
			return nil, nativeError(config.ValueError, "attn_types", "entry %d is %q, expected \"local\" or \"global\"", i, kind)
		}
	}
	return windows, nil
}

func nativeMLP(s *Spec) error {
	name := strings.ToLower(s.Config.ActFn)
	if name == "" {
		name = "gelu"
		if s.Config.GatedMLP {
			name = "silu"
		}
	}
	act, ok := nativeActivations[name]
	if !ok && !s.AttnOnly {
		names := make([]string, 0, len(nativeActivations))
		for known := range nativeActivations {
			names = append(names, known)
		}
		slices.Sort(names)
		return nativeError(config.ValueError, "act_fn", "got %q, expected one of %s", s.Config.ActFn, strings.Join(names, ", "))
	}
	s.MLP = MLP{Gated: s.Config.GatedMLP, Act: act, Bias: !s.Config.GatedMLP, Norm: name == "solu_ln" && !s.Config.GatedMLP}
	return nil
}

// normClass is upstream's class for a norm.
func normClass(n Norm) string {
	switch {
	case n.Kind == NoNorm:
		return "GeneralizedComponent"
	case n.Kind == RMSNorm && n.Plain:
		return "RMSNormPreBridge"
	case n.Kind == RMSNorm:
		return "RMSNormalizationBridge"
	case n.Plain:
		return "LayerNormPreBridge"
	}
	return "NormalizationBridge"
}

// nativeSilent are hook points that exist and never fire: upstream's attention computes past them.
var nativeSilent = []string{".attn.hook_hidden_states", ".attn.hook_rot_q", ".attn.hook_rot_k"}

func nativeParts(s *Spec) (Tree, WeightMap) {
	d := s.DModel
	a := newAssembler(nil, "")
	a.silent = slices.Clone(nativeSilent)
	if s.AttnOnly {
		a.silent = append(a.silent, ".hook_mlp_in")
	}
	a.readOnly = ".attn.hook_attn_scores"
	norm := func(name, tensor string, n Norm) {
		if n.Plain || n.Kind == NoNorm {
			a.add(name, normClass(n))
			return
		}
		a.norm(name, normClass(n), tensor, d, n.Bias)
	}
	a.table("embed", "EmbeddingBridge", "tok_embed.weight", "W_E", s.DVocab, d)
	if s.Position.Kind == Learned {
		a.table("pos_embed", "PosEmbedBridge", "pos.weight", "W_pos", s.NCtx, d)
	}
	q, kv := s.NHeads*s.DHead, s.NKVHeads*s.DHead
	var turned []string
	if s.Position.Kind == Rotary {
		turned = []string{"hook_rot_k", "hook_rot_q"}
	}
	for i := range s.NLayers {
		block, own := fmt.Sprintf("blocks.%d", i), fmt.Sprintf("layers.%d.", i)
		a.add(block, "BlockBridge")
		norm(block+".ln1", own+"ln1", s.Norm)
		a.attention(block+".attn", attention{
			class: "AttentionBridge", heads: s.NHeads, kvHeads: s.NKVHeads, more: turned,
			q: linear{tensor: own + "attn.q", in: d, out: q, bias: true}, k: linear{tensor: own + "attn.k", in: d, out: kv, bias: true},
			v: linear{tensor: own + "attn.v", in: d, out: kv, bias: true}, o: linear{tensor: own + "attn.o", in: q, out: d, bias: true},
		})
		if !s.AttnOnly {
			norm(block+".ln2", own+"ln2", s.Norm)
			a.nativeMLP(s, block+".mlp", own+"mlp.")
		}
	}
	norm("ln_final", "ln_out", s.FinalNorm())
	a.unembed("head.weight", "", s.DVocabOut, d, false)
	return a.finish(s.NLayers, "ln1", "attn.q", "attn.k", "attn.v", "attn.o", "ln2", "mlp.gate", "mlp.ln", "mlp.in", "mlp.out")
}

// nativeMLP places an MLP under the names that upstream's modules have.
func (a *assembler) nativeMLP(s *Spec, name, own string) {
	in, out := linear{tensor: own + "fc_in", in: s.DModel, out: s.DMLP, bias: true}, linear{tensor: own + "fc_out", in: s.DMLP, out: s.DModel, bias: true}
	if !s.MLP.Gated {
		a.mlp(name, nil, in, out)
		if s.MLP.Norm {
			a.norm(name+".ln", "NormalizationBridge", own+"ln", s.DMLP, true)
		}
		return
	}
	in.tensor, in.bias, out.tensor, out.bias = own+"in", false, own+"out", false
	gate := in
	gate.tensor = own + "gate"
	a.mlp(name, &gate, in, out)
}
