// Examples: the engine as a Go program uses it. Their printed results are checked by go test.
package gotests_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// openTiny writes a tiny model to a folder and loads it.
func openTiny() (*model.Model, error) {
	dir, err := os.MkdirTemp("", "tiny-model-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // what was loaded stays mapped
	if err := writeModel(dir); err != nil {
		return nil, err
	}
	return model.Open(context.Background(), dir, model.Options{Name: "tiny"})
}

// ask makes the question for all logits of one sequence.
func ask(ids ...int64) (*model.Input, error) {
	tokens, err := tensor.FromInt64s(ids, 1, len(ids))
	if err != nil {
		return nil, err
	}
	return &model.Input{Tokens: tokens, Start: model.NoLayer, Stop: model.NoLayer, Output: model.OutputLogits}, nil
}

// best is the token that the last position finds most likely.
func best(logits *tensor.Tensor) int {
	n := logits.Dim(2)
	last := logits.Float32s()[logits.Len()-n:]
	at := 0
	for i, v := range last {
		if v > last[at] {
			at = i
		}
	}
	return at
}

// A head is silenced by a Go hook that edits its output in place.
func Example() {
	m, err := openTiny()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	in, err := ask(3, 1, 4, 1, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Tokens.Release()

	run := func() []float32 {
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			fmt.Println(err)
			return nil
		}
		defer r.Release()
		fmt.Println("logits", r.Output.Shape(), "best next token", best(r.Output))
		return append([]float32(nil), r.Output.Float32s()...)
	}
	clean := run()

	z, _ := m.Hooks.Lookup("blocks.1.attn.hook_z")
	silence := func(t *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
		fmt.Println("at", p.Name, t.Shape())
		for position := range t.Dim(1) { // head 0 of [batch, pos, head, d_head]
			clear(t.Float32s()[position*t.Dim(2)*t.Dim(3):][:t.Dim(3)])
		}
		return nil, nil
	}
	id, err := m.Hooks.Add(z.Index, hook.Handle{Fn: silence, Level: hook.NoLevel}, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	silenced := run()
	most := 0.0
	for i := range clean {
		most = math.Max(most, math.Abs(float64(clean[i]-silenced[i])))
	}
	fmt.Printf("the largest change of a logit is %.1f\n", most)
	fmt.Println("removed:", m.Hooks.Remove(z.Index, id) == nil)
	again := run()
	fmt.Println("as before:", fmt.Sprint(again) == fmt.Sprint(clean))
	// Output:
	// logits [1 5 20] best next token 7
	// at blocks.1.attn.o.hook_in [1 5 2 4]
	// logits [1 5 20] best next token 1
	// the largest change of a logit is 6.0
	// removed: true
	// logits [1 5 20] best next token 7
	// as before: true
}

// Activations are kept by naming their hook points; with nothing else asked for, no later layer runs.
func Example_cache() {
	m, err := openTiny()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	in, err := ask(3, 1, 4, 1, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Tokens.Release()
	for _, name := range []string{"blocks.0.hook_resid_post", "blocks.0.attn.hook_pattern"} {
		p, ok := m.Hooks.Lookup(name)
		if !ok {
			fmt.Println("no hook point", name)
			return
		}
		in.Keep.Add(p.Index)
	}
	in.Output = model.OutputNone
	r, err := m.Forward(context.Background(), in)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Release()
	for _, k := range r.Kept {
		fmt.Println(m.Hooks.Points()[k.Point].Name, k.T.Shape())
	}
	pattern := r.Kept[0].T
	fmt.Println("the first position attends to itself:", pattern.Float32s()[:5])
	// Output:
	// blocks.0.attn.hook_pattern [1 2 5 5]
	// blocks.0.hook_out [1 5 8]
	// the first position attends to itself: [1 0 0 0 0]
}

// A hook whose tensor does not fit ends the run with an error that says so; the model goes on working.
func Example_error() {
	m, err := openTiny()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	in, err := ask(3, 1, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Tokens.Release()
	p, _ := m.Hooks.Lookup("blocks.0.hook_mlp_out")
	wrong := func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		return tensor.Zeros(tensor.Float32, 1, 3, 9)
	}
	if _, err := m.Hooks.Add(p.Index, hook.Handle{Fn: wrong, Level: hook.NoLevel}, false); err != nil {
		fmt.Println(err)
		return
	}
	_, err = m.Forward(context.Background(), in)
	fmt.Println(err)
	fmt.Println(errors.Is(err, graph.ErrEdit))
	// Output:
	// hook blocks.0.mlp.hook_out: the returned tensor does not fit: given shape [1 3 9], expected [1 3 8] or what broadcasts to it
	// true
}

// A text is read once, and two continuations go on from what it left in a frozen KV cache.
func ExampleModel_cache() {
	m, err := openTiny()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	cache, err := m.NewCache(1, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Release()
	logits := func(past *kvcache.Cache, ids ...int64) []float32 {
		in, err := ask(ids...)
		if err != nil {
			fmt.Println(err)
			return nil
		}
		defer in.Tokens.Release()
		in.Past = past
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			fmt.Println(err)
			return nil
		}
		defer r.Release()
		return slices.Clone(r.Output.Float32s()[r.Output.Len()-r.Output.Dim(2):])
	}
	logits(cache, 3, 1, 4)
	cache.Freeze()
	for _, next := range []int64{1, 5} {
		behind, whole := logits(cache, next), logits(nil, 3, 1, 4, next)
		fmt.Println(slices.Equal(behind, whole), cache.Len())
	}
	// Output:
	// true 3
	// true 3
}

// TestNothingLeft: a Go program that releases what it was given leaves nothing behind.
func TestNothingLeft(t *testing.T) {
	before := settled()
	for range 3 {
		m, err := openTiny()
		if err != nil {
			t.Fatal(err)
		}
		in, err := ask(1, 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		in.Keep = bitset.Below(len(m.Hooks.Points()))
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		in.Tokens.Release()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		for _, k := range r.Kept { // what was kept outlives the model
			if k.T.Len() == 0 {
				t.Errorf("point %d: an empty tensor", k.Point)
			}
		}
		r.Release()
	}
	after := tensor.Count()
	if after.Storages != before.Storages || after.Bytes != before.Bytes || after.Handles != before.Handles {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
