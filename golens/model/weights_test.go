// Tests of a model's weights: live, shared, and gone when the model is closed.
package model_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// value is a parameter's memory, which lasts as long as the model does.
func value(t *testing.T, m *model.Model, index int) *tensor.Tensor {
	t.Helper()
	v, err := m.Param(index)
	if err != nil {
		t.Fatal(err)
	}
	v.Release()
	return v
}

// element is the address of a parameter's first element.
func element(t *testing.T, v *tensor.Tensor) *float32 {
	t.Helper()
	one, err := v.View([]int{1}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Release()
	return &one.Float32s()[0]
}

func param(t *testing.T, m *model.Model, name string) *tensor.Tensor {
	t.Helper()
	for i, p := range m.Params() {
		if p.Component+"."+p.Name == name {
			return value(t, m, i)
		}
	}
	t.Fatalf("no parameter %s", name)
	return nil
}

// TestEveryWeightCounts: an edit of any parameter is seen by the next run, and its undoing too.
func TestEveryWeightCounts(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 2, 7))
		in.Tokens.Int64s()[3] = 0 // so that the first row of every table is used
		want := copied(run(t, m, in).Output)
		for i, p := range m.Params() {
			at := element(t, value(t, m, i))
			was := *at
			*at = was + 3
			same := slices.Equal(run(t, m, in).Output.Float32s(), want)
			// A bias of all keys shifts all scores of a query alike, which softmax takes out again.
			if same && !strings.HasSuffix(p.Component, ".k") {
				t.Errorf("an edit of %s.%s changes nothing", p.Component, p.Name)
			}
			*at = was
			sameBits(t, p.Component+"."+p.Name+" undone", run(t, m, in).Output.Float32s(), want)
		}
	})
}

func TestParametersShareMemory(t *testing.T) {
	for _, c := range []struct {
		family, one, other string
		shared             bool
	}{
		{"gpt2", "embed.weight", "unembed.weight", true},
		{"qwen2", "embed.weight", "unembed.weight", true},
		{"llama", "embed.weight", "unembed.weight", false},
		{"gpt2", "blocks.1.attn.q.weight", "blocks.1.attn.qkv.weight", true},
		{"gpt2", "blocks.1.attn.k.weight", "blocks.1.attn.qkv.weight", false},
	} {
		m := tiny(t, c.family)
		if shared := element(t, param(t, m, c.one)) == element(t, param(t, m, c.other)); shared != c.shared {
			t.Errorf("%s: %s and %s begin at one address: %v, want %v", c.family, c.one, c.other, shared, c.shared)
		}
	}
	m := tiny(t, "gpt2")
	q, k := param(t, m, "blocks.0.attn.q.weight"), param(t, m, "blocks.0.attn.k.weight")
	if q.Storage().Refs() < 3 || k.Pointer() == q.Pointer() {
		t.Error("queries and keys of GPT-2 are not parts of one tensor")
	}
}

// TestTiedTwice: a checkpoint that stores a tied matrix twice has one parameter, unless the two differ.
func TestTiedTwice(t *testing.T) {
	for _, differ := range []bool{false, true} {
		memory := randomWeights(t, configs["gpt2"])
		again, err := memory["transformer.wte.weight"].Clone()
		if err != nil {
			t.Fatal(err)
		}
		memory["lm_head.weight"] = again
		if differ {
			again.Float32s()[5]++
		}
		m := open(t, configs["gpt2"], memory)
		if shared := element(t, param(t, m, "embed.weight")) == element(t, param(t, m, "unembed.weight")); shared == differ {
			t.Errorf("the copies differ: %v, they are one parameter: %v", differ, shared)
		}
		m.Close()
		release(memory)
	}
}

func release(memory model.Memory) {
	for _, w := range memory {
		w.Release()
	}
}

// TestMemoryIsShared: float32 tensors that a model is made of stay its weights.
func TestMemoryIsShared(t *testing.T) {
	memory := randomWeights(t, configs["llama"])
	defer release(memory)
	m := open(t, configs["llama"], memory)
	defer m.Close()
	in := asking(words(t, 1, 4))
	before := copied(run(t, m, in).Output)
	w := memory["model.layers.2.mlp.down_proj.weight"].Float32s()
	for i := range w {
		w[i] *= 2
	}
	if slices.Equal(run(t, m, in).Output.Float32s(), before) {
		t.Error("an edit of the tensor that was given changes nothing")
	}
}

