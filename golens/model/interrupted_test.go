package model_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// counted is a context that ends when it has been asked so many times.
type counted struct {
	context.Context
	left int
}

func (c *counted) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// everyEnd makes something under contexts that end at the first look, at the second and so on, until it is done.
func everyEnd(t *testing.T, make_ func(context.Context) error) {
	t.Helper()
	before := tensor.Count()
	for looks := range 1000 {
		err := make_(&counted{t.Context(), looks})
		after := tensor.Count()
		if after.Storages != before.Storages || after.Bytes != before.Bytes || after.Handles != before.Handles {
			t.Fatalf("ended at look %d: %+v, before %+v", looks, after, before)
		}
		if err == nil {
			if looks < 5 {
				t.Errorf("there were %d looks only", looks)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	t.Fatal("it is never done")
}

func TestFaultM6AnInterruptedLoadLeavesNothing(t *testing.T) {
	for _, path := range []string{
		filepath.Join("..", "..", "tests", "py", "data", "gpt2"),
		filepath.Join("..", "checkpoint", "testdata", "llama.gguf"),
	} {
		everyEnd(t, func(ctx context.Context) error {
			m, err := model.Open(ctx, path, model.Options{DType: "float16"})
			if err != nil {
				return err
			}
			return m.Close()
		})
	}
	everyEnd(t, func(ctx context.Context) error {
		m, err := model.Native(ctx, nativeConfig(t, nil), model.Options{DType: "bfloat16"})
		if err != nil {
			return err
		}
		return m.Close()
	})
}

func TestFaultM6AnInterruptedConvertLeavesTheModelAsItWas(t *testing.T) {
	m := tiny(t, "llama")
	in := asking(words(t, 1, 5))
	want := copied(run(t, m, in).Output)
	for _, dt := range []tensor.DType{tensor.Float64, tensor.Float32} {
		convert(t, m, dt) // from here on it has memory of its own
	}
	everyEnd(t, func(ctx context.Context) error {
		if err := m.Convert(ctx, "float64"); err != nil {
			if m.DType() != tensor.Float32 {
				t.Errorf("it is %s", m.DType())
			}
			return err
		}
		return m.Convert(t.Context(), "float32")
	})
	sameBits(t, "the model is as it was", run(t, m, in).Output.Float32s(), want)
}
