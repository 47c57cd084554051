// Tests of the flags that add hook points: the points that fire, the same results, what edits there reach, and
// flags that are flipped in the middle of a run.
package model_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var flags = []string{"use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in"}

// combinations are all sets of flags that may be set together.
func combinations() [][]string {
	var all [][]string
	for bits := range 1 << len(flags) {
		var set []string
		for i, flag := range flags {
			if bits>>i&1 == 1 {
				set = append(set, flag)
			}
		}
		if !slices.Contains(set, "use_split_qkv_input") || !slices.Contains(set, "use_attn_in") {
			all = append(all, set)
		}
	}
	return all
}

func setOnly(t *testing.T, m *model.Model, wanted []string) {
	t.Helper()
	for _, flag := range flags {
		set(t, m, flag, false)
	}
	for _, flag := range wanted {
		set(t, m, flag, true)
	}
}

// TestFlags: each combination fires exactly the points that the component tree promises, and nobody's results
// change but by rounding.
func TestFlags(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 2, 9))
		want := copied(run(t, m, in).Output)
		for _, on := range combinations() {
			setOnly(t, m, on)
			near(t, fmt.Sprint(on), run(t, m, in).Output.Float32s(), want, 1e-5)
			watched := *in
			watched.Keep = everything
			r := run(t, m, &watched)
			near(t, fmt.Sprint(on, " watched"), r.Output.Float32s(), want, 1e-5)
			fired := kept(m, r.Kept)
			for _, c := range m.Spec.Tree.Components {
				for _, h := range c.Hooks {
					expected := !h.Silent && (h.Gate == "" || slices.Contains(on, h.Gate))
					for _, flag := range h.Unless {
						expected = expected && !slices.Contains(on, flag)
					}
					if _, ok := fired[h.Name]; ok != expected {
						t.Errorf("%v: %s fired: %v, expected: %v", on, h.Name, ok, expected)
					}
				}
			}
		}
	})
}

func TestFlagErrors(t *testing.T) {
	m := tiny(t, "gpt2")
	set(t, m, "use_attn_in", true)
	var wrong *config.Error
	if err := m.Set("use_split_qkv_input", true); !errors.As(err, &wrong) || wrong.Kind != config.ValueError || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("both input flags: %v", err)
	}
	if m.Config().UseSplitQKVInput || !m.Config().UseAttnIn {
		t.Error("a refused flag was stored")
	}
	for field, value := range map[string]any{"n_layers": "three", "use_attn_result": "yes"} {
		if err := m.Set(field, value); err == nil {
			t.Errorf("%s = %v was accepted", field, value)
		}
	}
}

// TestEditsAtFlaggedPoints: what is edited there reaches its own branch only.
func TestEditsAtFlaggedPoints(t *testing.T) {
	zeroHead := func(head int) hook.Func {
		return func(v *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
			heads, n := v.Dim(2), v.Dim(3)
			for row := range v.Dim(0) * v.Dim(1) {
				clear(v.Float32s()[(row*heads+head)*n : (row*heads+head+1)*n])
			}
			return nil, nil
		}
	}
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 1, 9))
		in.Keep = everything
		remove := hookOn(t, m, "blocks.1.attn.hook_z", zeroHead(2))
		withoutHead := copied(run(t, m, in).Output)
		remove()

		set(t, m, "use_attn_result", true)
		remove = hookOn(t, m, "blocks.1.attn.hook_result", zeroHead(2))
		near(t, "a head's result is what z makes of it", run(t, m, in).Output.Float32s(), withoutHead, 1e-5)
		remove()

		set(t, m, "use_split_qkv_input", true)
		plain := kept(m, run(t, m, in).Kept)
		hookOn(t, m, "blocks.1.hook_q_input", zeroHead(0))
		edited := kept(m, run(t, m, in).Kept)
		for _, same := range []string{"blocks.1.attn.k.hook_out", "blocks.1.attn.v.hook_out", "blocks.1.ln1.hook_out"} {
			sameBits(t, same, edited[same].Float32s(), plain[same].Float32s())
		}
		q, was := edited["blocks.1.attn.q.hook_out"], plain["blocks.1.attn.q.hook_out"]
		for head := range q.Dim(2) {
			n := q.Dim(3)
			changed := !slices.Equal(q.Float32s()[head*n:(head+1)*n], was.Float32s()[head*n:(head+1)*n])
			if changed != (head == 0) {
				t.Errorf("queries of head %d changed: %v", head, changed)
			}
		}
	})
}

// fire notes which points fire in a run.
func fire(t *testing.T, m *model.Model, names ...string) *[]string {
	t.Helper()
	var fired []string
	for _, name := range names {
		hookOn(t, m, name, func(_ *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
			fired = append(fired, p.Name)
			return nil, nil
		})
	}
	return &fired
}

