// Hooks: adding, removing and listing hooks whose functions live in Python.
//
// h names a model, whose points are those of its graph; 0 names the registry of the points that users put into
// modules of their own. Those are called by Python, in the order that the registry says; it never calls them.
package pybind

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
)

const ownModules = 0

var own = hook.NewRegistry()

func registry(h int64) (*hook.Registry, error) {
	if h == ownModules {
		return own, nil
	}
	m, err := models.get(h)
	if err != nil {
		return nil, err
	}
	return m.Hooks, nil
}

// level reads a level of Python's, where the smallest int64 stands for none.
func level(l int64) int {
	if l == math.MinInt64 {
		return hook.NoLevel
	}
	return int(l)
}

// OwnPointAdd makes a point for a hook point in a user's own module, and returns its index.
func OwnPointAdd() (index int64, err error) {
	defer guard(&err)
	p, err := own.AddPoint("", "")
	if err != nil {
		return 0, err
	}
	return int64(p.Index), nil
}

// OwnPointDrop ends such a point.
func OwnPointDrop(index int64) (out int64, err error) {
	defer guard(&err)
	return 0, own.RemovePoint(int(index))
}

// OwnPointsClear takes hooks off such points, their indices in a text with spaces between: of a direction (2 both) and a
// level (none: any). It gives the ids of those that are gone in the same form: no JSON, as it is called for every run
// with hooks.
func OwnPointsClear(points string, dir, lvl int64, includingPermanent bool) (out string, err error) {
	defer guard(&err)
	var gone []byte
	for _, field := range strings.Fields(points) {
		index, err := strconv.Atoi(field)
		if err != nil || index < 0 {
			return "", fmt.Errorf("%w: %q is no index of a point", errValue, field)
		}
		removed, err := own.Clear(index, hook.Direction(dir), level(lvl), includingPermanent)
		if err != nil {
			return "", err
		}
		for _, r := range removed {
			gone = append(strconv.AppendInt(gone, r.ID, 10), ' ')
		}
	}
	return string(gone), nil
}

// HookAdd registers a hook (dir 0 forward, 1 backward) and returns its id.
func HookAdd(h, point, dir, lvl int64, permanent, prepend bool) (id int64, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return 0, err
	}
	if hook.Direction(dir) == hook.Backward && h != ownModules {
		return 0, errBackward
	}
	return r.Add(int(point), hook.Handle{Dir: hook.Direction(dir), Level: level(lvl), Permanent: permanent}, prepend)
}

// HookChange gives a hook another permanence and level.
func HookChange(h, point, id, lvl int64, permanent bool) (out int64, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return 0, err
	}
	return 0, r.Change(int(point), id, permanent, level(lvl))
}

// HookRemove takes one hook away.
func HookRemove(h, point, id int64) (out int64, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return 0, err
	}
	return 0, r.Remove(int(point), id)
}

// HookClear takes hooks away: of a point (-1 all), a direction (2 both), a level (none: any). It gives JSON
// [[point, id], ...] of those that are gone.
func HookClear(h, point, dir, lvl int64, includingPermanent bool) (out string, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return "", err
	}
	if h == ownModules {
		return "", fmt.Errorf("%w: hooks on users' own modules are cleared by OwnPointsClear", errValue)
	}
	removed, err := r.Clear(int(point), hook.Direction(dir), level(lvl), includingPermanent)
	if err != nil {
		return "", err
	}
	pairs := make([][2]int64, len(removed))
	for i, gone := range removed {
		pairs[i] = [2]int64{int64(gone.Point), gone.ID}
	}
	return encode(pairs)
}

// HookList gives a point's hooks in firing order as JSON [{"id", "permanent", "level"}, ...].
func HookList(h, point, dir int64) (out string, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return "", err
	}
	handles, err := r.List(int(point), hook.Direction(dir))
	if err != nil {
		return "", err
	}
	type row struct {
		ID        int64 `json:"id"`
		Permanent bool  `json:"permanent"`
		Level     int   `json:"level"`
	}
	rows := make([]row, len(handles))
	for i, x := range handles {
		rows[i] = row{x.ID, x.Permanent, x.Level}
	}
	return encode(rows)
}
