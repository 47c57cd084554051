// Runs: asking a model a question, with hooks called in Python on the way.
package pybind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// What a callback returns. callbackRaised: an exception waits on the Python side, and the run ends.
const (
	callbackRaised   = 1
	callbackReplaced = 2
)

// pollHook is the hook id with which a callback only looks whether a signal has come.
const pollHook = 0

// errRaised ends a run whose callback raised; Python raises what it has stashed.
var errRaised = errors.New("a hook raised an exception")

// question is the JSON that Run takes. Numbers are tensor handles unless said.
type question struct {
	Tokens    int64           `json:"tokens"`
	Mask      int64           `json:"attention_mask"`
	Positions int64           `json:"positions"`
	Wanted    int64           `json:"wanted"` // positions whose logits are wanted
	Embeds    int64           `json:"embeds"`
	Resid     int64           `json:"resid"`
	Start     *int            `json:"start"` // layer
	Stop      *int            `json:"stop"`  // layer
	Past      *past           `json:"past"`  // a KV cache
	Component *componentCall  `json:"component"`
	Output    string          `json:"output"`
	Keep      json.RawMessage `json:"keep"`   // "all" or hook point indices
	Call      bool            `json:"call"`   // whether hooks are called
	Plain     bool            `json:"plain"`  // without fusion and pruning
	Within    int64           `json:"within"` // the run that waits for a part, which this one computes some of
}

// componentCall is a component that is run by itself, with its arguments by name.
type componentCall struct {
	Name string           `json:"name"`
	Args map[string]int64 `json:"args"`
}

// active is a run in progress: its callback may leave a replacement here, and runs within it keep edges where it does.
type active struct {
	replacement *tensor.Tensor
	part        *waiting
	keep        bitset.Set
	kept        *[]graph.Kept
}

var runs = newTable[*active]("run")

// telling is what came of a run, as Python is told of it.
type telling struct {
	Output int64   `json:"output"` // a handle, or 0
	Extra  []int64 `json:"extra"`
	Kept   []int64 `json:"kept"` // point, handle, point, handle, ...
	Seen   int     `json:"seen"` // the edges kept so far, also by the run that this one was within

	handles []tensor.Handle
}

// tell hands out a result's tensors and lets go of it: the text is a handle that all of them end with, and a telling as
// JSON behind it.
func tell(r *model.Result) (out string, err error) {
	defer r.Release()
	t := telling{Seen: r.Seen, Extra: make([]int64, 0, len(r.Extra)), Kept: make([]int64, 0, 2*len(r.Kept))}
	defer func() {
		if err != nil {
			for _, h := range t.handles {
				_ = h.Close() // it was given out here, and nobody else knows it
			}
		}
	}()
	if r.Output != nil {
		if t.Output, err = t.export(r.Output); err != nil {
			return "", err
		}
	}
	for _, x := range r.Extra {
		h, err := t.export(x)
		if err != nil {
			return "", err
		}
		t.Extra = append(t.Extra, h)
	}
	for _, k := range r.Kept {
		h, err := t.export(k.T)
		if err != nil {
			return "", err
		}
		t.Kept = append(t.Kept, int64(k.Point), h)
	}
	told, err := encode(t)
	if err != nil {
		return "", err
	}
	whole, err := tensor.Group(t.handles)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", whole, told), nil
}

func (t *telling) export(x *tensor.Tensor) (int64, error) {
	h, err := x.Export()
	if err == nil {
		t.handles = append(t.handles, h)
	}
	return int64(h), err
}

// Run asks a model a question (JSON) and tells what came of it: a handle that ends all of it when it is closed (views of
// the tensors stay valid), and behind it JSON {"output", "extra", "kept": [point, handle, ...], "seen"}. cb is called with
// the run, a hook's id and a tensor's handle, on the thread of this call; it returns 0, 1 (raised) or 2 (replaced, see
// RunReplace). With hook id 0 it is only asked whether to go on. The text is empty when the callback raised.
func Run(h int64, text string, cb func(run, hook, tensor int64) int64) (out string, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return "", err
	}
	m, q, err := put(h, text)
	if err != nil {
		return "", err
	}
	a := &asker{cb: cb, run: &active{}}
	defer a.release()
	a.id = runs.add(a.run)
	defer func() { _, _ = runs.take(a.id) }()
	r, err := a.ask(m, q)
	switch {
	case errors.Is(err, errRaised):
		return "", nil
	case err != nil:
		return "", err
	}
	r.Seen = len(*a.run.kept)
	r.Kept, a.kept = a.kept, nil
	return tell(r)
}

// put reads a question and finds the model that it is put to.
func put(h int64, text string) (*model.Model, *question, error) {
	m, err := models.get(h)
	if err != nil {
		return nil, nil, err
	}
	q := &question{}
	return m, q, decode(text, q)
}

// RunReplace is called by a callback before it returns 2: the edge goes on with this tensor.
func RunReplace(run, handle int64) (out int64, err error) {
	defer guard(&err)
	r, err := runs.get(run)
	if err != nil {
		return 0, err
	}
	t, err := tensor.Import(tensor.Handle(handle))
	if err != nil {
		return 0, err
	}
	r.replacement.Release()
	r.replacement = t
	return 0, nil
}

// asker puts one question: it holds what was imported for it.
type asker struct {
	cb       func(run, hook, tensor int64) int64
	run      *active
	id       int64
	imported []*tensor.Tensor
	kept     []graph.Kept // what this run and those within it keep
	err      error
}

