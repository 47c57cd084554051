// Tests of models in dtypes other than float32: what is promised of bits there holds here too.
package model_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var dtypes = []tensor.DType{tensor.Float64, tensor.BFloat16, tensor.Float16}

func bits(t *tensor.Tensor) []byte {
	n := t.Len() * t.DType().Size()
	return append([]byte{}, unsafe.Slice((*byte)(t.Pointer()), n)...)
}

func convert(t *testing.T, m *model.Model, dt tensor.DType) {
	t.Helper()
	if err := m.Convert(t.Context(), dt.String()); err != nil {
		t.Fatal(err)
	}
}

func TestDTypes(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		in := asking(words(t, 2, 13))
		want := copied(run(t, m, in).Output)
		for _, dt := range dtypes {
			convert(t, m, dt)
			if m.DType() != dt || m.Config().DType != dt.String() {
				t.Fatalf("the model is %s, its configuration %s, after conversion to %s", m.DType(), m.Config().DType, dt)
			}
			out := run(t, m, in).Output
			if out.DType() != dt {
				t.Fatalf("logits are %s", out.DType())
			}
			most, tolerance := 0.0, map[tensor.DType]float64{tensor.Float64: 2e-5, tensor.BFloat16: 0.1, tensor.Float16: 0.02}[dt]
			for _, w := range want {
				most = math.Max(most, math.Abs(float64(w)))
			}
			for i, v := range toFloat64(t, out) {
				if d := math.Abs(v - float64(want[i])); !(d <= tolerance*most) {
					t.Fatalf("%s: logit %d is %g, want %g", dt, i, v, want[i])
				}
			}
			if err := m.Convert(t.Context(), "float32"); err != nil {
				t.Fatal(err)
			}
			if dt == tensor.Float64 { // widening loses nothing
				sameBits(t, "back from float64", run(t, m, in).Output.Float32s(), want)
			}
			want = copied(run(t, m, in).Output)
		}
	})
}

// toFloat64 is the values of any floating tensor.
func toFloat64(t *testing.T, x *tensor.Tensor) []float64 {
	t.Helper()
	values := make([]float64, x.Len())
	for i := range values {
		switch x.DType() {
		case tensor.Float64:
			values[i] = x.Float64s()[i]
		case tensor.Float32:
			values[i] = float64(x.Float32s()[i])
		case tensor.BFloat16:
			values[i] = float64(math.Float32frombits(uint32(x.Uint16s()[i]) << 16))
		default:
			h := x.Uint16s()[i]
			exponent, fraction := int(h>>10&31), float64(h&0x3ff)
			values[i] = math.Ldexp(1024+fraction, exponent-25)
			if exponent == 0 {
				values[i] = math.Ldexp(fraction, -24)
			}
			if h>>15 == 1 {
				values[i] = -values[i]
			}
		}
	}
	return values
}

