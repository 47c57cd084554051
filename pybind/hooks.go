// Hooks: adding, removing and listing hooks whose functions live in Python.
//
// h names a model, whose points are those of its graph; 0 names the registry of the points that users put into
// modules of their own. Those are called by Python, in the order that the registry says; it never calls them.
package pybind

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
)

const ownModules = 0

var own = hook.NewRegistry()

func init() { _, _ = own.AddPoint("", "") } // index 0 stands for no point

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

// HookAdd registers a hook (dir 0 forward, 1 backward) under an id that Python chose and gives no other.
func HookAdd(h, point, id, dir, lvl int64, permanent, prepend bool) (out int64, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return 0, err
	}
	if hook.Direction(dir) == hook.Backward && h != ownModules {
		return 0, errBackward
	}
	return r.Add(int(point), hook.Handle{ID: id, Dir: hook.Direction(dir), Level: level(lvl), Permanent: permanent}, prepend)
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

// HookRemove takes hooks away, those of them that are there: "POINT ID POINT ID …", no JSON, as it is called for every
// run with hooks.
func HookRemove(h int64, hooks string) (out int64, err error) {
	defer guard(&err)
	r, err := registry(h)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(hooks)
	for i := 0; i+1 < len(fields); i += 2 {
		point, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, fmt.Errorf("%w: %q is no index of a point", errValue, fields[i])
		}
		id, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %q is no id of a hook", errValue, fields[i+1])
		}
		if err := r.Remove(point, id); err != nil && !errors.Is(err, hook.ErrNoHook) {
			return 0, err
		}
	}
	return 0, nil
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
