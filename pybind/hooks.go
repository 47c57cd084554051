// Hooks: adding, removing and listing hooks whose functions live in Python.
package pybind

import "github.com/transformer-lens-go/transformer-lens-go/golens/hook"

// HookAdd registers a hook (dir 0 forward, 1 backward; level -1 for none) and returns its id.
func HookAdd(h, point, dir, level int64, permanent, prepend bool) (id int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	if hook.Direction(dir) == hook.Backward {
		return 0, errBackward
	}
	return m.Hooks.Add(int(point), hook.Handle{Dir: hook.Direction(dir), Level: int(level), Permanent: permanent}, prepend)
}

// HookRemove takes one hook away.
func HookRemove(h, point, id int64) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	return 0, m.Hooks.Remove(int(point), id)
}

// HookClear takes hooks away: of a point (-1 all), a direction (2 both), a level (-1 any). It gives JSON
// [[point, id], ...] of those that are gone.
func HookClear(h, point, dir, level int64, includingPermanent bool) (out string, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return "", err
	}
	removed, err := m.Hooks.Clear(int(point), hook.Direction(dir), int(level), includingPermanent)
	if err != nil {
		return "", err
	}
	pairs := make([][2]int64, len(removed))
	for i, r := range removed {
		pairs[i] = [2]int64{int64(r.Point), r.ID}
	}
	return encode(pairs)
}

// HookList gives a point's hooks in firing order as JSON [{"id", "permanent", "level"}, ...].
func HookList(h, point, dir int64) (out string, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return "", err
	}
	handles, err := m.Hooks.List(int(point), hook.Direction(dir))
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
