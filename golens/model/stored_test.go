// Tests of weights that stay as they are stored: 16 bits and blocks give the bits of the widened model, watched or not, at
// any number of rows, until one is handed out and written to.
package model_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// narrow is a checkpoint whose matrices are stored in some dtype.
type narrow struct {
	model.Memory
	stored model.Memory
}

func (n narrow) LoadStored(name string, _ tensor.DType) (*tensor.Tensor, error) {
	return n.stored[name].Retain(), nil
}

// half is the bits of a small number in a 16-bit dtype.
func half(dt tensor.DType, r *rand.Rand) uint16 {
	sign := uint16(r.IntN(2)) << 15
	if dt == tensor.BFloat16 {
		return sign | uint16(0x3c00+r.IntN(0x180)) // 0.008 to 0.5
	}
	return sign | uint16(0x2000+r.IntN(0x1400))
}

// stored fills a matrix of that dtype at random.
func stored(t *testing.T, dt tensor.DType, r *rand.Rand, shape []int) *tensor.Tensor {
	t.Helper()
	w, err := tensor.New(dt, shape...)
	if err != nil {
		t.Fatal(err)
	}
	bytes := w.Bytes()
	put := func(at int, bits uint16) { bytes[at], bytes[at+1] = byte(bits), byte(bits>>8) }
	if !dt.Blocked() {
		for i := 0; i < len(bytes); i += 2 {
			put(i, half(dt, r))
		}
		return w
	}
	for i := range bytes {
		bytes[i] = byte(r.IntN(256))
	}
	_, block := dt.Block()
	for i := 0; i < len(bytes); i += block {
		put(i, uint16(0x1400+r.IntN(0x400))) // the scale, about 0.001
		if dt == tensor.Q4_1 {
			put(i+2, half(tensor.Float16, r)&0x8000|0x2400) // the offset
		}
	}
	return w
}

// storedModels are a model whose matrices are stored so, and the same in float32.
func storedModels(t *testing.T, family string, dt tensor.DType) (kept, wide *model.Model) {
	t.Helper()
	hf := maps.Clone(configs[family])
	if family != "gpt2" {
		hf["intermediate_size"], hf["head_dim"] = 64, 16
	}
	memory := randomWeights(t, hf)
	n := narrow{model.Memory{}, model.Memory{}}
	r := rand.New(rand.NewPCG(3, 4))
	for name, w := range memory {
		n.Memory[name], n.stored[name] = w, w
		if len(w.Shape()) == 2 {
			s := stored(t, dt, r, w.Shape())
			if err := model.DefaultBackend().Launch(&op.ConvertKernel{X: s, Out: w}); err != nil {
				t.Fatal(err)
			}
			n.stored[name] = s
			t.Cleanup(s.Release)
		}
		t.Cleanup(w.Release)
	}
	models := make([]*model.Model, 2)
	for i, source := range []model.Tensors{n, n.Memory} {
		m, err := model.FromTensors(t.Context(), hf, model.Options{Tensors: source})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		models[i] = m
	}
	return models[0], models[1]
}

// eachStored runs a test for every form and a family that can have it: GPT-2's matrices are not rows of blocks.
func eachStored(t *testing.T, f func(t *testing.T, kept, wide *model.Model)) {
	for _, c := range []struct {
		family string
		dt     tensor.DType
	}{
		{"gpt2", tensor.BFloat16}, {"gpt2", tensor.Float16}, {"llama", tensor.BFloat16}, {"llama", tensor.Float16},
		{"llama", tensor.Q8_0}, {"llama", tensor.Q4_1}, {"qwen2", tensor.Q8_0},
	} {
		t.Run(fmt.Sprint(c.family, " ", c.dt), func(t *testing.T) {
			kept, wide := storedModels(t, c.family, c.dt)
			f(t, kept, wide)
		})
	}
}

func TestStoredWeightsHaveTheBitsOfWideOnes(t *testing.T) {
	eachStored(t, func(t *testing.T, kept, wide *model.Model) {
		for _, shape := range [][2]int{{1, 1}, {1, 5}, {2, 7}, {3, 33}, {1, 100}} {
			in := asking(words(t, shape[0], shape[1]))
			want := run(t, wide, in)
			sameBits(t, fmt.Sprint(shape, " logits"), run(t, kept, in).Output.Float32s(), want.Output.Float32s())
			in.Keep = everything
			want, got := run(t, wide, in), run(t, kept, in)
			for i, k := range want.Kept {
				if k.T.DType() == tensor.Float32 {
					sameBits(t, fmt.Sprint(shape, " ", kept.Hooks.Points()[k.Point].Name), got.Kept[i].T.Float32s(), k.T.Float32s())
				}
			}
			in.Keep, in.Plain = nil, true
			sameBits(t, "plain", run(t, kept, in).Output.Float32s(), run(t, wide, in).Output.Float32s())
		}
	})
}

// TestFlagsOfStoredWeights: products by head read parts of a stored matrix.
func TestFlagsOfStoredWeights(t *testing.T) {
	eachStored(t, func(t *testing.T, kept, wide *model.Model) {
		in := asking(words(t, 2, 5))
		for _, flag := range []string{"use_attn_result", "use_split_qkv_input"} {
			for _, m := range []*model.Model{kept, wide} {
				if err := m.Set(flag, true); err != nil {
					t.Fatal(err)
				}
			}
			sameBits(t, flag, run(t, kept, in).Output.Float32s(), run(t, wide, in).Output.Float32s())
		}
	})
}

// edit scales a parameter of a model.
func edit(t *testing.T, m *model.Model, name string) {
	t.Helper()
	for i, p := range m.Params() {
		if p.Component+"."+p.Name != name {
			continue
		}
		w, err := m.Param(i)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Release()
		if w.DType() != tensor.Float32 {
			t.Fatalf("%s is handed out as %s", name, w.DType())
		}
		for i := range w.Float32s() {
			w.Float32s()[i] *= 1.5
		}
		return
	}
	t.Fatalf("no parameter %s", name)
}

// TestAnEditAheadIsSeenByTheSameRun: a hook in block 0 edits a weight of block 2.
func TestAnEditAheadIsSeenByTheSameRun(t *testing.T) {
	const weight = "blocks.2.mlp.out.weight"
	eachStored(t, func(t *testing.T, kept, wide *model.Model) {
		in := asking(words(t, 1, 6))
		for _, m := range []*model.Model{kept, wide} {
			before := copied(run(t, m, in).Output)
			remove := hookOn(t, m, "blocks.0.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
				edit(t, m, weight)
				return nil, nil
			})
			during := copied(run(t, m, in).Output)
			remove()
			sameBits(t, "the run of the edit and the next", during, run(t, m, in).Output.Float32s())
			if during[0] == before[0] {
				t.Error("the edit changed nothing")
			}
		}
		sameBits(t, "edited", run(t, kept, in).Output.Float32s(), run(t, wide, in).Output.Float32s())
	})
}

// TestStoredWeightsConvert: rounded from what they stand for.
func TestStoredWeightsConvert(t *testing.T) {
	eachStored(t, func(t *testing.T, kept, wide *model.Model) {
		in := asking(words(t, 1, 6))
		for _, dt := range []string{"bfloat16", "float64", "float32"} {
			for _, m := range []*model.Model{kept, wide} {
				if err := m.Convert(t.Context(), dt); err != nil {
					t.Fatal(err)
				}
			}
			got, want := run(t, kept, in).Output, run(t, wide, in).Output
			if string(got.Bytes()) != string(want.Bytes()) {
				t.Errorf("%s gives other logits", dt)
			}
		}
	})
}
