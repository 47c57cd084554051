// A model's values as gorgonia.org/tensor's: results, parameters, what hooks are given and what they return.
package gotests_test

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hooked"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// tiny is a model, and a run of it whose output is a Dense.
func tiny(t testing.TB) (*model.Model, hooked.Forward) {
	t.Helper()
	m, err := openTiny()
	if err != nil {
		t.Fatal(err)
	}
	in, err := ask(3, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Tokens.Release()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, func() (*gorgonia.Dense, error) {
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			return nil, err
		}
		defer r.Release()
		return r.Dense()
	}
}

func must(t testing.TB, d *gorgonia.Dense, err error) *gorgonia.Dense {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A hook in gorgonia's terms: the residual stream behind layer 0 without its mean over positions, and logits as a Dense.
func Example_gorgonia() {
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
	forward := func() (*gorgonia.Dense, error) {
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			return nil, err
		}
		defer r.Release()
		return r.Dense() // holds the memory for as long as the program has it
	}
	centre := func(d *gorgonia.Dense, p *hook.Point) (*gorgonia.Dense, error) {
		fmt.Println("at", p.Name, d.Shape())
		mean, err := gorgonia.Sum(d, 1) // [batch, d_model]
		if err != nil {
			return nil, err
		}
		if mean, err = gorgonia.Div(mean, float32(d.Shape()[1]), gorgonia.UseUnsafe()); err != nil {
			return nil, err
		}
		for position := range d.Shape()[1] {
			row, err := d.Slice(nil, gorgonia.S(position))
			if err != nil {
				return nil, err
			}
			if _, err := gorgonia.Sub(row, mean, gorgonia.UseUnsafe()); err != nil { // in place
				return nil, err
			}
		}
		return nil, nil
	}
	root := m.Root()
	logits, cache, err := root.RunWithCache(forward, hooked.CacheOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("logits", logits.Shape(), "and", len(cache.Names), "activations kept")
	edited, err := root.RunWithHooks(forward, []hooked.Hook{{Name: "blocks.0.hook_resid_post", Fn: centre}}, hooked.RunOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the logits changed:", !reflect.DeepEqual(edited.Data(), logits.Data()))
	// Output:
	// logits (1, 5, 20) and 68 activations kept
	// at blocks.0.hook_out (1, 5, 8)
	// the logits changed: true
}

func TestHooksOfAModelInDenses(t *testing.T) {
	m, forward := tiny(t)
	root := m.Root()
	clean, err := forward()
	must(t, clean, err)
	const point = "blocks.0.hook_mlp_out"
	run := func(fn hooked.Func) []float32 {
		t.Helper()
		out, err := root.RunWithHooks(forward, []hooked.Hook{{Name: point, Fn: fn}}, hooked.RunOptions{})
		return floats(must(t, out, err))
	}
	var kept *gorgonia.Dense
	halved := run(func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
		kept = d
		_, err := gorgonia.Mul(d, float32(0.5), gorgonia.UseUnsafe())
		return nil, err
	})
	if reflect.DeepEqual(halved, floats(clean)) {
		t.Error("an edit in place did not count")
	}
	before := slices.Clone(floats(kept))
	for what, fn := range map[string]hooked.Func{
		"returned": func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
			return dense(gorgonia.Mul(d, float32(0.5)))
		},
		"returned in float64": func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
			wide := gorgonia.New(gorgonia.WithShape(d.Shape()...), gorgonia.Of(gorgonia.Float64))
			for i, v := range floats(d) {
				wide.Set(i, float64(v)/2)
			}
			return wide, nil
		},
		"turned twice": func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
			turned, err := dense(gorgonia.Transpose(d, 2, 1, 0))
			if err != nil {
				return nil, err
			}
			half, err := dense(gorgonia.Mul(turned, float32(0.5)))
			if err != nil {
				return nil, err
			}
			return half, half.T(2, 1, 0) // lazily: the strides say it
		},
	} {
		if got := run(fn); !reflect.DeepEqual(got, halved) {
			t.Errorf("%s: %v, want %v", what, got, halved)
		}
	}
	if !reflect.DeepEqual(floats(kept), before) {
		t.Error("what a hook kept changed")
	}
	again, err := forward()
	if !reflect.DeepEqual(floats(must(t, again, err)), floats(clean)) {
		t.Error("hooks are left")
	}
}

func TestAHookMayTurnWhatItWasGiven(t *testing.T) {
	root, err := hooked.New("p")
	if err != nil {
		t.Fatal(err)
	}
	turn := func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) { return d, d.T() }
	if err := root.AddHook(hooked.Hook{Name: "p", Fn: turn}, hooked.AddOptions{}); err != nil {
		t.Fatal(err)
	}
	x := gorgonia.New(gorgonia.WithShape(2, 2), gorgonia.WithBacking([]float32{1, 2, 3, 4}))
	out, err := root.Pass("p", x)
	if !reflect.DeepEqual(floats(must(t, out, err)), []float32{1, 3, 2, 4}) {
		t.Errorf("%v", out)
	}
	if _, err := root.Pass("p", gorgonia.New(gorgonia.WithBacking([]complex64{1}))); err == nil {
		t.Error("complex numbers passed")
	}
}

