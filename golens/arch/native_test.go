// Tests of native models' specifications: what fields they take and refuse, and the recipe of their weights.

package arch

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
)

// nativeConfig is a small configuration with these fields.
func nativeConfig(t *testing.T, fields map[string]any) *config.Config {
	t.Helper()
	values := map[string]any{"d_model": 8, "d_head": 4, "n_layers": 2, "n_ctx": 6, "d_vocab": 11}
	for name, value := range fields {
		values[name] = value
	}
	c, err := config.FromMap(values)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func native(t *testing.T, fields map[string]any) *Spec {
	t.Helper()
	s, err := Native(nativeConfig(t, fields))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNativeFields(t *testing.T) {
	s := native(t, map[string]any{
		"normalization_type": "LNPre", "final_rms": true, "attn_scores_soft_cap": 5.0, "output_logits_soft_cap": 7.0,
		"attention_dir": "bidirectional", "n_key_value_heads": 1, "d_vocab_out": 3, "act_fn": "solu_ln", "attn_scale": 2.0,
		"use_local_attn": true, "window_size": 3, "attn_types": []any{"local", "global"}, "scale_attn_by_inverse_layer_idx": true,
	})
	if s.Norm.Kind != LayerNorm || !s.Norm.Plain || s.FinalNorm().Kind != RMSNorm || !s.FinalNorm().Plain {
		t.Errorf("norms are %+v and %+v", s.Norm, s.FinalNorm())
	}
	a := s.Attention
	if a.SoftCap != 5 || s.OutputSoftCap != 7 || !a.Bidirectional || !a.ZeroMasked || a.BaseScale != 0.5 || !a.InverseLayer {
		t.Errorf("attention is %+v", a)
	}
	if !slices.Equal(a.Windows, []int{3, 0}) || s.NKVHeads != 1 || s.DVocabOut != 3 || s.MLP.Act != SoLU || !s.MLP.Norm {
		t.Errorf("windows %v, %d key-value heads, %d logits, MLP %+v", a.Windows, s.NKVHeads, s.DVocabOut, s.MLP)
	}
	plain := native(t, nil)
	if plain.Attention.BaseScale != 0.5 || plain.Config.DVocabOut != 11 || *plain.Config.Architecture != NativeArchitecture {
		t.Errorf("scale %v, %d logits, architecture %s", plain.Attention.BaseScale, plain.Config.DVocabOut, *plain.Config.Architecture)
	}
	if unscaled := native(t, map[string]any{"use_attn_scale": false}); unscaled.Attention.BaseScale != 1 {
		t.Errorf("without a scale scores are multiplied by %v", unscaled.Attention.BaseScale)
	}
}

func TestNativeRefusals(t *testing.T) {
	rotary := func(more map[string]any) map[string]any {
		more["positional_embedding_type"] = "rotary"
		return more
	}
	for _, c := range []struct {
		fields map[string]any
		kind   config.Kind
		says   string
	}{
		{map[string]any{"architecture": "LlamaForCausalLM"}, config.ValueError, "boot_transformers"},
		{map[string]any{"d_vocab": -1}, "RuntimeError", "vocabulary"},
		{map[string]any{"act_fn": "elu"}, config.ValueError, "solu_ln"},
		{map[string]any{"normalization_type": "BN"}, config.ValueError, "RMSPre"},
		{map[string]any{"attn_scale": 1.0}, config.ValueError, "d_head=4"},
		{map[string]any{"positional_embedding_type": "shortformer"}, config.ValueError, "rotary"},
		{rotary(map[string]any{"rotary_dim": 3}), config.ValueError, "even"},
		{rotary(map[string]any{"rotary_dim": 6}), config.ValueError, "d_head (4)"},
		{rotary(map[string]any{"rope_scaling": map[string]any{"type": "yarn", "factor": 2.0}}), "NotImplementedError", "llama3"},
		{rotary(map[string]any{"rope_scaling": "linear"}), config.TypeError, "dict"},
		{map[string]any{"use_local_attn": true}, config.ValueError, "window_size"},
		{map[string]any{"use_local_attn": true, "window_size": 2, "attn_types": []any{"local"}}, config.ValueError, "2 layers"},
		{map[string]any{"use_local_attn": true, "window_size": 2, "attn_types": []any{"local", "near"}}, config.ValueError, "near"},
		{map[string]any{"parallel_attn_mlp": true}, "NotImplementedError", "parallel_attn_mlp"},
		{map[string]any{"tie_word_embeddings": true}, "NotImplementedError", "tie_word_embeddings"},
		{map[string]any{"num_experts": 4}, "NotImplementedError", "num_experts"},
		{map[string]any{"use_attn_result": true}, "NotImplementedError", "use_attn_result"},
	} {
		_, err := Native(nativeConfig(t, c.fields))
		var wrong *config.Error
		if !errors.As(err, &wrong) || wrong.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: got %v, expected a %s with %q", c.fields, err, c.kind, c.says)
		}
	}
}

func TestNativeRotary(t *testing.T) {
	base := native(t, map[string]any{"positional_embedding_type": "rotary", "rotary_base": 100})
	if !slices.Equal(base.Position.InvFreq, []float32{1, 0.1}) || !base.Position.AdjacentPairs {
		t.Errorf("positions are %+v", base.Position)
	}
	scaled := func(settings map[string]any) Position {
		return native(t, map[string]any{"positional_embedding_type": "rotary", "rotary_base": 100, "rope_scaling": settings}).Position
	}
	if p := scaled(map[string]any{"type": "linear", "factor": 4.0}); p.Divisor != 4 || !slices.Equal(p.InvFreq, base.Position.InvFreq) {
		t.Errorf("linear: %+v", p)
	}
	if p := scaled(map[string]any{"rope_type": "ntk", "factor": 3.0}); p.Base != 100*9 || math.Abs(float64(p.InvFreq[1])-1/30.0) > 1e-8 {
		t.Errorf("ntk: %+v", p)
	}
	if p := scaled(map[string]any{"factor": 3.0}); p.Divisor != 0 || p.Base != 100 {
		t.Errorf("no type: %+v", p)
	}
}

// TestRecipe: matrices in upstream's order, everything else at its standing value, each parameter once.
func TestRecipe(t *testing.T) {
	s := native(t, map[string]any{"init_mode": "gpt2", "act_fn": "solu_ln"})
	recipe, err := s.Initialization(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	seen := map[string]int{}
	for _, d := range recipe {
		seen[d.Parameter]++
		if d.Kind != "constant" {
			drawn = append(drawn, d.Parameter)
		} else if want := map[bool]float64{true: 1, false: 0}[strings.HasSuffix(d.Parameter, "weight")]; d.A != want {
			t.Errorf("%s is %v", d.Parameter, d.A)
		}
		if spread := 0.8 / math.Sqrt(8); strings.HasSuffix(d.Parameter, "mlp.out.weight") && math.Abs(d.B-spread/2) > 1e-12 {
			t.Errorf("%s has a deviation of %v, expected %v", d.Parameter, d.B, spread/2)
		}
	}
	front := []string{"embed.weight", "pos_embed.weight", "blocks.0.attn.q.weight", "blocks.0.attn.k.weight",
		"blocks.0.attn.v.weight", "blocks.0.attn.o.weight", "blocks.0.mlp.in.weight", "blocks.0.mlp.out.weight", "blocks.1.attn.q.weight"}
	if !slices.Equal(drawn[:len(front)], front) || drawn[len(drawn)-1] != "unembed.weight" {
		t.Errorf("drawn are %v", drawn)
	}
	for _, name := range s.Tree.StateDict {
		if want := 1; name != "unembed.bias" && seen[name] != want {
			t.Errorf("%s is filled %d times", name, seen[name])
		}
	}
	s.Config.InitMode = "muP"
	if _, err := s.Initialization(s.Config); err == nil || !strings.Contains(err.Error(), "xavier_normal") {
		t.Errorf("an unknown init_mode: %v", err)
	}
}