func TestNarrowWeightsAreWidened(t *testing.T) {
	memory := randomWeights(t, configs["llama"])
	defer release(memory)
	const name = "model.norm.weight"
	narrow, err := tensor.New(tensor.BFloat16, 32)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 32 { // 1.5, 0x3FC0
		narrow.Storage().Bytes()[2*i], narrow.Storage().Bytes()[2*i+1] = 0xC0, 0x3F
	}
	memory[name].Release()
	memory[name] = narrow
	m := open(t, configs["llama"], memory)
	defer m.Close()
	if got := param(t, m, "ln_final.weight").Float32s(); got[0] != 1.5 || got[31] != 1.5 {
		t.Errorf("widened to %v", got)
	}
}

func TestWeightsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(model.Memory)
		is    error
	}{
		"missing": {func(w model.Memory) { w["model.norm.weight"].Release(); delete(w, "model.norm.weight") }, arch.ErrMissingTensor},
		"shape": {func(w model.Memory) {
			w["model.norm.weight"].Release()
			w["model.norm.weight"], _ = tensor.Zeros(tensor.Float32, 31)
		}, arch.ErrShape},
		"unused": {func(w model.Memory) { w["model.extra.weight"], _ = tensor.Zeros(tensor.Float32, 3) }, arch.ErrUnusedTensor},
		"integers": {func(w model.Memory) {
			w["model.norm.weight"].Release()
			w["model.norm.weight"], _ = tensor.Zeros(tensor.Int64, 32)
		}, model.ErrInput},
	} {
		before := tensor.Count().Storages
		memory := randomWeights(t, configs["llama"])
		c.spoil(memory)
		_, err := model.FromTensors(t.Context(), configs["llama"], model.Options{Tensors: memory})
		if !errors.Is(err, c.is) {
			t.Errorf("%s: error %v, want %v", name, err, c.is)
		}
		release(memory)
		if after := tensor.Count().Storages; after != before {
			t.Errorf("%s: %d storages are left behind", name, after-before)
		}
	}
}

func TestClose(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 1, 3))
		for _, flag := range flags[:2] { // graphs that are replaced leave nothing behind (see tiny)
			set(t, m, flag, true)
			run(t, m, in)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		_, forward := m.Forward(context.Background(), in)
		_, component := m.Call(context.Background(), "ln_final", &model.Arguments{X: in.Tokens})
		_, parameter := m.Param(0)
		_, description := m.Describe()
		for name, err := range map[string]error{
			"Forward": forward, "Call": component, "Param": parameter, "Describe": description,
			"Set": m.Set("use_attn_result", false), "Close": m.Close(),
		} {
			if !errors.Is(err, model.ErrClosed) {
				t.Errorf("%s of a closed model: %v", name, err)
			}
		}
		if len(m.Params()) > 0 {
			t.Error("a closed model has parameters")
		}
	})
}

// TestCloseInARun: the run goes on to its end with the weights it began with.
func TestCloseInARun(t *testing.T) {
	memory := randomWeights(t, configs["llama"])
	m := open(t, configs["llama"], memory)
	release(memory) // the model holds the only references
	in := asking(words(t, 1, 5))
	want := copied(run(t, m, in).Output)
	hookOn(t, m, "blocks.0.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		if err := m.Close(); err != nil {
			return nil, err
		}
		for range 50 { // whoever wants memory now must not get the weights'
			other, err := tensor.New(tensor.Float32, 32, 32)
			if err != nil {
				return nil, err
			}
			clear(other.Float32s())
			defer other.Release()
		}
		return nil, nil
	})
	sameBits(t, "logits", run(t, m, in).Output.Float32s(), want)
	if _, err := m.Forward(context.Background(), in); !errors.Is(err, model.ErrClosed) {
		t.Errorf("the next run: %v", err)
	}
}

func TestParamIndex(t *testing.T) {
	m := tiny(t, "gpt2")
	for _, i := range []int{-1, len(m.Params())} {
		if _, err := m.Param(i); !errors.Is(err, op.ErrIndex) {
			t.Errorf("parameter %d: %v", i, err)
		}
	}
}
