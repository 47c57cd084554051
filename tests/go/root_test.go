// HookedRootModule as a Go program uses it: its own computation with named hook points, hooks in Go.
package gotests_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hooked"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// scaler doubles its input, and then adds one.
type scaler struct{ *hooked.HookedRootModule }

func newScaler() (*scaler, error) {
	root, err := hooked.New("blocks.0.hook_in", "blocks.0.attn.hook_q", "hook_out")
	if err != nil {
		return nil, err
	}
	return &scaler{root}, nil
}

// dense is what gorgonia computed.
func dense(t gorgonia.Tensor, err error) (*gorgonia.Dense, error) {
	if err != nil {
		return nil, err
	}
	return t.(*gorgonia.Dense), nil
}

// forward passes what it computes through the hook points; x stays as it is.
func (s *scaler) forward(x *gorgonia.Dense) (*gorgonia.Dense, error) {
	h, err := s.Pass("blocks.0.hook_in", x)
	if err != nil {
		return nil, err
	}
	q, err := dense(gorgonia.Mul(h, float32(2)))
	if err != nil {
		return nil, err
	}
	if q, err = s.Pass("blocks.0.attn.hook_q", q); err != nil {
		return nil, err
	}
	out, err := dense(gorgonia.Add(q, float32(1)))
	if err != nil {
		return nil, err
	}
	return s.Pass("hook_out", out)
}

func floats(d *gorgonia.Dense) []float32 { return d.Data().([]float32) }

func zeroFirst(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
	floats(d)[0] = 0
	return nil, nil
}

func tripled(d *gorgonia.Dense, _ *hook.Point) (*gorgonia.Dense, error) {
	return dense(gorgonia.Mul(d, float32(3)))
}

