// Tests of models on tiny random ones, made here for each family. This file has the helpers.
package model_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

const (
	layers = 3
	vocab  = 61
	nCtx   = 400
)

// configs has one config.json a family, with what makes it special: grouped keys, windows, biases, wide heads.
var configs = map[string]map[string]any{
	"gpt2": {"architectures": []any{"GPT2LMHeadModel"}, "n_layer": layers, "n_head": 4, "n_embd": 32,
		"n_positions": nCtx, "vocab_size": vocab, "scale_attn_by_inverse_layer_idx": true},
	"llama":   llamaConfig("LlamaForCausalLM", nil),
	"mistral": llamaConfig("MistralForCausalLM", map[string]any{"sliding_window": 7, "head_dim": 12}),
	"qwen2":   llamaConfig("Qwen2ForCausalLM", map[string]any{"tie_word_embeddings": true}),
}

func llamaConfig(architecture string, extra map[string]any) map[string]any {
	hf := map[string]any{"architectures": []any{architecture}, "num_hidden_layers": layers, "num_attention_heads": 4,
		"num_key_value_heads": 2, "hidden_size": 32, "intermediate_size": 44, "vocab_size": vocab, "max_position_embeddings": nCtx}
	maps.Copy(hf, extra)
	return hf
}

// randomWeights makes what a checkpoint of that config holds; tied tensors only once.
func randomWeights(t testing.TB, hf map[string]any) model.Memory {
	t.Helper()
	spec, err := arch.FromHF(hf, arch.Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 11))
	memory := model.Memory{}
	for _, want := range spec.Weights.Tensors {
		if want.TiedTo != "" && spec.TiedUnembed {
			continue
		}
		w, err := tensor.New(tensor.Float32, want.Shape...)
		if err != nil {
			t.Fatal(err)
		}
		isNorm := strings.Contains(want.Name, "norm") || strings.Contains(want.Name, "ln_")
		for i := range w.Float32s() {
			v := r.NormFloat64()
			switch {
			case len(want.Shape) > 1:
				v *= 1.5 / math.Sqrt(float64(want.Shape[1]))
			case isNorm && strings.HasSuffix(want.Name, "weight"):
				v = 1 + v/5
			default:
				v /= 5
			}
			w.Float32s()[i] = float32(v)
		}
		memory[want.Name] = w
	}
	return memory
}

func open(t testing.TB, hf map[string]any, memory model.Memory) *model.Model {
	t.Helper()
	m, err := model.FromTensors(t.Context(), hf, model.Options{Tensors: memory})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tiny is a model of that family. At the end of the test it is closed, and nothing may be left of it.
func tiny(t testing.TB, family string) *model.Model {
	t.Helper()
	before := tensor.Count().Storages
	memory := randomWeights(t, configs[family])
	m := open(t, configs[family], memory)
	t.Cleanup(func() {
		m.Close()
		for _, w := range memory {
			w.Release()
		}
		if after := tensor.Count().Storages; after != before && !t.Failed() {
			t.Errorf("%d storages are left behind", after-before)
		}
	})
	return m
}

// each runs a test once for each family.
func each(t *testing.T, f func(t *testing.T, m *model.Model)) {
	t.Helper()
	for _, family := range slices.Sorted(maps.Keys(configs)) {
		t.Run(family, func(t *testing.T) { f(t, tiny(t, family)) })
	}
}

// words are arbitrary ids; row i differs from row j.
func words(t testing.TB, batch, pos int) *tensor.Tensor {
	t.Helper()
	ids := make([]int64, batch*pos)
	for i := range ids {
		row, at := i/pos, i%pos
		ids[i] = int64((row*17 + at*at*5 + at*3 + 2) % vocab)
	}
	return integers(t, ids, batch, pos)
}

func integers(t testing.TB, values []int64, shape ...int) *tensor.Tensor {
	t.Helper()
	v, err := tensor.FromInt64s(values, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Release)
	return v
}

// asking is the question for all logits; callers change what they want to.
func asking(tokens *tensor.Tensor) *model.Input {
	return &model.Input{Tokens: tokens, Start: model.NoLayer, Stop: model.NoLayer, Output: model.OutputLogits}
}

func run(t testing.TB, m *model.Model, in *model.Input) *model.Result {
	t.Helper()
	r, err := m.Forward(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	return r
}

func call(t testing.TB, m *model.Model, name string, a *model.Arguments) *model.Result {
	t.Helper()
	r, err := m.Call(context.Background(), name, a)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(r.Release)
	return r
}

// everything is all points of any model here; everyNth is every n-th of them.
var everything = bitset.Below(1 << 12)

func everyNth(n int) bitset.Set {
	var s bitset.Set
	for i := 0; i < 1<<12; i += n {
		s.Add(i)
	}
	return s
}

// kept is what a result holds by the name of the hook point.
func kept(m *model.Model, list []graph.Kept) map[string]*tensor.Tensor {
	by := make(map[string]*tensor.Tensor, len(list))
	for _, k := range list {
		by[m.Hooks.Points()[k.Point].Name] = k.T
	}
	return by
}

func point(t testing.TB, m *model.Model, name string) int {
	t.Helper()
	p, ok := m.Hooks.Lookup(name)
	if !ok {
		t.Fatalf("no hook point %s", name)
	}
	return p.Index
}

// hookOn adds a Go hook; the returned function removes it.
func hookOn(t testing.TB, m *model.Model, name string, f hook.Func) (remove func()) {
	t.Helper()
	at := point(t, m, name)
	id, err := m.Hooks.Add(at, hook.Handle{Fn: f, Level: hook.NoLevel}, false)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := m.Hooks.Remove(at, id); err != nil {
			t.Error(err)
		}
	}
}

func nothing(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, nil }

func set(t testing.TB, m *model.Model, field string, value any) {
	t.Helper()
	if err := m.Set(field, value); err != nil {
		t.Fatal(err)
	}
}

// sameBits compares values, whatever their shape.
func sameBits(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Fatalf("%s: value %d is %g, want %g, bit for bit", what, i, got[i], w)
		}
	}
}

func near(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if d := distance(got, want); !(d <= tolerance) {
		t.Fatalf("%s: off by %g of the largest value", what, d)
	}
}

// distance is the largest difference, as a part of the largest value; infinite where sizes differ.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	most, off := 0.0, 0.0
	for i, w := range want {
		most = math.Max(most, math.Abs(float64(w)))
		off = math.Max(off, math.Abs(float64(got[i])-float64(w)))
	}
	return off / most
}

// rowOf is one sequence's part of a [batch, pos, n] tensor from a position on.
func rowOf(t *tensor.Tensor, row, from int) []float32 {
	n, pos := t.Dim(2), t.Dim(1)
	return t.Float32s()[(row*pos+from)*n : (row+1)*pos*n]
}

func copied(t *tensor.Tensor) []float32 { return slices.Clone(t.Float32s()) }

func block(layer int) string { return fmt.Sprintf("blocks.%d", layer) }
