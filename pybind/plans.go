// Plans: what a question would do, told without asking it.
package pybind

import (
	"fmt"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
)

// plannedStep is a step of PlanTell. Types are "float32 [1, 5, 64]", and "" for what is absent.
type plannedStep struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Op         string   `json:"op"`
	Inside     []string `json:"inside"`
	In         []string `json:"in"`
	Out        []string `json:"out"`
	Called     bool     `json:"called"`
	Kept       bool     `json:"kept"`
	Operations int      `json:"operations"`
	Bytes      int      `json:"bytes"`
	Scratch    int      `json:"scratch"`
}

// PlanTell tells what Run would do with that question (JSON, as Run takes it; not of a component): JSON {"steps",
// "skipped", "operations", "allocated", "peak", "kept"}. A cache does not grow by it.
func PlanTell(h int64, text string) (out string, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return "", err
	}
	m, q, err := put(h, text)
	if err != nil {
		return "", err
	}
	a := &asker{run: &active{}}
	defer a.release()
	watch := model.Watch{Silent: !q.Call, Plain: q.Plain}
	if watch.Keep, err = keeper(q.Keep, len(m.Hooks.Points())); err != nil {
		return "", err
	}
	in, err := a.input(q, watch)
	if err != nil {
		return "", err
	}
	defer in.release()
	outline, err := m.Plan(&in.Input)
	if err != nil {
		return "", err
	}
	return encode(planned(outline))
}

func planned(o *graph.Outline) any {
	told := struct {
		Steps      []plannedStep `json:"steps"`
		Skipped    []string      `json:"skipped"`
		Operations int           `json:"operations"`
		Allocated  int           `json:"allocated"`
		Peak       int           `json:"peak"`
		Kept       int           `json:"kept"`
	}{[]plannedStep{}, append([]string{}, o.Skipped...), o.Operations, o.Allocated, o.Peak, o.Kept}
	for _, s := range o.Steps {
		told.Steps = append(told.Steps, plannedStep{
			s.Name, string(s.Kind), s.Op, append([]string{}, s.Inside...), typesOf(s.In), typesOf(s.Out), s.Called, s.Kept, s.Operations,
			s.Bytes, s.Scratch,
		})
	}
	return told
}

func typesOf(types []op.Type) []string {
	told := make([]string, len(types))
	for i, t := range types {
		if !t.Absent() {
			told[i] = fmt.Sprintf("%s %s", t.DType, strings.ReplaceAll(t.String(), " ", ", "))
		}
	}
	return told
}
