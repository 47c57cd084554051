// Package hooked is Go's HookedRootModule: named hook points for a program's own computation, and the same interface to
// the hook points of a model. Values are those of gorgonia.org/tensor; nothing here has to be released.
package hooked

import (
	"errors"
	"fmt"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
)

// HookedRootModule has hook points that a program passes its values through. Embed it in a struct, name the points
// with AddPoint, and let the computation call Pass. Hooks are shared state: runs with temporary hooks must not
// overlap in time.
type HookedRootModule struct {
	Hooks *hook.Registry
	// CheckHook, unless nil, is asked before AddHook adds; its error keeps the hook out.
	CheckHook func(p *hook.Point, h hook.Handle, prepend bool) error
	// Convert makes floats that hooks return those of the value that they replace: where all of them have one type.
	Convert bool

	level int
}

// Func is a hook. What it writes into d counts, and a Dense that it returns takes the value's place; nil leaves it. It
// may keep d: what others do to the value afterwards is not seen in it.
//
// d lies in the engine's memory where gorgonia has a Dense of that form (tensor.Tensor.Dense). Else, for 16-bit floats,
// it is a copy, in float32, and is written back when the hook returns.
type Func func(d *gorgonia.Dense, p *hook.Point) (*gorgonia.Dense, error)

// Hook is a hook and where it goes: to the point called Name (or its alias), or to every point of which Where
// accepts a name, each once.
type Hook struct {
	Name  string
	Where func(name string) bool
	Dir   hook.Direction
	Fn    Func

	kept hook.Func // in place of Fn: a hook of this package, which needs no Dense
}

// AddOptions are the ways to add a hook that is to stay.
type AddOptions struct {
	Permanent bool // ResetHooks leaves it
	Prepend   bool // it is called before all others
	Level     *int // nil: none
}

// New makes a module with hook points of these names.
func New(points ...string) (*HookedRootModule, error) {
	r := &HookedRootModule{Hooks: hook.NewRegistry()}
	for _, name := range points {
		if _, err := r.AddPoint(name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// AddPoint adds a hook point. Names have parts joined by dots, as in "blocks.0.hook_resid_pre".
func (r *HookedRootModule) AddPoint(name string) (*hook.Point, error) {
	if name == "" {
		return nil, errors.New("hooked: a hook point of a module needs a name")
	}
	return r.Hooks.AddPoint(name, "")
}

// ContextLevel counts the WithHooks calls in progress.
func (r *HookedRootModule) ContextLevel() int { return r.level }

// AddHook adds a hook until ResetHooks; if it cannot be added everywhere, it is added nowhere.
func (r *HookedRootModule) AddHook(h Hook, o AddOptions) error {
	level := hook.NoLevel
	if o.Level != nil {
		level = *o.Level
	}
	_, err := r.add([]Hook{h}, hook.Handle{Permanent: o.Permanent, Level: level}, o.Prepend)
	return err
}

// AddPermaHook adds a hook that ResetHooks leaves.
func (r *HookedRootModule) AddPermaHook(h Hook) error {
	return r.AddHook(h, AddOptions{Permanent: true})
}

// add hangs every hook at all its points with the permanence and level of like, or none anywhere.
func (r *HookedRootModule) add(hooks []Hook, like hook.Handle, prepend bool) (added []hook.Removed, err error) {
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
			handle.Dir, handle.Fn = h.Dir, h.kept
			if h.kept == nil {
				handle.Fn = r.onTensors(h.Fn)
			}
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

func (r *HookedRootModule) points(h Hook) ([]*hook.Point, error) {
	if h.Fn == nil && h.kept == nil {
		return nil, errors.New("hooked: a hook without a function")
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

func (r *HookedRootModule) point(name string) (*hook.Point, error) {
	p, ok := r.Hooks.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("%w: %q", hook.ErrNoPoint, name)
	}
	return p, nil
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
