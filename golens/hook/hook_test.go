package hook

import (
	"errors"
	"reflect"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

type edge struct{ t *tensor.Tensor }

func (e *edge) Exclusive() (*tensor.Tensor, error) { return e.t, nil }
func (e *edge) Replace(t *tensor.Tensor) error {
	e.t.Release()
	e.t = t
	return nil
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	v, err := tensor.FromFloat32s([]float32{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {})
	return &edge{v}
}

func note(order *[]string, name string) Func {
	return func(*tensor.Tensor, *Point) (*tensor.Tensor, error) {
		*order = append(*order, name)
		return nil, nil
	}
}

func TestOrderAndPrepend(t *testing.T) {
	r := NewRegistry()
	p, _ := r.AddPoint("blocks.0.hook_in", "")
	var order []string
	add := func(name string, prepend, permanent bool, level int) {
		if _, err := r.Add(p.Index, Handle{Fn: note(&order, name), Permanent: permanent, Level: level}, prepend); err != nil {
			t.Fatal(err)
		}
	}
	add("first", false, false, NoLevel)
	add("perma", false, true, NoLevel)
	add("ctx", false, false, 1)
	add("prepended", true, false, NoLevel)
	if err := r.Fire(p, Forward, newEdge(t), nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"prepended", "first", "perma", "ctx"}; !reflect.DeepEqual(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestClear(t *testing.T) {
	r := NewRegistry()
	p, _ := r.AddPoint("a", "")
	for _, h := range []Handle{{Level: NoLevel}, {Level: 1}, {Level: NoLevel, Permanent: true}, {Level: 1, Dir: Backward}} {
		if _, err := r.Add(p.Index, h, false); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		dir       Direction
		level     int
		permanent bool
		left      int
	}{{Forward, 1, false, 3}, {Forward, NoLevel, false, 2}, {Both, NoLevel, false, 1}, {Both, NoLevel, true, 0}}
	for _, s := range steps {
		before := r.Generation()
		if _, err := r.Clear(-1, s.dir, s.level, s.permanent); err != nil {
			t.Fatal(err)
		}
		left, _ := r.List(p.Index, Both)
		if len(left) != s.left || r.Generation() == before {
			t.Errorf("%+v: %d left", s, len(left))
		}
	}
}

func TestEditsReachLaterHooks(t *testing.T) {
	r := NewRegistry()
	p, _ := r.AddPoint("a", "")
	seen := []float32{}
	add := func(f Func) {
		if _, err := r.Add(p.Index, Handle{Fn: f, Level: NoLevel}, false); err != nil {
			t.Fatal(err)
		}
	}
	add(func(v *tensor.Tensor, _ *Point) (*tensor.Tensor, error) { return tensor.FromFloat32s([]float32{5}, 1) })
	add(func(v *tensor.Tensor, _ *Point) (*tensor.Tensor, error) {
		seen = append(seen, v.Float32s()[0])
		v.Float32s()[0] = 7
		return nil, nil
	})
	add(func(v *tensor.Tensor, _ *Point) (*tensor.Tensor, error) {
		seen = append(seen, v.Float32s()[0])
		return v, nil
	})
	e := newEdge(t)
	if err := r.Fire(p, Forward, e, nil); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(seen, []float32{5, 7}) || e.t.Float32s()[0] != 7 {
		t.Errorf("hooks saw %v, the value is %v", seen, e.t.Float32s())
	}
	e.t.Release()
}

func TestSnapshotWhileFiring(t *testing.T) {
	r := NewRegistry()
	p, _ := r.AddPoint("a", "")
	var order []string
	var second int64
	first := func(*tensor.Tensor, *Point) (*tensor.Tensor, error) {
		order = append(order, "first")
		_, err := r.Add(p.Index, Handle{Fn: note(&order, "added"), Level: NoLevel}, false)
		return nil, errors.Join(err, r.Remove(p.Index, second))
	}
	if _, err := r.Add(p.Index, Handle{Fn: first, Level: NoLevel}, false); err != nil {
		t.Fatal(err)
	}
	second, _ = r.Add(p.Index, Handle{Fn: note(&order, "second"), Level: NoLevel}, false)
	e := newEdge(t)
	defer e.t.Release()
	if err := r.Fire(p, Forward, e, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"first", "second"}; !reflect.DeepEqual(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestErrors(t *testing.T) {
	r := NewRegistry()
	p, _ := r.AddPoint("a", "")
	if _, err := r.AddPoint("a", ""); err == nil {
		t.Error("a name was given twice")
	}
	if err := r.AddAlias("b", "nowhere"); !errors.Is(err, ErrNoPoint) {
		t.Errorf("alias of nothing: %v", err)
	}
	if err := r.AddAlias("b", "a"); err != nil {
		t.Error(err)
	}
	if q, ok := r.Lookup("b"); !ok || q != p {
		t.Error("the alias names another point")
	}
	if _, err := r.Add(3, Handle{}, false); !errors.Is(err, ErrNoPoint) {
		t.Errorf("point 3: %v", err)
	}
	if err := r.Remove(p.Index, 99); !errors.Is(err, ErrNoHook) {
		t.Errorf("hook 99: %v", err)
	}
	boom := errors.New("boom")
	_, _ = r.Add(p.Index, Handle{Level: NoLevel, Fn: func(*tensor.Tensor, *Point) (*tensor.Tensor, error) { return nil, boom }}, false)
	e := newEdge(t)
	defer e.t.Release()
	if err := r.Fire(p, Forward, e, nil); !errors.Is(err, boom) {
		t.Errorf("a hook's error came out as %v", err)
	}
}

func TestChange(t *testing.T) {
	r := NewRegistry()
	p, _ := r.AddPoint("a", "")
	var order []string
	ids := map[string]int64{}
	for _, name := range []string{"one", "two", "three"} {
		id, err := r.Add(p.Index, Handle{Fn: note(&order, name), Level: -1}, false)
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = id
	}
	if err := r.Change(p.Index, ids["two"], true, 4); err != nil {
		t.Fatal(err)
	}
	if removed, err := r.Clear(p.Index, Both, 4, false); err != nil || len(removed) != 0 {
		t.Errorf("a permanent hook went: %v, %v", removed, err)
	}
	if removed, err := r.Clear(p.Index, Both, -1, false); err != nil || len(removed) != 2 {
		t.Errorf("level -1 is a level like others, but %v went (%v)", removed, err)
	}
	e := newEdge(t)
	defer e.t.Release()
	if err := r.Fire(p, Forward, e, nil); err != nil || !reflect.DeepEqual(order, []string{"two"}) {
		t.Errorf("called %v, %v", order, err)
	}
	if err := r.Change(p.Index, ids["one"], false, 0); !errors.Is(err, ErrNoHook) {
		t.Errorf("a hook that is gone was changed: %v", err)
	}
	if err := r.Change(7, ids["two"], false, 0); !errors.Is(err, ErrNoPoint) {
		t.Errorf("point 7: %v", err)
	}
}

func TestPointsWithoutNamesComeAndGo(t *testing.T) {
	r := NewRegistry()
	named, _ := r.AddPoint("a", "")
	one, err := r.AddPoint("", "")
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.AddPoint("", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, found := r.Lookup(""); found {
		t.Error("a point without a name was found by it")
	}
	if _, err := r.Add(one.Index, Handle{Level: NoLevel}, false); err != nil {
		t.Fatal(err)
	}
	if err := r.RemovePoint(one.Index); err != nil {
		t.Fatal(err)
	}
	if err := r.RemovePoint(one.Index); !errors.Is(err, ErrNoPoint) {
		t.Errorf("removed twice: %v", err)
	}
	if err := r.RemovePoint(named.Index); err == nil {
		t.Error("a point with a name was removed")
	}
	if _, err := r.Add(one.Index, Handle{Level: NoLevel}, false); !errors.Is(err, ErrNoPoint) {
		t.Errorf("a hook at a point that is gone: %v", err)
	}
	if _, err := r.Clear(-1, Both, NoLevel, true); err != nil {
		t.Error(err)
	}
	r.ClearContexts()
	again, err := r.AddPoint("", "")
	if err != nil || again.Index != one.Index || again.Index == two.Index {
		t.Errorf("the index that was free is %d, given %+v, %v", one.Index, again, err)
	}
	if left, err := r.List(again.Index, Both); err != nil || len(left) != 0 {
		t.Errorf("the new point has hooks of the old: %v, %v", left, err)
	}
}