// TestFlagFlippedInAHook: the rest of the run has the new points, from where it can: at the latest the next layer.
func TestFlagFlippedInAHook(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 2, 9))
		want := copied(run(t, m, in).Output)
		for _, c := range []struct{ flag, at, gated, first string }{
			{"use_attn_result", "blocks.0.hook_in", "attn.hook_result", "blocks.0"},
			{"use_attn_result", "blocks.0.attn.hook_z", "attn.hook_result", "blocks.0"},
			{"use_attn_result", "blocks.0.attn.o.hook_out", "attn.hook_result", "blocks.1"},
			{"use_attn_result", "blocks.1.attn.hook_attn_scores", "attn.hook_result", "blocks.1"},
			{"use_split_qkv_input", "embed.hook_out", "attn.hook_k_input", "blocks.0"},
			{"use_split_qkv_input", "blocks.0.attn.q.hook_in", "attn.hook_k_input", "blocks.1"},
			{"use_split_qkv_input", "blocks.0.attn.k.hook_out", "attn.hook_k_input", "blocks.1"},
			{"use_attn_in", "blocks.0.attn.hook_pattern", "attn.hook_attn_in", "blocks.1"},
			{"use_hook_mlp_in", "blocks.0.attn.hook_out", "hook_mlp_in", "blocks.0"},
			{"use_hook_mlp_in", "blocks.0.ln2.hook_in", "hook_mlp_in", "blocks.1"},
		} {
			for _, value := range []bool{true, false} { // on, and then off again
				setOnly(t, m, nil)
				at := c.at
				if !value {
					set(t, m, c.flag, true)
					at = "blocks.0.hook_out"
				}
				remove := hookOn(t, m, at, func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, m.Set(c.flag, value) })
				fired := fire(t, m, "blocks.0."+c.gated, "blocks.1."+c.gated, "blocks.2."+c.gated)
				var expected []string
				for layer := range layers {
					if value && block(layer) >= c.first || !value && layer == 0 {
						expected = append(expected, block(layer)+"."+c.gated)
					}
				}
				watched := *in
				watched.Keep = everyNth(2)
				r := run(t, m, &watched)
				if !slices.Equal(*fired, expected) {
					t.Errorf("%s = %v set at %s: fired %v, expected %v", c.flag, value, at, *fired, expected)
				}
				near(t, fmt.Sprintf("%s = %v set at %s", c.flag, value, at), r.Output.Float32s(), want, 1e-5)
				remove()
				if _, err := m.Hooks.Clear(-1, hook.Both, hook.NoLevel, true); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestFlagFlippedWithinBounds: a run of some layers, and a component by itself, keep their bounds in the new graph.
func TestFlagFlippedWithinBounds(t *testing.T) {
	m := tiny(t, "llama")
	full := kept(m, func() *model.Result {
		in := asking(words(t, 1, 6))
		in.Keep = everything
		return run(t, m, in)
	}().Kept)
	in := &model.Input{Resid: full["blocks.1.hook_in"], Start: 1, Stop: 2, Output: model.OutputStream}
	hookOn(t, m, "blocks.1.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		return nil, m.Set("use_attn_result", true)
	})
	fired := fire(t, m, "blocks.0.attn.hook_result", "blocks.1.attn.hook_result", "blocks.2.attn.hook_result", "blocks.2.hook_in", "unembed.hook_in")
	near(t, "one layer", run(t, m, in).Output.Float32s(), full["blocks.2.hook_in"].Float32s(), 1e-5)
	if want := []string{"blocks.1.attn.hook_result", "blocks.2.hook_in"}; !slices.Equal(*fired, want) {
		t.Errorf("fired %v, want %v", *fired, want)
	}
	set(t, m, "use_attn_result", false)
	*fired = nil
	near(t, "a block", call(t, m, "blocks.1", &model.Arguments{X: full["blocks.1.hook_in"]}).Output.Float32s(), full["blocks.1.hook_out"].Float32s(), 1e-5)
	if want := []string{"blocks.1.attn.hook_result"}; !slices.Equal(*fired, want) {
		t.Errorf("fired %v, want %v", *fired, want)
	}
	set(t, m, "use_attn_result", false)
	hookOn(t, m, "blocks.1.attn.o.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		return nil, m.Set("use_attn_result", true)
	})
	out := call(t, m, "blocks.1.attn.o", &model.Arguments{X: full["blocks.1.attn.o.hook_in"]}).Output
	sameBits(t, "a projection that the flag does away with", out.Float32s(), full["blocks.1.attn.o.hook_out"].Float32s())
}

// TestFieldsThatDecideNumbers: writing one that the graph was built from would change nothing, so it is refused.
func TestFieldsThatDecideNumbers(t *testing.T) {
	m := tiny(t, "gpt2")
	set(t, m, "eps", m.Config().Eps)
	set(t, m, "n_ctx", m.Config().NCtx/2)
	for field, value := range map[string]any{"eps": 0.5, "n_heads": 1, "use_attn_scale": false, "window_size": 3} {
		before, _ := m.Config().Get(field)
		err := m.Set(field, value)
		var refused *config.Error
		if !errors.As(err, &refused) || refused.Kind != "NotImplementedError" || refused.Field != field {
			t.Errorf("%s: error %v", field, err)
		}
		if after, _ := m.Config().Get(field); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s became %v", field, after)
		}
	}
}
