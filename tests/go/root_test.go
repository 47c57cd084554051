// HookedRootModule as a Go program uses it: its own computation with named hook points, hooks in Go.
package gotests_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// scaler doubles its input, and then adds one.
type scaler struct{ *model.HookedRootModule }

func newScaler() (*scaler, error) {
	root, err := model.NewHookedRootModule("blocks.0.hook_in", "blocks.0.attn.hook_q", "hook_out")
	if err != nil {
		return nil, err
	}
	return &scaler{root}, nil
}

func apply(t *tensor.Tensor, f func(float32) float32) (*tensor.Tensor, error) {
	out, err := tensor.New(tensor.Float32, t.Shape()...)
	if err != nil {
		return nil, err
	}
	for i, v := range t.Float32s() {
		out.Float32s()[i] = f(v)
	}
	return out, nil
}

// forward passes what it computes through the hook points; x stays the caller's.
func (s *scaler) forward(x *tensor.Tensor) (*tensor.Tensor, error) {
	h, err := s.Pass("blocks.0.hook_in", x.Retain())
	if err != nil {
		return nil, err
	}
	defer h.Release()
	q, err := apply(h, func(v float32) float32 { return 2 * v })
	if err != nil {
		return nil, err
	}
	if q, err = s.Pass("blocks.0.attn.hook_q", q); err != nil {
		return nil, err
	}
	defer q.Release()
	out, err := apply(q, func(v float32) float32 { return v + 1 })
	if err != nil {
		return nil, err
	}
	return s.Pass("hook_out", out)
}

func zeroFirst(t *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
	t.Float32s()[0] = 0
	return nil, nil
}

func tripled(t *tensor.Tensor, _ *hook.Point) (*tensor.Tensor, error) {
	return apply(t, func(v float32) float32 { return 3 * v })
}

