// Tests of native models: reproducible weights, the points that fire, the same bits however a run is looked at.
package model_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var nativeKinds = map[string]map[string]any{
	"plain":     {},
	"bare":      {"normalization_type": nil, "attn_only": true},
	"solu":      {"act_fn": "solu_ln", "normalization_type": "LNPre", "d_vocab_out": 7},
	"gated":     {"gated_mlp": true, "act_fn": "solu", "normalization_type": "RMSPre", "n_key_value_heads": 2},
	"rotary":    {"positional_embedding_type": "rotary", "normalization_type": "RMS", "final_rms": true},
	"capped":    {"attn_scores_soft_cap": 2.0, "output_logits_soft_cap": 3.0, "attention_dir": "bidirectional"},
	"windowed":  {"use_local_attn": true, "window_size": 3, "attn_types": []any{"local", "global", "local"}},
	"unscaled":  {"use_attn_scale": false, "scale_attn_by_inverse_layer_idx": true},
	"ln_at_end": {"normalization_type": nil, "final_rms": true},
}

func nativeConfig(t testing.TB, fields map[string]any) *config.Config {
	t.Helper()
	values := map[string]any{"d_model": 32, "d_head": 8, "n_layers": layers, "n_ctx": 20, "d_vocab": vocab, "act_fn": "gelu", "seed": 5}
	maps.Copy(values, fields)
	c, err := config.FromMap(values)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func native(t testing.TB, fields map[string]any) *model.Model {
	t.Helper()
	before := tensor.Count().Storages
	m, err := model.Native(t.Context(), nativeConfig(t, fields), model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		if after := tensor.Count().Storages; after != before && !t.Failed() {
			t.Errorf("%d storages are left behind", after-before)
		}
	})
	return m
}

// TestNativeRuns: every point that the tree promises fires; watched, plain and alone in a batch give the same bits.
func TestNativeRuns(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(nativeKinds)) {
		t.Run(kind, func(t *testing.T) {
			m := native(t, nativeKinds[kind])
			in := asking(words(t, 3, 9))
			want := copied(run(t, m, in).Output)
			watched, plain := *in, *in
			watched.Keep, plain.Plain = everything, true
			r := run(t, m, &watched)
			sameBits(t, "watched", r.Output.Float32s(), want)
			sameBits(t, "plain", run(t, m, &plain).Output.Float32s(), want)
			fired := kept(m, r.Kept)
			for _, c := range m.Spec.Tree.Components {
				for _, h := range c.Hooks {
					if _, ok := fired[h.Name]; ok != (!h.Silent && h.Gate == "") {
						t.Errorf("%s fired: %v", h.Name, ok)
					}
				}
			}
			row, err := in.Tokens.View([]int{1, 9}, nil, 9)
			if err != nil {
				t.Fatal(err)
			}
			defer row.Release()
			n := len(want) / 3
			sameBits(t, "the second row alone", run(t, m, asking(row)).Output.Float32s(), want[n:2*n])
		})
	}
}

func TestNativeWeights(t *testing.T) {
	weights := func(fields map[string]any) []float32 {
		return slices.Clone(value(t, native(t, fields), 0).Float32s())
	}
	first := weights(nil)
	sameBits(t, "the same seed", weights(nil), first)
	if slices.Equal(weights(map[string]any{"seed": 6}), first) || slices.Equal(weights(map[string]any{"init_weights": false}), first) {
		t.Error("another seed or no initialisation gives the same weights")
	}
	m := native(t, nil)
	set(t, m, "seed", 6)
	if err := m.InitWeights(); err != nil {
		t.Fatal(err)
	}
	p := value(t, m, 0)
	sameBits(t, "drawn afresh", p.Float32s(), weights(map[string]any{"seed": 6}))
	if err := tiny(t, "gpt2").InitWeights(); err == nil {
		t.Error("the weights of a checkpoint were drawn")
	}
	set(t, m, "init_mode", "muP")
	before := slices.Clone(p.Float32s())
	if err := m.InitWeights(); err == nil {
		t.Error("an unknown init_mode was taken")
	}
	sameBits(t, "after the error", p.Float32s(), before)
}

func TestNativeErrors(t *testing.T) {
	m := native(t, nil)
	if _, err := m.Forward(context.Background(), asking(words(t, 1, 21))); !errors.Is(err, model.ErrInput) {
		t.Errorf("a sequence beyond n_ctx: %v", err)
	}
	for _, flag := range []string{"use_attn_result", "use_split_qkv_input", "use_attn_in"} {
		var wrong *config.Error
		if err := m.Set(flag, true); !errors.As(err, &wrong) || wrong.Kind != "NotImplementedError" {
			t.Errorf("%s: %v", flag, err)
		}
	}
	if _, err := model.Native(t.Context(), nativeConfig(t, map[string]any{"init_mode": "muP"}), model.Options{}); err == nil {
		t.Error("an unknown init_mode was taken")
	}
	if _, err := model.Native(t.Context(), nativeConfig(t, nil), model.Options{DType: "int8"}); err == nil {
		t.Error("int8 was taken")
	}
}
