// Tests of running parts of a model: from a layer, up to a layer, one component.
package model_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// fullRun keeps everything of a run with padding, so that masks and positions matter.
func fullRun(t *testing.T, m *model.Model) (in *model.Input, logits *tensor.Tensor, by map[string]*tensor.Tensor) {
	t.Helper()
	in = asking(words(t, 2, 10))
	in.Mask = integers(t, slices.Concat(slices.Repeat([]int64{0}, 3), slices.Repeat([]int64{1}, 17)), 2, 10)
	watched := *in
	watched.Keep = everything
	r := run(t, m, &watched)
	return in, r.Output, kept(m, r.Kept)
}

// positions are those that fullRun's mask leads to.
func positions(t *testing.T) *tensor.Tensor {
	t.Helper()
	return integers(t, []int64{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 2, 10)
}

func TestStopAndStart(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		tokens, logits, by := fullRun(t, m)
		for layer := range layers {
			stream := by[block(layer)+".hook_in"].Float32s()
			for _, stop := range []int{layer, layer - layers} {
				in := *tokens
				in.Stop = stop
				in.Keep = everything
				r := run(t, m, &in)
				sameBits(t, fmt.Sprint("stop at ", stop), r.Output.Float32s(), stream)
				for name := range kept(m, r.Kept) {
					if name >= block(layer)+".hook_in'" && strings.HasPrefix(name, "blocks.") || strings.HasPrefix(name, "unembed") {
						t.Errorf("stop at %d: %s fired", stop, name)
					}
				}
			}
			in := &model.Input{Resid: by[block(layer)+".hook_in"], Mask: tokens.Mask, Positions: positions(t), Start: layer, Stop: model.NoLayer, Output: model.OutputLogits}
			in.Keep = everything
			r := run(t, m, in)
			sameBits(t, fmt.Sprint("start at ", layer), r.Output.Float32s(), logits.Float32s())
			for name := range kept(m, r.Kept) {
				if strings.HasPrefix(name, "embed.") || strings.HasPrefix(name, "pos_embed.") || (strings.HasPrefix(name, "blocks.") && name < block(layer)) {
					t.Errorf("start at %d: %s fired", layer, name)
				}
			}
			if layer > 0 {
				in.Stop = layer
				sameBits(t, "start where it stops", run(t, m, in).Output.Float32s(), stream)
			}
		}
		in := *tokens
		in.Stop = layers // as upstream: there is no such layer, so the run goes on
		sameBits(t, "stop behind the last layer", run(t, m, &in).Output.Float32s(), logits.Float32s())
	})
}

func TestEmbeddingsGiven(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		tokens, logits, by := fullRun(t, m)
		in := &model.Input{Embeds: by["embed.hook_out"], Mask: tokens.Mask, Positions: positions(t), Start: model.NoLayer, Stop: model.NoLayer, Output: model.OutputLogits}
		fired := fire(t, m, "embed.hook_in", "embed.hook_out")
		sameBits(t, "logits", run(t, m, in).Output.Float32s(), logits.Float32s())
		if len(*fired) > 0 {
			t.Errorf("fired %v, though the embeddings were given", *fired)
		}
	})
}

// TestEachComponentAlone: called on what went into it, every component gives what came out of it.
func TestEachComponentAlone(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		tokens, _, by := fullRun(t, m)
		called := 0
		for _, c := range m.Spec.Tree.Components {
			in := by[c.Name+".hook_in"]
			if in == nil { // the joint projection, which is never run as such
				_, err := m.Call(context.Background(), c.Name, &model.Arguments{X: by["embed.hook_out"]})
				var refused *config.Error
				if !errors.As(err, &refused) || refused.Kind != "NotImplementedError" {
					t.Errorf("%s: error %v", c.Name, err)
				}
				continue
			}
			called++
			a := &model.Arguments{X: in, Mask: tokens.Mask, Positions: positions(t)}
			a.Keep = everything
			if strings.HasSuffix(c.Name, "embed") && c.Name != "unembed" {
				a.Mask, a.Positions = nil, nil
			}
			r := call(t, m, c.Name, a)
			switch {
			case c.Name == "rotary_emb":
				sameBits(t, "cos", r.Output.Float32s(), by["rotary_emb.hook_cos"].Float32s())
				sameBits(t, "sin", r.Extra[0].Float32s(), by["rotary_emb.hook_sin"].Float32s())
				continue
			case strings.HasSuffix(c.Name, ".attn"):
				sameBits(t, c.Name+"'s pattern", r.Extra[0].Float32s(), by[c.Name+".hook_pattern"].Float32s())
			}
			sameBits(t, c.Name, r.Output.Float32s(), by[c.Name+".hook_out"].Float32s())
			if len(r.Output.Shape()) != 3 {
				t.Errorf("%s gives shape %v, expected three dimensions", c.Name, r.Output.Shape())
			}
			for name := range kept(m, r.Kept) {
				if !strings.HasPrefix(name, c.Name+".") {
					t.Errorf("%s called alone: %s fired", c.Name, name)
				}
			}
		}
		if called < 4+layers*8 {
			t.Errorf("only %d components were called", called)
		}
	})
}

