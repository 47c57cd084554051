// Package hook holds which functions watch which named edges: order, levels, permanence and contexts, and the
// one place where a hook is called (fire.go). It knows tensors and nothing of models.
package hook

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
)

// Direction says whether a hook sees activations or gradients.
type Direction int

// The directions of a hook; Both is for questions and removals only.
const (
	Forward Direction = iota
	Backward
	Both
)

// NoLevel is the level of a hook that was not added inside a context; every other number is a level of its own.
const NoLevel = math.MinInt

// ErrNoPoint is wrapped when a hook point does not exist.
var ErrNoPoint = errors.New("hook: no such hook point")

// ErrNoHook is wrapped when a hook is not (or no longer) registered.
var ErrNoHook = errors.New("hook: no such hook")

// Handle is one registered hook.
type Handle struct {
	ID        int64
	Dir       Direction
	Permanent bool
	Level     int  // NoLevel, or the context it was added in
	Fn        Func // nil when the function lives in another language: the run's Caller is asked
}

// Point is a named edge that hooks may watch. Queue order is firing order.
type Point struct {
	Index int
	Name  string
	Gate  string // name of the config flag without which it never fires; "" when it is always live
	ctx   map[string]any
	queue [2]atomic.Pointer[[]*Handle] // a run may read one while another takes its place
}

// hooks are a point's hooks in firing order; the list must not be changed.
func (p *Point) hooks(dir Direction) []*Handle {
	if queue := p.queue[dir].Load(); queue != nil {
		return *queue
	}
	return nil
}

// Watched reports whether there are hooks of that direction.
func (p *Point) Watched(dir Direction) bool { return len(p.hooks(dir)) > 0 }

// Registry is the hook points of one model with their hooks. It is safe for concurrent use.
type Registry struct {
	mu         sync.Mutex
	points     []*Point
	names      map[string]int // canonical and alias
	aliases    [][2]string
	dropped    []int // indices that RemovePoint left free
	lastID     int64
	watched    [2]bitset.Set // points with hooks
	generation atomic.Uint64
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{names: map[string]int{}} }

// AddPoint adds a hook point; gate is the config flag that enables it, or "". A point without a name is known by
// its index alone.
func (r *Registry) AddPoint(name, gate string) (*Point, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.names[name]; taken {
		return nil, fmt.Errorf("hook: the name %q is taken", name)
	}
	p := &Point{Index: len(r.points), Name: name, Gate: gate, ctx: map[string]any{}}
	if n := len(r.dropped); n > 0 {
		p.Index, r.dropped = r.dropped[n-1], r.dropped[:n-1]
		r.points[p.Index] = p
	} else {
		r.points = append(r.points, p)
	}
	if name != "" {
		r.names[name] = p.Index
	}
	return p, nil
}

// RemovePoint ends a point that has no name, with its hooks; a later point may get its index.
func (r *Registry) RemovePoint(index int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.point(index)
	if err != nil {
		return err
	}
	if p.Name != "" {
		return fmt.Errorf("hook: the point %q has a name, and stays for as long as its registry", p.Name)
	}
	for dir := Forward; dir < Both; dir++ {
		r.queued(p, dir, nil)
	}
	r.points[index] = nil
	r.dropped = append(r.dropped, index)
	r.generation.Add(1)
	return nil
}

// AddAlias gives a point another name.
func (r *Registry) AddAlias(alias, canonical string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.names[canonical]
	if !ok {
		return fmt.Errorf("%w: alias %q names %q", ErrNoPoint, alias, canonical)
	}
	if _, taken := r.names[alias]; taken {
		return fmt.Errorf("hook: the name %q is taken", alias)
	}
	r.names[alias] = i
	r.aliases = append(r.aliases, [2]string{alias, canonical})
	return nil
}

// Points lists all points in the order they were added (nil where one was removed); the slice must not be changed.
func (r *Registry) Points() []*Point { return r.points }

// Aliases lists [alias, canonical] pairs in the order they were added.
func (r *Registry) Aliases() [][2]string { return r.aliases }

// Lookup finds a point by canonical name or alias.
func (r *Registry) Lookup(name string) (*Point, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.names[name]
	if !ok {
		return nil, false
	}
	return r.points[i], true
}

// Point is the point with that index.
func (r *Registry) Point(index int) (*Point, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.point(index)
}

func (r *Registry) point(index int) (*Point, error) {
	if index < 0 || index >= len(r.points) || r.points[index] == nil {
		return nil, fmt.Errorf("%w: index %d of %d", ErrNoPoint, index, len(r.points))
	}
	return r.points[index], nil
}

// Generation changes whenever a hook is added or removed, so that a run notices that it must plan anew.
func (r *Registry) Generation() uint64 { return r.generation.Load() }

// Touch makes running plans stale for a reason other than hooks (a flag was flipped).
func (r *Registry) Touch() { r.generation.Add(1) }