// A module of one's own: named hook points, hooks for one run, a cache.
func Example_hookedRootModule() {
	module, err := newScaler()
	if err != nil {
		fmt.Println(err)
		return
	}
	x := gorgonia.New(gorgonia.WithShape(1, 3), gorgonia.WithBacking([]float32{1, 2, 3}))
	forward := func() (*gorgonia.Dense, error) { return module.forward(x) }

	hooks := []hooked.Hook{
		{Name: "blocks.0.hook_in", Fn: zeroFirst},
		{Where: func(name string) bool { return strings.HasSuffix(name, "hook_q") }, Fn: tripled},
	}
	out, err := module.RunWithHooks(forward, hooks, hooked.RunOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("with hooks:", floats(out))

	out, cache, err := module.RunWithCache(forward, hooked.CacheOptions{RemoveBatchDim: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("without:", floats(out), "and x is still", floats(x))
	for _, name := range cache.Names {
		fmt.Println(name, cache.Get(name).Shape(), floats(cache.Get(name)))
	}
	// Output:
	// with hooks: [1 13 19]
	// without: [3 5 7] and x is still [1 2 3]
	// blocks.0.hook_in (3) [1 2 3]
	// blocks.0.attn.hook_q (3) [2 4 6]
	// hook_out (3) [3 5 7]
}

type bench struct {
	*scaler
	t *testing.T
	x *gorgonia.Dense
}

func newBench(t *testing.T) bench {
	t.Helper()
	s, err := newScaler()
	if err != nil {
		t.Fatal(err)
	}
	x := gorgonia.New(gorgonia.WithShape(1, 2, 2, 2), gorgonia.WithBacking([]float32{1, 2, 3, 4, 5, 6, 7, 8}))
	return bench{s, t, x}
}

func (b bench) run() (*gorgonia.Dense, error) { return b.forward(b.x) }

// names runs, and gives the labels that hooks left.
func (b bench) called(log *[]string) []string {
	b.t.Helper()
	*log = nil
	if _, err := b.run(); err != nil {
		b.t.Fatal(err)
	}
	return *log
}

func noting(log *[]string, label string) hooked.Func {
	return func(*gorgonia.Dense, *hook.Point) (*gorgonia.Dense, error) {
		*log = append(*log, label)
		return nil, nil
	}
}

func TestLevelsPermanenceAndOrder(t *testing.T) {
	b := newBench(t)
	var log []string
	add := func(label string, o hooked.AddOptions) {
		if err := b.AddHook(hooked.Hook{Name: "hook_out", Fn: noting(&log, label)}, o); err != nil {
			t.Fatal(err)
		}
	}
	one := 1
	add("first", hooked.AddOptions{})
	add("permanent", hooked.AddOptions{Permanent: true})
	add("level 1", hooked.AddOptions{Level: &one})
	add("prepended", hooked.AddOptions{Prepend: true})
	err := b.WithHooks([]hooked.Hook{{Name: "hook_out", Fn: noting(&log, "context")}}, hooked.RunOptions{}, func() error {
		if b.ContextLevel() != 1 {
			t.Errorf("level %d", b.ContextLevel())
		}
		if got, want := b.called(&log), []string{"prepended", "first", "permanent", "level 1", "context"}; !reflect.DeepEqual(got, want) {
			t.Errorf("called %v, want %v", got, want)
		}
		return b.WithHooks(nil, hooked.RunOptions{}, func() error { return nil })
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
	good := hooked.Hook{Name: "hook_out", Fn: tripled}
	for _, hooks := range [][]hooked.Hook{{good, {Name: "nowhere", Fn: tripled}}, {good, {Name: "hook_out"}}} {
		if _, err := b.RunWithHooks(b.run, hooks, hooked.RunOptions{Keep: true}); err == nil {
			t.Error("no error")
		}
	}
	b.CheckHook = func(p *hook.Point, _ hook.Handle, _ bool) error {
		if p.Name == "hook_out" {
			return boom
		}
		return nil
	}
	if err := b.AddPermaHook(hooked.Hook{Where: func(string) bool { return true }, Fn: tripled}); !errors.Is(err, boom) {
		t.Error(err)
	}
	if listed, err := b.ListHooks(nil, hook.Both, true); err != nil || len(listed) != 0 || b.ContextLevel() != 0 {
		t.Errorf("left behind: %+v, %v, level %d", listed, err, b.ContextLevel())
	}
	if err := b.AddHook(hooked.Hook{Name: "nowhere", Fn: tripled}, hooked.AddOptions{}); !errors.Is(err, hook.ErrNoPoint) {
		t.Error(err)
	}
}

func TestErrorsAndPanicsLeaveNothing(t *testing.T) {
	b := newBench(t)
	boom := errors.New("boom")
	failing := func(*gorgonia.Dense, *hook.Point) (*gorgonia.Dense, error) { return nil, boom }
	if _, _, err := b.RunWithCache(func() (*gorgonia.Dense, error) {
		return b.RunWithHooks(b.run, []hooked.Hook{{Name: "hook_out", Fn: failing}}, hooked.RunOptions{})
	}, hooked.CacheOptions{}); !errors.Is(err, boom) {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = b.WithHooks([]hooked.Hook{{Name: "hook_out", Fn: tripled}}, hooked.RunOptions{}, func() error { panic("in the body") })
	}()
	if listed, err := b.ListHooks(nil, hook.Both, true); err != nil || len(listed) != 0 || b.ContextLevel() != 0 {
		t.Errorf("left behind: %+v, %v, level %d", listed, err, b.ContextLevel())
	}
}

func TestCaches(t *testing.T) {
	b := newBench(t)
	only := func(name string) bool { return name == "blocks.0.attn.hook_q" || name == "hook_out" }
	_, cache, err := b.RunWithCache(b.run, hooked.CacheOptions{Names: only, Positions: []int{-1}})
	if err != nil {
		t.Fatal(err)
	}
	// positions are the second axis of heads, else the third
	for name, want := range map[string][]float32{"blocks.0.attn.hook_q": {10, 12, 14, 16}, "hook_out": {7, 9, 15, 17}} {
		if got := cache.Get(name); got == nil || !reflect.DeepEqual(floats(got), want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := cache.Get("blocks.0.attn.hook_q").Shape(); !got.Eq(gorgonia.Shape{1, 1, 2, 2}) {
		t.Errorf("shape %v", got)
	}
	if _, _, err := b.RunWithCache(b.run, hooked.CacheOptions{Positions: []int{2}}); !errors.Is(err, tensor.ErrShape) {
		t.Errorf("position 2 of 2: %v", err)
	}
}

func TestWhatIsKeptNeverChanges(t *testing.T) {
	b := newBench(t)
	cache, keep := b.CachingHooks(hooked.CacheOptions{Gradients: true})
	hooks := append(keep, hooked.Hook{Name: "hook_out", Fn: zeroFirst})
	out, err := b.RunWithHooks(b.run, hooks, hooked.RunOptions{Keep: true, ClearContexts: true})
	if err != nil {
		t.Fatal(err)
	}
	if floats(out)[0] != 0 || floats(cache.Get("hook_out"))[0] != 3 {
		t.Errorf("out %v, kept %v", floats(out), floats(cache.Get("hook_out")))
	}
	if _, err := b.PassGradient("hook_out", out); err != nil {
		t.Fatal(err)
	}
	if got := cache.Get("hook_out_grad"); got == nil || floats(got)[1] != floats(out)[1] {
		t.Error("the gradient was not kept")
	}
	if _, err := b.Pass("nowhere", out); !errors.Is(err, hook.ErrNoPoint) {
		t.Error(err)
	}
	if err := b.ResetHooks(true); err != nil {
		t.Fatal(err)
	}
}

func TestContexts(t *testing.T) {
	b := newBench(t)
	p, _ := b.Hooks.Lookup("hook_out")
	count := func(_ *gorgonia.Dense, p *hook.Point) (*gorgonia.Dense, error) {
		n, _ := p.Context()["n"].(int)
		p.Context()["n"] = n + 1
		return nil, nil
	}
	for _, clear := range []bool{false, true} {
		if _, err := b.RunWithHooks(b.run, []hooked.Hook{{Name: "hook_out", Fn: count}}, hooked.RunOptions{ClearContexts: clear}); err != nil {
			t.Fatal(err)
		}
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
	forward := func() (*gorgonia.Dense, error) {
		r, err := m.Forward(context.Background(), in)
		if err != nil {
			return nil, err
		}
		defer r.Release()
		return r.Dense()
	}
	root := m.Root()
	clean, cache, err := root.RunWithCache(forward, hooked.CacheOptions{Names: func(n string) bool { return n == "blocks.0.hook_resid_post" }})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cache.Names, []string{"blocks.0.hook_out"}) {
		t.Errorf("kept %v", cache.Names)
	}
	edited, err := root.RunWithHooks(forward, []hooked.Hook{{Name: "blocks.0.hook_resid_post", Fn: tripled}}, hooked.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := forward()
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(floats(clean), floats(edited)) || !reflect.DeepEqual(floats(clean), floats(again)) {
		t.Error("the hook did not count, or stayed")
	}
	if err := root.AddHook(hooked.Hook{Name: "hook_embed", Dir: hook.Backward, Fn: tripled}, hooked.AddOptions{}); !errors.Is(err, model.ErrBackward) {
		t.Errorf("a hook on gradients: %v", err)
	}
}