// A module of one's own: named hook points, hooks for one run, a cache.
func Example_hookedRootModule() {
	module, err := newScaler()
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := tensor.FromFloat32s([]float32{1, 2, 3}, 1, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer x.Release()
	forward := func() (*tensor.Tensor, error) { return module.forward(x) }

	hooks := []model.Hooked{
		{Name: "blocks.0.hook_in", Fn: zeroFirst},
		{Where: func(name string) bool { return strings.HasSuffix(name, "hook_q") }, Fn: tripled},
	}
	out, err := module.RunWithHooks(forward, hooks, model.RunOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("with hooks:", out.Float32s())
	out.Release()

	out, cache, err := module.RunWithCache(forward, model.CacheOptions{RemoveBatchDim: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Release()
	fmt.Println("without:", out.Float32s(), "and x is still", x.Float32s())
	out.Release()
	for _, name := range cache.Names {
		fmt.Println(name, cache.Get(name).Shape(), cache.Get(name).Float32s())
	}
	// Output:
	// with hooks: [1 13 19]
	// without: [3 5 7] and x is still [1 2 3]
	// blocks.0.hook_in [3] [1 2 3]
	// blocks.0.attn.hook_q [3] [2 4 6]
	// hook_out [3] [3 5 7]
}

type bench struct {
	*scaler
	t *testing.T
	x *tensor.Tensor
}

func newBench(t *testing.T) bench {
	t.Helper()
	s, err := newScaler()
	if err != nil {
		t.Fatal(err)
	}
	x, err := tensor.FromFloat32s([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	before := tensor.Count().Storages
	t.Cleanup(func() {
		x.Release()
		if after := tensor.Count().Storages; after != before-1 {
			t.Errorf("%d storages are left", after-before+1)
		}
	})
	return bench{s, t, x}
}

func (b bench) run() (*tensor.Tensor, error) { return b.forward(b.x) }

// names runs, and gives the labels that hooks left.
func (b bench) called(log *[]string) []string {
	b.t.Helper()
	*log = nil
	out, err := b.run()
	if err != nil {
		b.t.Fatal(err)
	}
	out.Release()
	return *log
}

func noting(log *[]string, label string) hook.Func {
	return func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		*log = append(*log, label)
		return nil, nil
	}
}

func TestLevelsPermanenceAndOrder(t *testing.T) {
	b := newBench(t)
	var log []string
	add := func(label string, o model.AddOptions) {
		if err := b.AddHook(model.Hooked{Name: "hook_out", Fn: noting(&log, label)}, o); err != nil {
			t.Fatal(err)
		}
	}
	one := 1
	add("first", model.AddOptions{})
	add("permanent", model.AddOptions{Permanent: true})
	add("level 1", model.AddOptions{Level: &one})
	add("prepended", model.AddOptions{Prepend: true})
	err := b.WithHooks([]model.Hooked{{Name: "hook_out", Fn: noting(&log, "context")}}, model.RunOptions{}, func() error {
		if b.ContextLevel() != 1 {
			t.Errorf("level %d", b.ContextLevel())
		}
		if got, want := b.called(&log), []string{"prepended", "first", "permanent", "level 1", "context"}; !reflect.DeepEqual(got, want) {
			t.Errorf("called %v, want %v", got, want)
		}
		return b.WithHooks(nil, model.RunOptions{}, func() error { return nil })
	})
	if err != nil || b.ContextLevel() != 0 {
		t.Fatal(err, b.ContextLevel())
	}
	if got, want := b.called(&log), []string{"prepended", "first", "permanent"}; !reflect.DeepEqual(got, want) {
		t.Errorf("after the context %v, want %v", got, want)
	}
	if err := b.ResetHooks(false); err != nil {
		t.Fatal(err)
	}
	listed, err := b.ListHooks(nil, hook.Both, true)
	if err != nil || len(listed) != 1 || listed[0].Name != "hook_out" || len(listed[0].Hooks) != 1 || !listed[0].Hooks[0].Permanent {
		t.Errorf("after a reset: %+v, %v", listed, err)
	}
	if listed, err := b.ListHooks(nil, hook.Both, false); err != nil || len(listed) != 0 {
		t.Errorf("not permanent: %+v, %v", listed, err)
	}
	if err := b.RemoveAllHookFns(hook.Forward, true, hook.NoLevel); err != nil || len(b.called(&log)) != 0 {
		t.Errorf("hooks are left: %v, %v", log, err)
	}
}

func TestNothingIsHalfAdded(t *testing.T) {
	b := newBench(t)
	boom := errors.New("boom")
	good := model.Hooked{Name: "hook_out", Fn: tripled}
	for _, hooks := range [][]model.Hooked{{good, {Name: "nowhere", Fn: tripled}}, {good, {Name: "hook_out"}}} {
		if _, err := b.RunWithHooks(b.run, hooks, model.RunOptions{Keep: true}); err == nil {
			t.Error("no error")
		}
	}
	b.CheckHook = func(p *hook.Point, _ hook.Handle, _ bool) error {
		if p.Name == "hook_out" {
			return boom
		}
		return nil
	}
	if err := b.AddPermaHook(model.Hooked{Where: func(string) bool { return true }, Fn: tripled}); !errors.Is(err, boom) {
		t.Error(err)
	}
	if listed, err := b.ListHooks(nil, hook.Both, true); err != nil || len(listed) != 0 || b.ContextLevel() != 0 {
		t.Errorf("left behind: %+v, %v, level %d", listed, err, b.ContextLevel())
	}
	if err := b.AddHook(model.Hooked{Name: "nowhere", Fn: tripled}, model.AddOptions{}); !errors.Is(err, hook.ErrNoPoint) {
		t.Error(err)
	}
}

func TestErrorsAndPanicsLeaveNothing(t *testing.T) {
	b := newBench(t)
	boom := errors.New("boom")
	failing := func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, boom }
	if _, _, err := b.RunWithCache(func() (*tensor.Tensor, error) {
		return b.RunWithHooks(b.run, []model.Hooked{{Name: "hook_out", Fn: failing}}, model.RunOptions{})
	}, model.CacheOptions{}); !errors.Is(err, boom) {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = b.WithHooks([]model.Hooked{{Name: "hook_out", Fn: tripled}}, model.RunOptions{}, func() error { panic("in the body") })
	}()
	if listed, err := b.ListHooks(nil, hook.Both, true); err != nil || len(listed) != 0 || b.ContextLevel() != 0 {
		t.Errorf("left behind: %+v, %v, level %d", listed, err, b.ContextLevel())
	}
}

func TestCaches(t *testing.T) {
	b := newBench(t)
	only := func(name string) bool { return name == "blocks.0.attn.hook_q" || name == "hook_out" }
	out, cache, err := b.RunWithCache(b.run, model.CacheOptions{Names: only, Positions: []int{-1}})
	if err != nil {
		t.Fatal(err)
	}
	out.Release()
	defer cache.Release()
	// positions are the second axis of heads, else the third
	for name, want := range map[string][]float32{"blocks.0.attn.hook_q": {10, 12, 14, 16}, "hook_out": {7, 9, 15, 17}} {
		if got := cache.Get(name); got == nil || !reflect.DeepEqual(got.Float32s(), want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := cache.Get("blocks.0.attn.hook_q").Shape(); !reflect.DeepEqual(got, []int{1, 1, 2, 2}) {
		t.Errorf("shape %v", got)
	}
	if _, _, err := b.RunWithCache(b.run, model.CacheOptions{Positions: []int{2}}); !errors.Is(err, tensor.ErrShape) {
		t.Errorf("position 2 of 2: %v", err)
	}
}

func TestWhatIsKeptNeverChanges(t *testing.T) {
	b := newBench(t)
	cache, keep := b.CachingHooks(model.CacheOptions{Gradients: true})
	defer cache.Release()
	hooks := append(keep, model.Hooked{Name: "hook_out", Fn: zeroFirst})
	out, err := b.RunWithHooks(b.run, hooks, model.RunOptions{Keep: true, ClearContexts: true})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Release()
	if out.Float32s()[0] != 0 || cache.Get("hook_out").Float32s()[0] != 3 {
		t.Errorf("out %v, kept %v", out.Float32s(), cache.Get("hook_out").Float32s())
	}
	grad, err := b.PassGradient("hook_out", out.Retain())
	if err != nil {
		t.Fatal(err)
	}
	grad.Release()
	if got := cache.Get("hook_out_grad"); got == nil || got.Float32s()[1] != out.Float32s()[1] {
		t.Error("the gradient was not kept")
	}
	if _, err := b.Pass("nowhere", out.Retain()); !errors.Is(err, hook.ErrNoPoint) {
		t.Error(err)
	}
	if err := b.ResetHooks(true); err != nil {
		t.Fatal(err)
	}
}

func TestContexts(t *testing.T) {
	b := newBench(t)
	p, _ := b.Hooks.Lookup("hook_out")
	count := func(_ *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
		n, _ := p.Context()["n"].(int)
		p.Context()["n"] = n + 1
		return nil, nil
	}
	for _, clear := range []bool{false, true} {
		out, err := b.RunWithHooks(b.run, []model.Hooked{{Name: "hook_out", Fn: count}}, model.RunOptions{ClearContexts: clear})
		if err != nil {
			t.Fatal(err)
		}
		out.Release()
		if left := len(p.Context()); (left == 0) != clear {
			t.Errorf("clear %v: %v", clear, p.Context())
		}
	}
}

// TestRootOfAModel: the same calls on a model of the engine.
func TestRootOfAModel(t *testing.T) {
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
	forward := func() (*tensor.Tensor, error) {
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			return nil, err
		}
		defer r.Release()
		return r.Output.Retain(), nil
	}
	root := m.Root()
	clean, cache, err := root.RunWithCache(forward, model.CacheOptions{Names: func(n string) bool { return n == "blocks.0.hook_resid_post" }})
	if err != nil {
		t.Fatal(err)
	}
	defer clean.Release()
	defer cache.Release()
	if !reflect.DeepEqual(cache.Names, []string{"blocks.0.hook_out"}) {
		t.Errorf("kept %v", cache.Names)
	}
	edited, err := root.RunWithHooks(forward, []model.Hooked{{Name: "blocks.0.hook_resid_post", Fn: tripled}}, model.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer edited.Release()
	again, err := forward()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if reflect.DeepEqual(clean.Float32s(), edited.Float32s()) || !reflect.DeepEqual(clean.Float32s(), again.Float32s()) {
		t.Error("the hook did not count, or stayed")
	}
	if err := root.AddHook(model.Hooked{Name: "hook_embed", Dir: hook.Backward, Fn: tripled}, model.AddOptions{}); !errors.Is(err, model.ErrBackward) {
		t.Errorf("a hook on gradients: %v", err)
	}
}