func TestParametersAsDenses(t *testing.T) {
	m, forward := tiny(t)
	clean, err := forward()
	must(t, clean, err)
	shared := 0
	for i, p := range m.Params() {
		d, live, err := m.ParamDense(i)
		must(t, d, err)
		if !slices.Equal(d.Shape(), p.Shape) {
			t.Errorf("%s.%s: shape %v, want %v", p.Component, p.Name, d.Shape(), p.Shape)
		}
		if live {
			shared++
		}
		at := make([]int, len(p.Shape))
		old, err := d.At(at...)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.SetAt(old.(float32)+1, at...); err != nil {
			t.Fatal(err)
		}
		if !live {
			if err := m.SetParam(i, d); err != nil {
				t.Fatal(err)
			}
		}
		again, _, err := m.ParamDense(i)
		if now, err := must(t, again, err).At(at...); err != nil || now != old.(float32)+1 {
			t.Errorf("%s.%s: %v after %v was written, %v", p.Component, p.Name, now, old.(float32)+1, err)
		}
	}
	if shared == 0 || shared == len(m.Params()) {
		t.Errorf("%d of %d are shared; GPT-2's query weights lie within a larger tensor", shared, len(m.Params()))
	}
	changed, err := forward()
	if reflect.DeepEqual(floats(must(t, changed, err)), floats(clean)) {
		t.Error("the model computes as before")
	}
	if err := m.SetParam(0, clean); err == nil {
		t.Error("a parameter of another shape was written")
	}
}

func TestNarrowModelsInDenses(t *testing.T) {
	m, forward := tiny(t)
	if err := m.Convert(context.Background(), "bfloat16"); err != nil {
		t.Fatal(err)
	}
	clean, err := forward()
	must(t, clean, err)
	double := func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
		_, err := gorgonia.Mul(d, float32(2), gorgonia.UseUnsafe())
		return nil, err
	}
	doubled := func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
		return dense(gorgonia.Mul(d, float32(2)))
	}
	var got [][]float32
	for _, fn := range []hooked.Func{double, doubled} {
		out, cache, err := m.Root().RunWithCache(func() (*gorgonia.Dense, error) {
			return m.Root().RunWithHooks(forward, []hooked.Hook{{Name: "hook_embed", Fn: fn}}, hooked.RunOptions{})
		}, hooked.CacheOptions{})
		got = append(got, floats(must(t, out, err)))
		if kept := cache.Get("ln_final.hook_normalized"); kept == nil || kept.Dtype() != gorgonia.Float32 {
			t.Errorf("kept %v", cache.Names)
		}
	}
	if reflect.DeepEqual(got[0], floats(clean)) || !reflect.DeepEqual(got[0], got[1]) {
		t.Errorf("in place %v, returned %v, without %v", got[0], got[1], clean)
	}
}

func TestKeptDense(t *testing.T) {
	m, _ := tiny(t)
	p, _ := m.Hooks.Lookup("blocks.1.hook_resid_post")
	in, err := ask(1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Tokens.Release()
	in.Output, in.Keep = model.OutputNone, bitset.Of(p.Index)
	r, err := m.Forward(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	d, err := r.KeptDense(p.Index)
	if must(t, d, err); &floats(d)[0] != &r.Kept[0].T.Float32s()[0] {
		t.Error("it is a copy")
	}
	if _, err := r.KeptDense(p.Index + 1); err == nil {
		t.Error("what was not kept")
	}
	if _, err := r.Dense(); err == nil {
		t.Error("a run without output has one")
	}
}

// settled counts what is alive when Go's collector has let go of the Denses that tests left behind.
func settled() tensor.Counts {
	for range 200 {
		if runtime.GC(); tensor.Count().Storages == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return tensor.Count()
}

func TestDensesLeaveNothing(t *testing.T) {
	before := settled()
	func() {
		m, err := openTiny()
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		in, err := ask(3, 1, 4)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Tokens.Release()
		_, cache, err := m.Root().RunWithCache(func() (*gorgonia.Dense, error) {
			r, err := m.Forward(context.Background(), in)
			if err != nil {
				return nil, err
			}
			defer r.Release()
			return r.Dense()
		}, hooked.CacheOptions{})
		if err != nil || len(cache.Names) < 10 {
			t.Fatal(err)
		}
	}()
	if left := settled().Storages - before.Storages; left != 0 {
		t.Errorf("%d storages are left", left)
	}
}
