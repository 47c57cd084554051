package hooked

import (
	"errors"
	"reflect"
	"testing"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func module(t *testing.T) *HookedRootModule {
	t.Helper()
	r, err := New("hook_q", "hook_out")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func values(from, n int, shape ...int) *gorgonia.Dense {
	all := make([]float32, n)
	for i := range all {
		all[i] = float32(from + i)
	}
	return gorgonia.New(gorgonia.WithShape(shape...), gorgonia.WithBacking(all))
}

func passed(t *testing.T, r *HookedRootModule, name string, d *gorgonia.Dense) []float32 {
	t.Helper()
	out, err := r.Pass(name, d)
	if err != nil {
		t.Fatal(err)
	}
	return out.Data().([]float32)
}

func TestWithoutHooksAValuePassesAsItIs(t *testing.T) {
	r, d := module(t), values(0, 4, 2, 2)
	if out, err := r.Pass("hook_out", d); err != nil || out != d {
		t.Errorf("%v, %v", out, err)
	}
	if err := r.AddHook(Hook{Name: "hook_out", Dir: hook.Backward, Fn: func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
		return nil, errors.New("called")
	}}, AddOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := r.Pass("hook_out", d); err != nil || out != d {
		t.Errorf("beside a hook on gradients: %v, %v", out, err)
	}
	if _, err := r.PassGradient("hook_out", d); err == nil {
		t.Error("the hook on gradients was not called")
	}
}

func TestHooksKeepWhatTheyWereGiven(t *testing.T) {
	r, d := module(t), values(1, 3, 3)
	var kept []*gorgonia.Dense
	add := func(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
		d.Data().([]float32)[0] += 10
		kept = append(kept, d)
		return nil, nil
	}
	for range 2 {
		if err := r.AddHook(Hook{Name: "hook_out", Fn: add}, AddOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	out := passed(t, r, "hook_out", d)
	out[0] += 100 // the program's own
	if out[0] != 121 || kept[0].Data().([]float32)[0] != 11 || kept[1].Data().([]float32)[0] != 21 || d.Data().([]float32)[0] != 1 {
		t.Errorf("out %v, hooks kept %v and %v of %v", out, kept[0], kept[1], d)
	}
}

func TestTheCacheIsNotTheProgramsMemory(t *testing.T) {
	r := module(t)
	var out []float32
	_, cache, err := r.RunWithCache(func() (*gorgonia.Dense, error) {
		out = passed(t, r, "hook_out", values(0, 6, 2, 3))
		out[0] = 9
		return nil, nil
	}, CacheOptions{})
	if err != nil || !reflect.DeepEqual(cache.Get("hook_out").Data(), []float32{0, 1, 2, 3, 4, 5}) {
		t.Errorf("kept %v of %v, %v", cache.Get("hook_out"), out, err)
	}
	if cache.Get("hook_q") != nil || !reflect.DeepEqual(cache.Names, []string{"hook_out"}) {
		t.Errorf("kept %v", cache.Names)
	}
}

func TestPositions(t *testing.T) {
	for name, c := range map[string]struct {
		shape []int
		want  []float32
	}{
		"hook_out": {[]int{1, 3, 2}, []float32{4, 5, 0, 1}},    // [batch, pos, d]
		"hook_q":   {[]int{1, 3, 1, 2}, []float32{4, 5, 0, 1}}, // [batch, pos, head, d]
	} {
		r := module(t)
		_, cache, err := r.RunWithCache(func() (*gorgonia.Dense, error) {
			return r.Pass(name, values(0, 6, c.shape...))
		}, CacheOptions{Positions: []int{-1, 0}, RemoveBatchDim: true})
		if err != nil || !reflect.DeepEqual(cache.Get(name).Data(), c.want) || len(cache.Get(name).Shape()) != len(c.shape)-1 {
			t.Errorf("%s: %v, %v", name, cache, err)
		}
	}
}

func TestWhatIsReturnedMayBeAnything(t *testing.T) {
	r := module(t)
	wide := gorgonia.New(gorgonia.WithBacking([]float64{1, 2, 3, 4}))
	if err := r.AddHook(Hook{Name: "hook_out", Fn: func(*gorgonia.Dense, *hook.Point) (*gorgonia.Dense, error) { return wide, nil }}, AddOptions{}); err != nil {
		t.Fatal(err)
	}
	for convert, want := range map[bool]any{false: []float64{1, 2, 3, 4}, true: []float32{1, 2, 3, 4}} {
		r.Convert = convert
		if out, err := r.Pass("hook_out", values(0, 2, 2)); err != nil || !reflect.DeepEqual(out.Data(), want) {
			t.Errorf("convert %v: %v, %v", convert, out, err)
		}
	}
	if _, err := r.Pass("hook_out", gorgonia.New(gorgonia.WithBacking([]string{"a"}))); !errors.Is(err, tensor.ErrNotDense) {
		t.Errorf("strings: %v", err)
	}
}