func TestComponentWithTablesGiven(t *testing.T) {
	m := tiny(t, "llama")
	tokens, _, by := fullRun(t, m)
	a := &model.Arguments{X: by["blocks.1.attn.hook_in"], Mask: tokens.Mask, Cos: by["rotary_emb.hook_cos"], Sin: by["rotary_emb.hook_sin"]}
	sameBits(t, "attention", call(t, m, "blocks.1.attn", a).Output.Float32s(), by["blocks.1.attn.hook_out"].Float32s())
	plain := &model.Arguments{X: a.X, Mask: a.Mask} // counted from 0 in every row: other positions than those
	if d := distance(call(t, m, "blocks.1.attn", plain).Output.Float32s(), by["blocks.1.attn.hook_out"].Float32s()); d > 1e-3 {
		t.Errorf("a shift of all positions changed the result by %g", d) // rotary positions are relative
	}
	a.Sin = nil
	if _, err := m.Call(context.Background(), "blocks.1.attn", a); !errors.Is(err, model.ErrInput) {
		t.Errorf("cosines alone: %v", err)
	}
}

func TestHooksOfOneComponent(t *testing.T) {
	m := tiny(t, "gpt2")
	_, _, by := fullRun(t, m)
	x := by["blocks.1.mlp.hook_in"]
	hookOn(t, m, "blocks.1.mlp.hook_post", func(v *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
		clear(v.Float32s())
		return nil, nil
	})
	fired := fire(t, m, "blocks.1.ln2.hook_out", "blocks.1.hook_out", "blocks.2.hook_in")
	out := call(t, m, "blocks.1.mlp", &model.Arguments{X: x}).Output
	i := slices.IndexFunc(m.Params(), func(p model.Param) bool { return p.Component == "blocks.1.mlp.out" && p.Name == "bias" })
	near(t, "what is left of the MLP", rowOf(out, 0, 9), value(t, m, i).Float32s(), 0)
	if len(*fired) > 0 {
		t.Errorf("fired %v", *fired)
	}
	silent := &model.Arguments{X: x, Watch: model.Watch{Silent: true}}
	sameBits(t, "without hooks", call(t, m, "blocks.1.mlp", silent).Output.Float32s(), by["blocks.1.mlp.hook_out"].Float32s())
}

// TestOnlyOneBlock: asking for what block 0 gives, the rest of the model does not run.
func TestOnlyOneBlock(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		_, _, by := fullRun(t, m)
		tokens, _, _ := fullRun(t, m)
		in := *tokens
		in.Output = model.OutputNone
		in.Keep = bitset.Of(point(t, m, "blocks.0.hook_resid_post"))
		r := run(t, m, &in)
		if r.Output != nil || len(r.Kept) != 1 {
			t.Fatalf("output %v and %d kept", r.Output, len(r.Kept))
		}
		sameBits(t, "kept", r.Kept[0].T.Float32s(), by["blocks.0.hook_out"].Float32s())
		for i, w := range m.Params() { // what a later block would compute with
			if strings.HasPrefix(w.Component, "blocks.1.mlp") {
				value(t, m, i).Storage().Bytes()[0] ^= 1
			}
		}
		sameBits(t, "kept, with other weights behind", run(t, m, &in).Kept[0].T.Float32s(), by["blocks.0.hook_out"].Float32s())
	})
}
