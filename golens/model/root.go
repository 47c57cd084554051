// HookedRootModule: named hook points for a Go program's own computation, and hooks on a model by name.
package model

import (
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrBackward is wrapped where a hook on gradients would never be called.
var ErrBackward = errors.New("model: hooks on gradients of an engine model are not built yet")

// HookedRootModule has hook points that a program passes its tensors through. Embed it in a struct, name the points
// with AddPoint, and let the computation call Pass. Hooks are shared state: runs with temporary hooks must not
// overlap in time.
type HookedRootModule struct {
	Hooks *hook.Registry
	// CheckHook, unless nil, is asked before AddHook adds; its error keeps the hook out.
	CheckHook func(p *hook.Point, h hook.Handle, prepend bool) error

	level int
}

// NewHookedRootModule makes a module with hook points of these names.
func NewHookedRootModule(points ...string) (*HookedRootModule, error) {
	r := &HookedRootModule{Hooks: hook.NewRegistry()}
	for _, name := range points {
		if _, err := r.AddPoint(name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Root is the same interface to the hook points of a model, whose runs pass values through them.
func (m *Model) Root() *HookedRootModule {
	return &HookedRootModule{Hooks: m.Hooks, CheckHook: func(p *hook.Point, h hook.Handle, _ bool) error {
		if h.Dir == hook.Backward {
			return fmt.Errorf("%w: %s", ErrBackward, p.Name)
		}
		return nil
	}}
}

// AddPoint adds a hook point. Names have parts joined by dots, as in "blocks.0.hook_resid_pre".
func (r *HookedRootModule) AddPoint(name string) (*hook.Point, error) {
	if name == "" {
		return nil, errors.New("model: a hook point of a module needs a name")
	}
	return r.Hooks.AddPoint(name, "")
}

// ContextLevel counts the WithHooks calls in progress.
func (r *HookedRootModule) ContextLevel() int { return r.level }

// Pass lets t pass a hook point, and returns what its hooks made of it. It takes over the reference to t, and gives
// one to what it returns. Without hooks that is t itself. A hook that edits in place changes memory that only this
// value has: if somebody else holds t, the hooks get a copy.
func (r *HookedRootModule) Pass(name string, t *tensor.Tensor) (*tensor.Tensor, error) {
	return r.pass(name, t, hook.Forward)
}

// PassGradient is Pass for the gradient of what passed there, where a program computes gradients itself.
func (r *HookedRootModule) PassGradient(name string, t *tensor.Tensor) (*tensor.Tensor, error) {
	return r.pass(name, t, hook.Backward)
}

func (r *HookedRootModule) pass(name string, t *tensor.Tensor, dir hook.Direction) (*tensor.Tensor, error) {
	p, err := r.point(name)
	if err != nil {
		t.Release()
		return nil, err
	}
	e := passing{t}
	if err := r.Hooks.Fire(p, dir, &e, nil); err != nil {
		e.t.Release()
		return nil, err
	}
	return e.t, nil
}

func (r *HookedRootModule) point(name string) (*hook.Point, error) {
	p, ok := r.Hooks.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("%w: %q", hook.ErrNoPoint, name)
	}
	return p, nil
}

// passing is a value at a hook point of a program's own module; any other tensor may replace it.
type passing struct{ t *tensor.Tensor }

// Exclusive implements hook.Edge.
func (e *passing) Exclusive() (*tensor.Tensor, error) {
	if !e.t.Shared() {
		return e.t, nil
	}
	own, err := e.t.Clone()
	if err != nil {
		return nil, err
	}
	e.t.Release()
	e.t = own
	return own, nil
}

// Replace implements hook.Edge.
func (e *passing) Replace(t *tensor.Tensor) error {
	e.t.Release()
	e.t = t
	return nil
}

// Hooked is a hook and where it goes: to the point called Name (or its alias), or to every point of which Where
// accepts a name, each once.
type Hooked struct {
	Name  string
	Where func(name string) bool
	Dir   hook.Direction
	Fn    hook.Func
}

// AddOptions are the ways to add a hook that is to stay.
type AddOptions struct {
	Permanent bool // ResetHooks leaves it
	Prepend   bool // it is called before all others
	Level     *int // nil: none
}

// AddHook adds a hook until ResetHooks; if it cannot be added everywhere, it is added nowhere.
func (r *HookedRootModule) AddHook(h Hooked, o AddOptions) error {
	level := hook.NoLevel
	if o.Level != nil {
		level = *o.Level
	}
	_, err := r.add([]Hooked{h}, hook.Handle{Permanent: o.Permanent, Level: level}, o.Prepend)
	return err
}

// AddPermaHook adds a hook that ResetHooks leaves.
func (r *HookedRootModule) AddPermaHook(h Hooked) error {
	return r.AddHook(h, AddOptions{Permanent: true})
}

// add hangs every hook at all its points with the permanence and level of like, or none anywhere.
func (r *HookedRootModule) add(hooks []Hooked, like hook.Handle, prepend bool) (added []hook.Removed, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, a := range added {
			err = errors.Join(err, r.Hooks.Remove(a.Point, a.ID))
		}
		added = nil
	}()
	for _, h := range hooks {
		points, err := r.points(h)
		if err != nil {
			return added, err
		}
		for _, p := range points {
			handle := like
			handle.Dir, handle.Fn = h.Dir, h.Fn
			if r.CheckHook != nil {
				if err := r.CheckHook(p, handle, prepend); err != nil {
					return added, err
				}
			}
			id, err := r.Hooks.Add(p.Index, handle, prepend)
			if err != nil {
				return added, err
			}
			added = append(added, hook.Removed{Point: p.Index, ID: id})
		}
	}
	return added, nil
}

func (r *HookedRootModule) points(h Hooked) ([]*hook.Point, error) {
	if h.Fn == nil {
		return nil, errors.New("model: a hook without a function")
	}
	if h.Where == nil {
		p, err := r.point(h.Name)
		return []*hook.Point{p}, err
	}
	var points []*hook.Point
	for _, p := range r.Hooks.Points() {
		if p != nil && r.anyName(p, h.Where) {
			points = append(points, p)
		}
	}
	return points, nil
}

func (r *HookedRootModule) anyName(p *hook.Point, where func(string) bool) bool {
	if where(p.Name) {
		return true
	}
	for _, alias := range r.Hooks.Aliases() {
		if alias[1] == p.Name && where(alias[0]) {
			return true
		}
	}
	return false
}
