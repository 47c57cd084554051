// Tests of whole models on a backend whose memory nobody else can read: nothing above backends touches the bytes of
// activations or weights.
package model_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/guarded"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// both opens a model of that config on the CPU, and on guarded memory.
func both(t *testing.T, hf map[string]any) (plain, closed *model.Model, g *guarded.Backend) {
	t.Helper()
	g = guarded.New(cpu.CPU{})
	memory := randomWeights(t, hf)
	defer func() {
		for _, w := range memory {
			w.Release()
		}
	}()
	models := make([]*model.Model, 2)
	for i, o := range []model.Options{{Tensors: memory}, {Tensors: memory, Backend: g}} {
		m, err := model.FromTensors(t.Context(), hf, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		models[i] = m
	}
	return models[0], models[1], g
}

// values are a tensor's, wherever it lies.
func values(t *testing.T, g *guarded.Backend, v *tensor.Tensor) []float32 {
	t.Helper()
	host, err := g.Host(v)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Release()
	return slices.Clone(host.Float32s())
}

func TestModelsRunOnGuardedMemory(t *testing.T) {
	for name := range configs {
		t.Run(name, func(t *testing.T) {
			plain, closed, g := both(t, configs[name])
			in := asking(words(t, 2, 7))
			in.Keep = everything
			want, got := run(t, plain, in), run(t, closed, in)
			sameBits(t, "logits", values(t, g, got.Output), want.Output.Float32s())
			if len(got.Kept) != len(want.Kept) || len(got.Kept) == 0 {
				t.Fatalf("%d kept, want %d", len(got.Kept), len(want.Kept))
			}
			for i, k := range want.Kept {
				if k.T.DType() == tensor.Float32 {
					sameBits(t, plain.Hooks.Points()[k.Point].Name, values(t, g, got.Kept[i].T), k.T.Float32s())
				}
			}
		})
	}
}

func TestHooksOnGuardedMemory(t *testing.T) {
	plain, closed, g := both(t, configs["llama"])
	double := func(read func(*tensor.Tensor) []float32) hook.Func {
		return func(v *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
			doubled := read(v)
			for i := range doubled {
				doubled[i] *= 2
			}
			return tensor.FromFloat32s(doubled, v.Shape()...)
		}
	}
	hookOn(t, plain, "blocks.1.hook_mlp_out", double(func(v *tensor.Tensor) []float32 { return slices.Clone(v.Float32s()) }))
	hookOn(t, closed, "blocks.1.hook_mlp_out", double(func(v *tensor.Tensor) []float32 { return values(t, g, v) }))
	in := asking(words(t, 2, 5))
	sameBits(t, "logits", values(t, g, run(t, closed, in).Output), run(t, plain, in).Output.Float32s())
}

// TestGenerationOnGuardedMemory: token by token behind a KV cache, padding included.
func TestGenerationOnGuardedMemory(t *testing.T) {
	for _, name := range []string{"gpt2", "llama"} {
		for _, rotated := range []bool{false, true} {
			plain, closed, g := both(t, configs[name])
			var told []string
			for _, m := range []*model.Model{plain, closed} {
				cache, err := m.NewCache(2, rotated)
				if err != nil {
					t.Fatal(err)
				}
				defer cache.Release()
				in := asking(words(t, 2, 4))
				in.Mask = ints(t, []int64{0, 1, 1, 1, 1, 1, 1, 1}, 2, 4)
				in.Past = cache
				in.Wanted = ints(t, []int64{-1}, 1, 1)
				text := ""
				for range 5 {
					logits := values(t, g, run(t, m, in).Output)
					next := make([]int64, 2)
					for row := range next {
						for i, v := range logits[row*vocab : (row+1)*vocab] {
							if v > logits[row*vocab+int(next[row])] {
								next[row] = int64(i)
							}
						}
					}
					text += fmt.Sprint(next, logits[0])
					in.Tokens, in.Mask = ints(t, next, 2, 1), nil
				}
				told = append(told, text)
			}
			if told[0] != told[1] {
				t.Errorf("%s, rotated %v: generated %s, want %s", name, rotated, told[1], told[0])
			}
		}
	}
}

func ints(t *testing.T, v []int64, shape ...int) *tensor.Tensor {
	t.Helper()
	made, err := tensor.FromInt64s(v, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Release)
	return made
}

// small is a backend of little memory.
type small struct {
	cpu.CPU
	bytes  int64
	allocs *int
}

func (s small) Fits(what string, bytes int64) error {
	if bytes > s.bytes {
		return fmt.Errorf("%w: %s needs %d bytes", tensor.ErrOutOfMemory, what, bytes)
	}
	return nil
}

func (s small) Alloc(dt tensor.DType, shape ...int) (*tensor.Tensor, error) {
	*s.allocs++
	return s.CPU.Alloc(dt, shape...)
}

// TestARunThatCannotFitIsRefused before it has taken anything, with the sum of what it needs.
func TestARunThatCannotFitIsRefused(t *testing.T) {
	memory := randomWeights(t, configs["llama"])
	defer func() {
		for _, w := range memory {
			w.Release()
		}
	}()
	allocs := 0
	in := asking(words(t, 1, 300))
	in.Keep = everything
	m, err := model.FromTensors(t.Context(), configs["llama"], model.Options{Tensors: memory, Backend: small{bytes: 1 << 40, allocs: &allocs}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	told, err := m.Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bytes int
		fits  bool
	}{{told.Peak - 1, false}, {told.Peak, true}} {
		m, err := model.FromTensors(t.Context(), configs["llama"], model.Options{Tensors: memory, Backend: small{bytes: int64(c.bytes), allocs: &allocs}})
		if err != nil {
			t.Fatal(err)
		}
		allocs = 0
		r, err := m.Forward(t.Context(), in)
		switch {
		case c.fits && err != nil:
			t.Error(err)
		case c.fits:
			r.Release()
		case !errors.Is(err, tensor.ErrOutOfMemory) || !strings.Contains(err.Error(), "a run of 1 × 300 positions needs "+fmt.Sprint(told.Peak)) || allocs != 0:
			t.Errorf("error %v after %d allocations", err, allocs)
		}
		_ = m.Close()
	}
}

// TestFlagsAndDTypesOnGuardedMemory: per-head inputs and results, and weights in another dtype.
func TestFlagsAndDTypesOnGuardedMemory(t *testing.T) {
	hf := maps.Clone(configs["gpt2"])
	plain, closed, g := both(t, hf)
	in := asking(words(t, 1, 5))
	for _, flag := range []string{"use_attn_result", "use_split_qkv_input"} {
		for _, m := range []*model.Model{plain, closed} {
			if err := m.Set(flag, true); err != nil {
				t.Fatal(err)
			}
		}
		sameBits(t, flag, values(t, g, run(t, closed, in).Output), run(t, plain, in).Output.Float32s())
	}
	for _, m := range []*model.Model{plain, closed} {
		if err := m.Convert(t.Context(), "bfloat16"); err != nil {
			t.Fatal(err)
		}
	}
	host, err := g.Host(run(t, closed, in).Output)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Release()
	if !slices.Equal(host.Uint16s(), run(t, plain, in).Output.Uint16s()) {
		t.Error("bfloat16 gives other logits")
	}
}
