// Tests of sets of weights: what operations read, what is handed out, what another dtype makes of them.
package weight_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/guarded"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/weight"
)

// check reports storages that a test leaves behind.
func check(t *testing.T) {
	t.Helper()
	before := tensor.Count().Storages
	t.Cleanup(func() {
		if after := tensor.Count().Storages; after != before && !t.Failed() {
			t.Errorf("%d storages are left behind", after-before)
		}
	})
}

// matrix is [2, 3] with the values 1 to 6, in bfloat16 where wanted: they are exact.
func matrix(t *testing.T, dt tensor.DType) *tensor.Tensor {
	t.Helper()
	wide, err := tensor.FromFloat32s([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if dt == tensor.Float32 {
		return wide
	}
	defer wide.Release()
	narrow, err := tensor.New(dt, 2, 3)
	if err == nil {
		err = cpu.CPU{}.Launch(&op.ConvertKernel{X: wide, Out: narrow})
	}
	if err != nil {
		t.Fatal(err)
	}
	return narrow
}

// set is a model's weights: "w" and, tied to it, "tied".
func set(t *testing.T, stored tensor.DType) (*weight.Set, int) {
	t.Helper()
	w := matrix(t, stored)
	s, err := weight.New(cpu.CPU{}, tensor.Float32, map[string]*tensor.Tensor{"w": w, "tied": w.Retain()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Release)
	index, err := s.Operand(weight.View{Tensor: "w", Shape: []int{3, 2}, Strides: []int{1, 3}})
	if err != nil {
		t.Fatal(err)
	}
	return s, index
}

// at is element [i, j] of what operations read.
func at(t *testing.T, s *weight.Set, index, i, j int) float32 {
	t.Helper()
	w, err := s.Weight(index)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Release()
	one, err := w.View([]int{1}, nil, i*w.Strides()[0]+j*w.Strides()[1])
	if err != nil {
		t.Fatal(err)
	}
	defer one.Release()
	wide, err := tensor.New(tensor.Float32, 1)
	if err == nil {
		err = cpu.CPU{}.Launch(&op.ConvertKernel{X: one, Out: wide})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Release()
	return wide.Float32s()[0]
}

func TestWhatIsWrittenIsReadNext(t *testing.T) {
	for _, stored := range []tensor.DType{tensor.Float32, tensor.BFloat16} {
		check(t)
		s, index := set(t, stored)
		if dt := s.Type(index).DType; dt != stored {
			t.Errorf("stored as %s, want %s", dt, stored)
		}
		if v := at(t, s, index, 2, 1); v != 6 {
			t.Errorf("%s: operations read %g", stored, v)
		}
		p, err := s.Param(weight.View{Tensor: "tied", Shape: []int{2, 3}})
		if err != nil {
			t.Fatal(err)
		}
		p.Float32s()[5] = 60
		if v := at(t, s, index, 2, 1); v != 60 {
			t.Errorf("%s: operations read %g behind the edit of a tied name", stored, v)
		}
		again, err := s.Param(weight.View{Tensor: "w", Shape: []int{3}, Offset: 3})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.Float32s(), []float32{4, 5, 60}) {
			t.Errorf("%s: a part of it is %v", stored, again.Float32s())
		}
		p.Release()
		again.Release()
	}
}

// TestAStepKeepsWhatItReads: a weight that is handed out meanwhile is widened beside it.
func TestAStepKeepsWhatItReads(t *testing.T) {
	check(t)
	s, index := set(t, tensor.BFloat16)
	reading, err := s.Weight(index)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Param(weight.View{Tensor: "w", Shape: []int{2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	p.Float32s()[0] = 9
	if reading.DType() != tensor.BFloat16 || *(*uint16)(reading.Pointer()) != 0x3f80 {
		t.Error("what a step reads has changed under it")
	}
	reading.Release()
	p.Release()
}

func TestAnotherDType(t *testing.T) {
	check(t)
	s, index := set(t, tensor.BFloat16)
	constant, err := tensor.FromFloat32s([]float32{0.1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := s.Constant(constant)
	constant.Release()
	if err != nil {
		t.Fatal(err)
	}
	for _, dt := range []tensor.DType{tensor.Float64, tensor.BFloat16, tensor.Float16} {
		made, err := s.Cast(t.Context(), dt)
		if err != nil {
			t.Fatal(err)
		}
		if made.DType() != dt || made.Type(weight.Like).DType != dt || made.Type(index).DType != dt || made.Type(fixed).DType != tensor.Float32 {
			t.Errorf("%s: has %s, %s and %s", dt, made.DType(), made.Type(weight.Like).DType, made.Type(index).DType)
		}
		if v := at(t, made, index, 1, 0); v != 2 {
			t.Errorf("%s: operations read %g", dt, v)
		}
		made.Release()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Cast(ctx, tensor.Float64); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestRunsHoldTheirWeights(t *testing.T) {
	check(t)
	w := matrix(t, tensor.Float32)
	s, err := weight.New(cpu.CPU{}, tensor.Float32, map[string]*tensor.Tensor{"w": w})
	if err != nil {
		t.Fatal(err)
	}
	index, err := s.Operand(weight.View{Tensor: "w", Shape: []int{2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	run := s.Retain()
	s.Release() // the model has others now
	if v := at(t, run, index, 0, 1); v != 2 {
		t.Errorf("a run reads %g", v)
	}
	run.Release()
}

func TestWeightsArePlaced(t *testing.T) {
	check(t)
	g := guarded.New(cpu.CPU{})
	w := matrix(t, tensor.Float32)
	s, err := weight.New(g, tensor.Float32, map[string]*tensor.Tensor{"w": w, "tied": w.Retain()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	p, err := s.Param(weight.View{Tensor: "tied", Shape: []int{2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	host, err := g.Host(p)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Release()
	if !slices.Equal(host.Float32s(), []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("placed %v", host.Float32s())
	}
}

func TestRefusals(t *testing.T) {
	check(t)
	s, _ := set(t, tensor.Float32)
	if _, err := s.Operand(weight.View{Tensor: "v"}); !errors.Is(err, weight.ErrUnknown) {
		t.Errorf("an operand of nothing: %v", err)
	}
	if _, err := s.Operand(weight.View{Tensor: "w", Shape: []int{3, 3}}); !errors.Is(err, tensor.ErrShape) {
		t.Errorf("an operand beyond its tensor: %v", err)
	}
	if _, err := s.Param(weight.View{Tensor: "v"}); !errors.Is(err, weight.ErrUnknown) {
		t.Errorf("a parameter of nothing: %v", err)
	}
	for _, index := range []int{-1, 2} {
		if _, err := s.Weight(index); !errors.Is(err, op.ErrIndex) {
			t.Errorf("operand %d: %v", index, err)
		}
	}
}
