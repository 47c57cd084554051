// Runs of a HookedRootModule: with hooks that are there for the length of a call, with a cache; and resets.
package hooked

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	gorgonia "gorgonia.org/tensor"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Forward is a computation of one output that passes its values through hook points.
type Forward func() (*gorgonia.Dense, error)

// RunOptions say what is left of a run's hooks.
type RunOptions struct {
	Keep          bool // the hooks stay, until ResetHooks
	ClearContexts bool // the points' dictionaries are emptied when hooks are taken off
}

// WithHooks runs body with hooks at a context level of its own. At its end every hook of that level goes that is not
// permanent, also when body fails or panics.
func (r *HookedRootModule) WithHooks(hooks []Hook, o RunOptions, body func() error) (err error) {
	r.level++
	defer func() {
		if !o.Keep {
			err = errors.Join(err, r.reset(o.ClearContexts, hook.Both, false, r.level))
		}
		r.level--
	}()
	if _, err := r.add(hooks, hook.Handle{Level: r.level}, false); err != nil {
		return err
	}
	return body()
}

// RunWithHooks runs forward with hooks.
func (r *HookedRootModule) RunWithHooks(forward Forward, hooks []Hook, o RunOptions) (out *gorgonia.Dense, err error) {
	err = r.WithHooks(hooks, o, func() (err error) {
		out, err = forward()
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ResetHooks empties the points' dictionaries and takes off every hook that is not permanent.
func (r *HookedRootModule) ResetHooks(includingPermanent bool) error {
	return r.reset(true, hook.Both, includingPermanent, hook.NoLevel)
}

// RemoveAllHookFns takes off the hooks of a direction and a level (hook.NoLevel: any).
func (r *HookedRootModule) RemoveAllHookFns(dir hook.Direction, includingPermanent bool, level int) error {
	return r.reset(false, dir, includingPermanent, level)
}

// ClearContexts empties the dictionaries in which hooks leave things for each other.
func (r *HookedRootModule) ClearContexts() { r.Hooks.ClearContexts() }

func (r *HookedRootModule) reset(contexts bool, dir hook.Direction, includingPermanent bool, level int) error {
	if contexts {
		r.ClearContexts()
	}
	_, err := r.Hooks.Clear(-1, dir, level, includingPermanent)
	return err
}

// Listed is a hook point that has hooks, in firing order.
type Listed struct {
	Name  string
	Hooks []hook.Handle
}

// ListHooks lists the hooks of a direction by their points; where nil means every point.
func (r *HookedRootModule) ListHooks(where func(name string) bool, dir hook.Direction, includingPermanent bool) ([]Listed, error) {
	var found []Listed
	for _, p := range r.Hooks.Points() {
		if p == nil || (where != nil && !r.anyName(p, where)) {
			continue
		}
		all, err := r.Hooks.List(p.Index, dir)
		if err != nil {
			return nil, err
		}
		var handles []hook.Handle
		for _, h := range all {
			if includingPermanent || !h.Permanent {
				handles = append(handles, h)
			}
		}
		if len(handles) > 0 {
			found = append(found, Listed{p.Name, handles})
		}
	}
	return found, nil
}

// Cache holds what passed hook points, by name in the order it came. What it holds never changes afterwards. 16-bit
// floats are kept as float32.
type Cache struct {
	Names []string
	by    map[string]*gorgonia.Dense
}

// Get is the value of that name, or nil.
func (c *Cache) Get(name string) *gorgonia.Dense { return c.by[name] }

func (c *Cache) put(name string, d *gorgonia.Dense) {
	if _, there := c.by[name]; !there {
		c.Names = append(c.Names, name)
	}
	c.by[name] = d
}

// CacheOptions say what to keep.
type CacheOptions struct {
	Names          func(name string) bool // nil: everything
	Gradients      bool                   // what PassGradient passes too, as name + "_grad"
	RemoveBatchDim bool                   // drop a first axis of length 1
	Positions      []int                  // along the axis of positions; nil: all
	RunOptions
}

// RunWithCache runs forward and keeps what passes.
func (r *HookedRootModule) RunWithCache(forward Forward, o CacheOptions) (*gorgonia.Dense, *Cache, error) {
	cache, hooks := r.CachingHooks(o)
	out, err := r.RunWithHooks(forward, hooks, o.RunOptions)
	if err != nil {
		return nil, nil, err
	}
	return out, cache, nil
}

// CachingHooks makes hooks that fill a cache, and adds none.
func (r *HookedRootModule) CachingHooks(o CacheOptions) (*Cache, []Hook) {
	cache := &Cache{by: map[string]*gorgonia.Dense{}}
	where := o.Names
	if where == nil {
		where = func(string) bool { return true }
	}
	keep := func(suffix string) hook.Func {
		return func(t *tensor.Tensor, p *hook.Point) (*tensor.Tensor, error) {
			part, err := o.cut(t, p.Name)
			if err != nil {
				return nil, err
			}
			defer part.Release()
			kept, _, err := part.DenseOrCopy()
			if err == nil {
				cache.put(p.Name+suffix, kept)
			}
			return nil, err
		}
	}
	hooks := []Hook{{Where: where, kept: keep("")}}
	if o.Gradients {
		hooks = append(hooks, Hook{Where: where, Dir: hook.Backward, kept: keep("_grad")})
	}
	return cache, hooks
}

// cut is what to keep of t: a reference to it, or a copy of the positions that are asked for.
func (o *CacheOptions) cut(t *tensor.Tensor, name string) (*tensor.Tensor, error) {
	shape := t.Shape()
	if o.RemoveBatchDim && len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	axis := len(shape) - positionsFromEnd(name)
	if o.Positions == nil || axis < 0 {
		if len(shape) == len(t.Shape()) {
			return t.Retain(), nil
		}
		return t.Reshape(shape...)
	}
	return take(t, shape, axis, o.Positions)
}

// positionsFromEnd says at which axis from the end positions lie: the third where heads come after them.
func positionsFromEnd(name string) int {
	for _, byHead := range []string{"hook_q", "hook_k", "hook_v", "hook_z", "hook_result"} {
		if strings.HasSuffix(name, byHead) {
			return 3
		}
	}
	return 2
}

// take copies the places of one axis of a contiguous tensor, seen as shape; negative places count from the end.
func take(t *tensor.Tensor, shape []int, axis int, places []int) (*tensor.Tensor, error) {
	if !t.Contiguous() {
		return nil, fmt.Errorf("%w: positions of a tensor with strides %v", tensor.ErrShape, t.Strides())
	}
	result := append([]int(nil), shape...)
	result[axis] = len(places)
	out, err := tensor.New(t.DType(), result...)
	if err != nil {
		return nil, err
	}
	inner := t.DType().Size()
	for _, n := range shape[axis+1:] {
		inner *= n
	}
	n := shape[axis]
	from, to := contents(t), contents(out)
	for len(to) > 0 {
		for _, place := range places {
			if place < -n || place >= n {
				out.Release()
				return nil, fmt.Errorf("%w: position %d of %d", tensor.ErrShape, place, n)
			}
			copy(to[:inner], from[(place+n)%n*inner:])
			to = to[inner:]
		}
		from = from[n*inner:]
	}
	return out, nil
}

// contents is the bytes of a contiguous tensor.
func contents(t *tensor.Tensor) []byte {
	return unsafe.Slice((*byte)(t.Pointer()), t.Len()*t.DType().Size())
}
