// Ask: putting a run together, from who watches to the plan that answers.
package model

import (
	"context"
	"fmt"
	"os"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
)

// EnvPlan set to "plain" runs every node one by one, without fusion and pruning: the same bits, slower.
const EnvPlan = "TRANSFORMER_LENS_GO_PLAN"

// Watch is who looks on.
type Watch struct {
	Keep    bitset.Set // points whose values are kept
	Silent  bool       // no hooks are called
	Plain   bool       // as with EnvPlan set to "plain"
	Foreign hook.Caller
	Poll    func() error
	Call    func(c *graph.Call) error // computes what SetReplaced named
	// Of a component that runs for who stands in the place of a part: that call, and where its run keeps edges.
	Outer *graph.Call
	Kept  *[]graph.Kept
}

// asking is a run being put together: a question, and what it is run with.
type asking struct {
	*session
	batch, pos int // of what is given
	q          graph.Question
	env        graph.Env
}

// ask begins a question. within is the component that runs by itself, "" for a run of the model.
func (m *Model) ask(s *session, w *Watch, within string) (*asking, error) {
	if err := m.checkReplaced(s.built); err != nil {
		return nil, err
	}
	a := &asking{session: s}
	a.q.Keep, a.q.DType = w.Keep, s.dtype()
	a.q.Plain = w.Plain || os.Getenv(EnvPlan) == "plain"
	a.env.Backend, a.env.Weights = m.backend, s.weights
	a.env.Foreign, a.env.Poll, a.env.Kept = w.Foreign, w.Poll, w.Kept
	if !w.Silent {
		a.env.Hooks = m.Hooks
		a.env.Generation, a.q.Called = m.Hooks.Watched(hook.Forward)
	}
	a.env.Parts = func(g *graph.Graph) bitset.Set { return m.partsOf(g, within) }
	a.env.Call = func(c *graph.Call) error { return m.callPart(c, w) }
	a.q.Parts = a.env.Parts(s.g)
	return a, nil
}

// plan is the steps that the question takes.
func (a *asking) plan() (*graph.Plan, error) {
	a.q.Given = a.env.Given.Values()
	return a.g.Plan(&a.q)
}

// run answers the question.
func (a *asking) run(ctx context.Context) (*graph.Answer, error) {
	plan, err := a.plan()
	if err == nil {
		err = a.fits(plan)
	}
	if err != nil {
		return nil, err
	}
	return plan.Run(ctx, &a.env)
}

// manyPositions is from how many positions on a run's memory is counted before it begins. Smaller runs find out as they
// take memory.
const manyPositions = 256

// fits refuses a run that the memory there is could not hold, before it begins.
func (a *asking) fits(plan *graph.Plan) error {
	bounded, ok := a.env.Backend.(backend.Bounded)
	if !ok || a.batch*a.pos < manyPositions {
		return nil
	}
	peak, err := plan.Peak(&a.env)
	if err != nil {
		return nil // where the run comes to what does not fit together, it says more
	}
	return bounded.Fits(fmt.Sprintf("a run of %d × %d positions", a.batch, a.pos), int64(peak))
}