// Add registers h at a point, at the end of its queue or, with prepend, at its start, and returns its ID: a new one, or
// where h has one, that, which no other hook of the registry may have. So whoever brings an ID can take the hook off
// again without having heard of the end of Add.
func (r *Registry) Add(point int, h Handle, prepend bool) (int64, error) {
	if h.Dir != Forward && h.Dir != Backward {
		return 0, fmt.Errorf("hook: direction %d given, expected Forward or Backward", h.Dir)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.point(point)
	if err != nil {
		return 0, err
	}
	if h.ID == 0 {
		h.ID = r.lastID + 1
	}
	r.lastID = max(r.lastID, h.ID)
	queue := slices.Clone(p.hooks(h.Dir)) // a running Fire walks the old slice
	if prepend {
		queue = slices.Insert(queue, 0, &h)
	} else {
		queue = append(queue, &h)
	}
	r.queued(p, h.Dir, queue)
	r.generation.Add(1)
	return h.ID, nil
}

// Change gives a hook another permanence and level; its place in the queue stays.
func (r *Registry) Change(point int, id int64, permanent bool, level int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.point(point)
	if err != nil {
		return err
	}
	for dir := Forward; dir < Both; dir++ {
		queue := p.hooks(dir)
		at := slices.IndexFunc(queue, func(h *Handle) bool { return h.ID == id })
		if at < 0 {
			continue
		}
		changed := *queue[at]
		changed.Permanent, changed.Level = permanent, level
		queue = slices.Clone(queue) // a running Fire walks the old slice
		queue[at] = &changed
		r.queued(p, dir, queue)
		return nil
	}
	return fmt.Errorf("%w: %d", ErrNoHook, id)
}

// Remove takes one hook away.
func (r *Registry) Remove(point int, id int64) error {
	removed, err := r.remove(point, func(h *Handle) bool { return h.ID == id })
	if err == nil && len(removed) == 0 {
		err = fmt.Errorf("%w: %d", ErrNoHook, id)
	}
	return err
}

// Removed names a hook that Clear took away.
type Removed struct {
	Point int
	ID    int64
}

// Clear removes hooks of a direction (or Both) at a point (-1: at all), of a level (NoLevel: of any), and the
// permanent ones only when includingPermanent.
func (r *Registry) Clear(point int, dir Direction, level int, includingPermanent bool) ([]Removed, error) {
	match := func(h *Handle) bool {
		return (dir == Both || h.Dir == dir) && (level == NoLevel || h.Level == level) && (includingPermanent || !h.Permanent)
	}
	if point >= 0 {
		return r.remove(point, match)
	}
	var all []Removed
	for i, p := range r.points {
		if p == nil {
			continue
		}
		removed, err := r.remove(i, match)
		if err != nil {
			return all, err
		}
		all = append(all, removed...)
	}
	return all, nil
}

func (r *Registry) remove(point int, match func(*Handle) bool) ([]Removed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.point(point)
	if err != nil {
		return nil, err
	}
	var removed []Removed
	for dir := Forward; dir < Both; dir++ {
		queue := p.hooks(dir)
		kept := make([]*Handle, 0, len(queue))
		for _, h := range queue {
			if match(h) {
				removed = append(removed, Removed{point, h.ID})
			} else {
				kept = append(kept, h)
			}
		}
		if len(kept) != len(queue) {
			r.queued(p, dir, kept)
		}
	}
	if len(removed) > 0 {
		r.generation.Add(1)
	}
	return removed, nil
}

// List is a point's hooks in firing order.
func (r *Registry) List(point int, dir Direction) ([]Handle, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.point(point)
	if err != nil {
		return nil, err
	}
	var all []Handle
	for d := Forward; d < Both; d++ {
		if dir == Both || d == dir {
			for _, h := range p.hooks(d) {
				all = append(all, *h)
			}
		}
	}
	return all, nil
}

// Watched is the points at which there are hooks of that direction, and the generation of which that is true. The set
// must not be changed.
func (r *Registry) Watched(dir Direction) (generation uint64, points bitset.Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation.Load(), r.watched[dir]
}

// queued gives a point another queue. The lock is held.
func (r *Registry) queued(p *Point, dir Direction, queue []*Handle) {
	p.queue[dir].Store(&queue)
	if r.watched[dir].Has(p.Index) == (len(queue) > 0) {
		return
	}
	changed := slices.Clone(r.watched[dir]) // runs hold the old set
	if len(queue) > 0 {
		changed.Add(p.Index)
	} else {
		changed.Remove(p.Index)
	}
	r.watched[dir] = changed
}

// Context is a point's dictionary, in which its hooks may leave things for each other.
func (p *Point) Context() map[string]any { return p.ctx }

// ClearContexts empties the dictionaries of all points.
func (r *Registry) ClearContexts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.points {
		if p != nil {
			clear(p.ctx)
		}
	}
}