func (a *asker) release() {
	for _, t := range a.imported {
		t.Release()
	}
	a.run.replacement.Release()
	for _, k := range a.kept {
		k.T.Release()
	}
}

// tensor imports a handle; 0 gives nil.
func (a *asker) tensor(h int64) *tensor.Tensor {
	if h == 0 || a.err != nil {
		return nil
	}
	t, err := tensor.Import(tensor.Handle(h))
	if err != nil {
		a.err = err
		return nil
	}
	a.imported = append(a.imported, t)
	return t
}

func (a *asker) ask(m *model.Model, q *question) (*model.Result, error) {
	watch := model.Watch{Silent: !q.Call, Plain: q.Plain, Foreign: a.foreign, Poll: a.poll, Call: a.part, Kept: &a.kept}
	var err error
	if watch.Keep, err = keeper(q.Keep, len(m.Hooks.Points())); err != nil {
		return nil, err
	}
	a.kept = make([]graph.Kept, 0, watch.Keep.Len())
	a.run.keep, a.run.kept = watch.Keep, watch.Kept
	if err := a.within(q.Within, &watch); err != nil {
		return nil, err
	}
	if q.Component != nil {
		return a.call(m, q.Component, watch)
	}
	in, err := a.input(q, watch)
	if err != nil {
		return nil, err
	}
	defer in.release()
	return m.Forward(context.Background(), &in.Input)
}

// input is what a question gives a run of the model.
type input struct{ model.Input }

func (in *input) release() {
	if in.Past != nil {
		in.Past.Mask.Release() // Python keeps the masks
	}
}

func (a *asker) input(q *question, watch model.Watch) (*input, error) {
	cache, err := q.Past.cache()
	if err != nil {
		return nil, err
	}
	in := &input{model.Input{
		Past:   cache,
		Tokens: a.tensor(q.Tokens), Embeds: a.tensor(q.Embeds), Resid: a.tensor(q.Resid), Mask: a.tensor(q.Mask),
		Positions: a.tensor(q.Positions), Wanted: a.tensor(q.Wanted), Start: model.NoLayer, Stop: model.NoLayer,
		Output: model.Output(q.Output), Watch: watch,
	}}
	if q.Start != nil {
		in.Start = *q.Start
	}
	if q.Stop != nil {
		in.Stop = *q.Stop
	}
	return in, a.err
}

func (a *asker) call(m *model.Model, p *componentCall, watch model.Watch) (*model.Result, error) {
	args := &model.Arguments{Watch: watch}
	for name, h := range p.Args {
		t := a.tensor(h)
		switch name {
		case "attention_mask":
			args.Mask = t
		case "position_ids":
			args.Positions = t
		case "cos":
			args.Cos = t
		case "sin":
			args.Sin = t
		default:
			args.X = t
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	if args.X == nil {
		return nil, fmt.Errorf("%w: %s was called without an input", errValue, p.Name)
	}
	return m.Call(context.Background(), p.Name, args)
}

// keeper reads the question's keep, of a model with so many hook points.
func keeper(raw json.RawMessage, all int) (bitset.Set, error) {
	if len(raw) == 0 || string(raw) == "[]" || string(raw) == "null" {
		return nil, nil
	}
	if string(raw) == `"all"` {
		return bitset.Below(all), nil
	}
	var points []int
	if err := json.Unmarshal(raw, &points); err != nil {
		return nil, fmt.Errorf("%w: keep is %s, expected \"all\" or a list of hook point indices", errValue, raw)
	}
	var keep bitset.Set
	for _, p := range points {
		if p < 0 || p >= all {
			return nil, fmt.Errorf("%w: hook point %d is to be kept, there are %d", errValue, p, all)
		}
		keep.Add(p)
	}
	return keep, nil
}

// foreign calls a hook in Python.
func (a *asker) foreign(h *hook.Handle, _ *hook.Point, t *tensor.Tensor) (*tensor.Tensor, error) {
	handle, err := t.Export()
	if err != nil {
		return nil, err
	}
	status := a.cb(a.id, h.ID, int64(handle))
	if err := handle.Close(); err != nil {
		return nil, err
	}
	switch status {
	case 0:
		return nil, nil
	case callbackReplaced:
		out := a.run.replacement
		a.run.replacement = nil
		if out == nil {
			return nil, fmt.Errorf("the callback of hook %d said that it replaced the value, and did not", h.ID)
		}
		return out, nil
	}
	return nil, errRaised
}

// poll asks Python whether a signal has come.
func (a *asker) poll() error {
	if a.cb(a.id, pollHook, 0) == callbackRaised {
		return errRaised
	}
	return nil
}

// Loss is the next-token loss of logits [batch, pos, vocab] and ids [batch, pos]; mask 0 for none.
func Loss(logits, tokens, mask int64, perToken bool) (out int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	a := &asker{run: &active{}}
	defer a.release()
	l, t, m := a.tensor(logits), a.tensor(tokens), a.tensor(mask)
	if a.err != nil {
		return 0, a.err
	}
	if l == nil || t == nil {
		return 0, fmt.Errorf("%w: a loss needs logits and tokens", errValue)
	}
	loss, err := model.Loss(l, t, m, perToken)
	if err != nil {
		return 0, err
	}
	defer loss.Release()
	return export(loss)
}