func TestDTypesWatchingChangesNoBit(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		for _, dt := range dtypes {
			convert(t, m, dt)
			in := asking(words(t, 2, 9))
			in.Mask = integers(t, []int64{0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 2, 9)
			want := bits(run(t, m, in).Output)
			watched := *in
			watched.Keep = everything
			if got := bits(run(t, m, &watched).Output); !bytes.Equal(got, want) {
				t.Errorf("%s: keeping everything changed the logits", dt)
			}
			for _, p := range m.Hooks.Points() {
				hookOn(t, m, p.Name, func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, nil })
			}
			if got := bits(run(t, m, in).Output); !bytes.Equal(got, want) {
				t.Errorf("%s: hooks that do nothing changed the logits", dt)
			}
			if _, err := m.Hooks.Clear(-1, hook.Both, hook.NoLevel, true); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDTypesRowsStandAlone(t *testing.T) {
	each(t, func(t *testing.T, m *model.Model) {
		const pos, pads = 11, 4
		for _, dt := range dtypes {
			convert(t, m, dt)
			whole := words(t, 70, pos) // enough rows for every kernel
			all := bits(run(t, m, asking(whole)).Output)
			for _, row := range []int{0, 33, 69} {
				ids := whole.Int64s()[row*pos : (row+1)*pos]
				alone := bits(run(t, m, asking(integers(t, ids, 1, pos))).Output)
				if !bytes.Equal(alone, all[row*len(alone):(row+1)*len(alone)]) {
					t.Errorf("%s: row %d alone differs", dt, row)
				}
				padded, mask := make([]int64, pads+pos), make([]int64, pads+pos)
				copy(padded[pads:], ids)
				for i := range pos {
					mask[pads+i] = 1
				}
				in := asking(integers(t, padded, 1, pads+pos))
				in.Mask = integers(t, mask, 1, pads+pos)
				got := bits(run(t, m, in).Output)
				if !bytes.Equal(alone, got[len(got)-len(alone):]) {
					t.Errorf("%s: row %d differs behind padding", dt, row)
				}
			}
		}
	})
}

func TestConvertInAHook(t *testing.T) {
	m := tiny(t, "llama")
	in := asking(words(t, 1, 5))
	want := copied(run(t, m, in).Output)
	hookOn(t, m, "blocks.1.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		return nil, m.Convert(t.Context(), "bfloat16")
	})
	sameBits(t, "a run ends in the dtype that it began in", run(t, m, in).Output.Float32s(), want)
	if out := run(t, m, in).Output; out.DType() != tensor.BFloat16 {
		t.Errorf("the next run is %s", out.DType())
	}
}

func TestConvertRefuses(t *testing.T) {
	m := tiny(t, "gpt2")
	for _, name := range []string{"int64", "float8", ""} {
		if err := m.Convert(t.Context(), name); err == nil {
			t.Errorf("a model was made %q", name)
		}
	}
	if err := m.Set("dtype", "bfloat16"); err == nil {
		t.Error("writing cfg.dtype was accepted and changes nothing")
	}
	if err := m.Set("dtype", "float32"); err != nil {
		t.Errorf("writing what it is: %v", err)
	}
}

// TestDTypeOfOptions: weights of the dtype asked for are used in place, others are rounded once; tied ones stay tied.
func TestDTypeOfOptions(t *testing.T) {
	hf := configs["qwen2"]
	memory := randomWeights(t, hf)
	defer func() {
		for _, w := range memory {
			w.Release()
		}
	}()
	first, err := model.FromTensors(t.Context(), hf, model.Options{Tensors: memory, DType: "torch.bfloat16"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	narrow := model.Memory{}
	places := map[unsafe.Pointer]bool{}
	for i, p := range first.Params() {
		v := value(t, first, i)
		if v.DType() != tensor.BFloat16 {
			t.Errorf("%s.%s is %s", p.Component, p.Name, v.DType())
		}
		places[v.Pointer()] = true
	}
	if len(places) != len(first.Params())-1 {
		t.Errorf("%d parameters lie in %d places, expected the tied two in one", len(first.Params()), len(places))
	}
	for name, w := range memory {
		narrow[name] = castTo(t, w, tensor.BFloat16)
	}
	second, err := model.FromTensors(t.Context(), hf, model.Options{Tensors: narrow, DType: "bfloat16"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	in := asking(words(t, 1, 7))
	if !bytes.Equal(bits(run(t, first, in).Output), bits(run(t, second, in).Output)) {
		t.Error("rounding at load gives other logits than weights that were rounded before")
	}
	embed := value(t, second, 0)
	if fmt.Sprint(second.Params()[0].Component) != "embed" || embed.Pointer() != narrow["model.embed_tokens.weight"].Pointer() {
		t.Error("bfloat16 weights were copied although the model is bfloat16")
	}
}

func castTo(t *testing.T, w *tensor.Tensor, dt tensor.DType) *tensor.Tensor {
	t.Helper()
	c, err := tensor.New(dt, w.Shape()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	for i, v := range w.Float32s() {
		u := math.Float32bits(v)
		c.Uint16s()[i] = uint16((u + 0x7fff + u>>16&1) >> 16)
	}
	return c
}
