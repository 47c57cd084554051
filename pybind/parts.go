// Parts: components and hook points that Python computes in the engine's place, while a run waits for them.
package pybind

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// partHook is the hook id with which a callback is asked to compute a part: what of, PartArguments says.
const partHook = -1

// waiting is a call of a part that waits for Python. Its handles end with it.
type waiting struct {
	call    *graph.Call
	handles []tensor.Handle
}

// PartSet says whether Python computes the component or hook point of that name.
func PartSet(h int64, name string, replaced bool) (out int64, err error) {
	defer guard(&err)
	m, err := models.get(h)
	if err != nil {
		return 0, err
	}
	return 0, m.SetReplaced(name, replaced)
}

// PartArguments is for the callback of hook id -1: JSON {"name", "in": [[value's name, handle], ...], "kept"}, the
// first value being what goes in. The handles end when the callback returns; kept counts the edges kept so far.
func PartArguments(run int64) (out string, err error) {
	defer guard(&err)
	w, err := waitingOf(run)
	if err != nil {
		return "", err
	}
	told := struct {
		Name string   `json:"name"`
		In   [][2]any `json:"in"`
		Kept int      `json:"kept"`
	}{w.call.Part.Name, [][2]any{}, w.call.Kept}
	for i, t := range w.call.In {
		if t == nil {
			continue
		}
		handle, err := t.Export()
		if err != nil {
			return "", err
		}
		w.handles = append(w.handles, handle)
		told.In = append(told.In, [2]any{w.call.Graph.NameOf(w.call.Part.In[i]), int64(handle)})
	}
	return encode(told)
}

// PartResult gives output i of the part that was asked for; handle 0: it is what went in, the same memory.
func PartResult(run, i, handle int64) (out int64, err error) {
	defer guard(&err)
	w, err := waitingOf(run)
	if err != nil {
		return 0, err
	}
	if i < 0 || int(i) >= len(w.call.Out) {
		return 0, fmt.Errorf("%w: output %d of %s, which has %d", errValue, i, w.call.Part.Name, len(w.call.Out))
	}
	if handle == 0 {
		w.call.Same = i == 0
		return 0, nil
	}
	t, err := tensor.Import(tensor.Handle(handle))
	if err != nil {
		return 0, err
	}
	w.call.Out[i].Release()
	w.call.Out[i] = t
	return 0, nil
}

func waitingOf(run int64) (*waiting, error) {
	r, err := runs.get(run)
	if err != nil {
		return nil, err
	}
	if r.part == nil {
		return nil, fmt.Errorf("%w: run %d waits for no part", errValue, run)
	}
	return r.part, nil
}

// part has Python compute a part.
func (a *asker) part(c *graph.Call) (err error) {
	w := &waiting{call: c}
	a.run.part = w
	defer func() {
		a.run.part = nil
		for _, h := range w.handles {
			if closing := h.Close(); err == nil {
				err = closing
			}
		}
	}()
	if status := a.cb(a.id, partHook, 0); status != callbackReplaced {
		return errRaised
	}
	return nil
}

// within lets a run of a component be a part of the run that waits for it: edges are kept there.
func (a *asker) within(outer int64, w *model.Watch) error {
	if outer == 0 {
		return nil
	}
	r, err := runs.get(outer)
	if err != nil {
		return err
	}
	a.run.keep, a.run.kept = r.keep, r.kept
	w.Keep, w.Kept = r.keep, r.kept
	if r.part != nil {
		w.Outer = r.part.call
	}
	return nil
}
