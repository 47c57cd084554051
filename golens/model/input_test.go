// Tests of what a forward pass and a component refuse to be given.
package model_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func floats(t *testing.T, shape ...int) *tensor.Tensor {
	t.Helper()
	v, err := tensor.Zeros(tensor.Float32, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Release)
	return v
}

func TestForwardRefuses(t *testing.T) {
	m := tiny(t, "gpt2")
	tokens, ones := words(t, 2, 4), integers(t, []int64{1, 1, 1, 1, 1, 1, 1, 1}, 2, 4)
	gaps, err := integers(t, make([]int64, 16), 2, 8).View([]int{2, 4}, []int{8, 2}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer gaps.Release()
	for _, c := range []struct {
		name   string
		change func(in *model.Input)
		is     error
		says   string
	}{
		{"nothing", func(in *model.Input) { in.Tokens = nil }, model.ErrInput, "exactly one of"},
		{"two", func(in *model.Input) { in.Embeds = floats(t, 2, 4, 32) }, model.ErrInput, "exactly one of"},
		{"stream without start", func(in *model.Input) { in.Tokens, in.Resid = nil, floats(t, 2, 4, 32) }, model.ErrInput, "start layer"},
		{"start without stream", func(in *model.Input) { in.Start = 1 }, model.ErrInput, "start layer"},
		{"start too far", func(in *model.Input) { in.Tokens, in.Resid, in.Start = nil, floats(t, 2, 4, 32), 3 }, model.ErrInput, "start layer 3, expected 0 to 2"},
		{"start before 0", func(in *model.Input) { in.Tokens, in.Resid, in.Start = nil, floats(t, 2, 4, 32), -1 }, model.ErrInput, "start layer -1"},
		{"stop too far", func(in *model.Input) { in.Stop = 4 }, model.ErrInput, "stop layer 4, expected -3 to 3"},
		{"stop before 0", func(in *model.Input) { in.Stop = -4 }, model.ErrInput, "stop layer -4"},
		{"stop before start", func(in *model.Input) { in.Tokens, in.Resid, in.Start, in.Stop = nil, floats(t, 2, 4, 32), 2, 1 }, model.ErrInput, "stop layer 1"},
		{"float tokens", func(in *model.Input) { in.Tokens = floats(t, 2, 4) }, model.ErrInput, "float32 [2 4], expected int64 [batch, pos]"},
		{"one row", func(in *model.Input) { in.Tokens = integers(t, []int64{1, 2}, 2) }, model.ErrInput, "expected int64 [batch, pos]"},
		{"no tokens", func(in *model.Input) { in.Tokens = integers(t, nil, 1, 0) }, model.ErrInput, "at least one position"},
		{"no rows", func(in *model.Input) { in.Tokens = integers(t, nil, 0, 3) }, model.ErrInput, "at least one sequence"},
		{"id", func(in *model.Input) { in.Tokens = integers(t, []int64{1, vocab}, 1, 2) }, op.ErrIndex, "rows 0 to 60, 61 was asked for"},
		{"negative id", func(in *model.Input) { in.Tokens = integers(t, []int64{1, -1}, 1, 2) }, op.ErrIndex, "-1 was asked for"},
		{"too long", func(in *model.Input) { in.Tokens = words(t, 1, nCtx+1) }, op.ErrIndex, "pos_embed.weight has rows 0 to 399"},
		{"embedding width", func(in *model.Input) { in.Tokens, in.Embeds = nil, floats(t, 2, 4, 31) }, model.ErrInput, "[2 4 31], expected float32 [batch, pos, 32]"},
		{"stream rank", func(in *model.Input) { in.Tokens, in.Resid, in.Start = nil, floats(t, 4, 32), 0 }, model.ErrInput, "[batch, pos, 32]"},
		{"mask shape", func(in *model.Input) { in.Mask = integers(t, []int64{1, 1}, 1, 2) }, model.ErrInput, "expected contiguous int64 [2, 4]"},
		{"float mask", func(in *model.Input) { in.Mask = floats(t, 2, 4) }, model.ErrInput, "mask is float32"},
		{"mask with gaps", func(in *model.Input) { in.Mask = gaps }, model.ErrInput, "strides [8 2]"},
		{"positions shape", func(in *model.Input) { in.Positions = integers(t, []int64{1, 2, 3}, 1, 3) }, model.ErrInput, "expected int64 [1 or 2, 4]"},
		{"positions too far", func(in *model.Input) { in.Positions = integers(t, []int64{0, 1, 2, nCtx}, 1, 4) }, op.ErrIndex, "400 was asked for"},
		{"output", func(in *model.Input) { in.Output = "probabilities" }, model.ErrInput, `"probabilities"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := asking(tokens)
			in.Mask = ones
			c.change(in)
			if in.Tokens != tokens && in.Mask == ones {
				in.Mask = nil
			}
			before := tensor.Count().Storages
			r, err := m.Forward(context.Background(), in)
			if !errors.Is(err, c.is) || r != nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q, want %q that says %q", err, c.is, c.says)
			}
			if after := tensor.Count().Storages; after != before {
				t.Errorf("%d storages are left behind", after-before)
			}
		})
	}
	run(t, m, asking(tokens))
}

func TestCallRefuses(t *testing.T) {
	for _, c := range []struct {
		family, name string
		x            func(t *testing.T) *tensor.Tensor
		says         string
	}{
		{"gpt2", "ln_final", func(t *testing.T) *tensor.Tensor { return nil }, "without an input"},
		{"gpt2", "blocks.9", func(t *testing.T) *tensor.Tensor { return floats(t, 1, 2, 32) }, `no component "blocks.9"`},
		{"gpt2", "ln_final", func(t *testing.T) *tensor.Tensor { return floats(t, 1, 2, 31) }, "last dimension of 32"},
		{"gpt2", "ln_final", func(t *testing.T) *tensor.Tensor { return floats(t) }, "shapes do not fit"},
		{"gpt2", "unembed", func(t *testing.T) *tensor.Tensor { return floats(t) }, "32 features"},
		{"gpt2", "embed", func(t *testing.T) *tensor.Tensor { return floats(t, 1, 2) }, "int64"},
		{"gpt2", "pos_embed", func(t *testing.T) *tensor.Tensor { return floats(t, 1, 2) }, "int64"},
		{"gpt2", "pos_embed", func(t *testing.T) *tensor.Tensor { return integers(t, []int64{1}, 1) }, "cannot be computed"},
		{"gpt2", "blocks.0", func(t *testing.T) *tensor.Tensor { return floats(t, 2, 32) }, "shapes do not fit"},
		{"gpt2", "blocks.0.attn", func(t *testing.T) *tensor.Tensor { return floats(t, 2, 32) }, "shapes do not fit"},
		{"gpt2", "blocks.0.attn.o", func(t *testing.T) *tensor.Tensor { return floats(t, 1, 2, 31) }, "32 features"},
		{"llama", "blocks.0.attn", func(t *testing.T) *tensor.Tensor { return floats(t, 32) }, "cannot be computed"},
		{"llama", "blocks.0.mlp", func(t *testing.T) *tensor.Tensor { return floats(t, 1, 2, 44) }, "32 features"},
	} {
		m := tiny(t, c.family)
		r, err := m.Call(context.Background(), c.name, &model.Arguments{X: c.x(t)})
		if err == nil || r != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: error %v, want one that says %q", c.family, c.name, err, c.says)
		}
	}
}
