// Forward: turning what a caller asks of a model into a question to its graph.
package model

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// EnvPlan set to "plain" runs every node one by one, without fusion and pruning: the same bits, slower.
const EnvPlan = "TRANSFORMER_LENS_GO_PLAN"

// ErrInput is wrapped by every error about what a forward pass was given.
var ErrInput = errors.New("bad input")

// NoLayer stands for "not given" in Input's Start and Stop.
const NoLayer = -1 << 31

// Output says which value a forward pass returns.
type Output string

// The outputs. OutputStream is the residual stream in front of layer Stop.
const (
	OutputNone   Output = "none"
	OutputLogits Output = "logits"
	OutputStream Output = "resid"
)

// Input is one forward pass. Exactly one of Tokens, Embeds and Resid is given; tensors are borrowed.
type Input struct {
	Tokens *tensor.Tensor // int64 [batch, pos]
	Embeds *tensor.Tensor // of the model's dtype, [batch, pos, d_model], in place of token embeddings
	Resid  *tensor.Tensor // of the model's dtype, [batch, pos, d_model], the stream in front of layer Start
	Mask   *tensor.Tensor // int64 [batch, pos], 1 for tokens, 0 for padding; nil: all are tokens
	// Positions are int64 [1 or batch, pos]; nil: derived from Mask, else counted on from Past, or 0, 1, 2, …
	Positions *tensor.Tensor
	// Past holds the keys and values of earlier tokens, and gets those of these ones. Mask may then be about the past
	// too: [batch, past + pos].
	Past   *kvcache.Cache
	Start  int // first layer to run, with Resid; NoLayer: from the embedding
	Stop   int // layer in front of which to stop; negative counts from the end; NoLayer: run all
	Output Output
	Watch
}

// Watch is who looks on.
type Watch struct {
	Keep    func(point int) bool // edges to keep
	Silent  bool                 // no hooks are called
	Plain   bool                 // as with EnvPlan set to "plain"
	Foreign hook.Caller
	Poll    func() error
	Call    func(c *graph.Call) error // computes what SetReplaced named
	// Of a component that runs for who stands in the place of a part: that call, and where its run keeps edges.
	Outer *graph.Call
	Kept  *[]graph.Kept
}

// Result is what a run gave. The caller releases it.
type Result struct {
	Output *tensor.Tensor   // nil for OutputNone
	Extra  []*tensor.Tensor // further outputs of a component
	Kept   []graph.Kept
	Seen   int // how many edges were kept when the run ended, by a run around it too
}

// Release drops every tensor of a result.
func (r *Result) Release() {
	r.Output.Release()
	for _, t := range r.Extra {
		t.Release()
	}
	for _, k := range r.Kept {
		k.T.Release()
	}
}

// Forward runs the model, or the layers Start to Stop of it.
func (m *Model) Forward(ctx context.Context, in *Input) (*Result, error) {
	b, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer m.end()
	q := &graph.Question{Given: map[graph.Value]*tensor.Tensor{}}
	m.watch(q, &in.Watch)
	m.giveParts(q, "", &in.Watch)
	if err := m.checkReplaced(b); err != nil {
		return nil, err
	}
	shape, err := m.giveStream(b, q, in)
	if err != nil {
		return nil, err
	}
	if q.Want, q.Active, err = b.bounds(in); err != nil {
		return nil, err
	}
	q.Renew = func() (*graph.Renewal, error) {
		now := m.current(b)
		want, active, err := now.bounds(in)
		return &graph.Renewal{Graph: now.g, Want: want, Active: active}, err
	}
	answer, err := m.answer(ctx, b, q, in, shape[0], shape[1])
	if err != nil {
		return nil, err
	}
	r := &Result{Kept: answer.Kept}
	if len(q.Want) > 0 {
		r.Output = answer.Values[q.Want[0]]
	}
	return r, nil
}

// answer runs the question, behind the past if there is one.
func (m *Model) answer(ctx context.Context, b *built, q *graph.Question, in *Input, batch, pos int) (answer *graph.Answer, err error) {
	turn, err := m.takeTurn(b, q, in, batch, pos)
	if err != nil {
		return nil, err
	}
	var mask *tensor.Tensor
	defer func() {
		if failed := turn.End(answer != nil, mask); failed != nil && answer != nil {
			answer.Release()
			answer, err = nil, failed
		}
		mask.Release()
	}()
	s := turn.span(b, batch, pos)
	if mask, err = turn.mask(in, s); err != nil {
		return nil, err
	}
	owned, err := m.givePositions(b, q, mask, in.Positions, s)
	defer release(owned)
	if err != nil {
		return nil, err
	}
	return b.g.Run(ctx, m.backend, q)
}

func release(tensors []*tensor.Tensor) {
	for _, t := range tensors {
		t.Release()
	}
}

func (m *Model) watch(q *graph.Question, w *Watch) {
	q.Keep, q.Foreign, q.Poll = w.Keep, w.Foreign, w.Poll
	q.Plain = w.Plain || os.Getenv(EnvPlan) == "plain"
	if !w.Silent {
		q.Hooks = m.Hooks
	}
}

// giveStream hands the graph what the run starts from, and returns its shape.
func (m *Model) giveStream(b *built, q *graph.Question, in *Input) ([]int, error) {
	given := 0
	for _, t := range []*tensor.Tensor{in.Tokens, in.Embeds, in.Resid} {
		if t != nil {
			given++
		}
	}
	if given != 1 || (in.Resid != nil) != (in.Start != NoLayer) {
		return nil, fmt.Errorf("%w: exactly one of tokens, embeddings and (with a start layer) a residual stream must be given", ErrInput)
	}
	switch {
	case in.Tokens != nil:
		if in.Tokens.DType() != tensor.Int64 || len(in.Tokens.Shape()) != 2 {
			return nil, fmt.Errorf("%w: tokens are %s %v, expected int64 [batch, pos]", ErrInput, in.Tokens.DType(), in.Tokens.Shape())
		}
		q.Given[b.tokens] = in.Tokens
		return m.checkLength(in.Tokens.Shape())
	case in.Embeds != nil:
		q.Given[b.embedded] = in.Embeds
		if err := m.checkStream(b, in.Embeds); err != nil {
			return nil, err
		}
		return m.checkLength(in.Embeds.Shape())
	}
	if in.Start < 0 || in.Start >= len(b.blockStart) {
		return nil, fmt.Errorf("%w: start layer %d, expected 0 to %d", ErrInput, in.Start, len(b.blockStart)-1)
	}
	if err := m.checkStream(b, in.Resid); err != nil {
		return nil, err
	}
	q.Given[b.blockIn[in.Start]] = in.Resid
	if rotary, ok := b.components["rotary_emb"]; ok { // upstream passes the stream through it for its dtype
		q.Given[rotary.in] = in.Resid
	}
	return m.checkLength(in.Resid.Shape())
}

func (m *Model) checkStream(b *built, t *tensor.Tensor) error {
	if t.DType() != b.dtype || len(t.Shape()) != 3 || t.Dim(2) != m.Spec.DModel {
		return fmt.Errorf("%w: the residual stream is %s %v, expected %s [batch, pos, %d]", ErrInput, t.DType(), t.Shape(), b.dtype, m.Spec.DModel)
	}
	return nil
}

// checkLength refuses empty sequences, and ones beyond a native model's context.
func (m *Model) checkLength(shape []int) ([]int, error) {
	if shape[0] == 0 || shape[1] == 0 {
		return nil, fmt.Errorf("%w: shape %v, expected at least one sequence of at least one position", ErrInput, shape)
	}
	if m.Spec.LimitContext && shape[1] > m.Spec.NCtx {
		return nil, fmt.Errorf("%w: %d positions given, the model has n_ctx=%d", ErrInput, shape[1], m.Spec.NCtx)
	}
	return shape, nil
}

// layers are the first layer that a run is about and the one behind the last. The input's Start is valid.
func (b *built) layers(in *Input) (first, last int, err error) {
	layers := len(b.blockStart)
	if in.Start != NoLayer {
		first = in.Start
	}
	last = in.Stop
	switch {
	case last == NoLayer:
		last = layers
	case last < 0:
		last += layers
	}
	if last < 0 || last > layers || (in.Start != NoLayer && last < in.Start) {
		return 0, 0, fmt.Errorf("%w: stop layer %d, expected %d to %d and none before the start layer", ErrInput, in.Stop, -layers, layers)
	}
	return first, last, nil
}

// bounds is the value that a run returns, if any, and the nodes it is about. The input's Start is valid.
func (b *built) bounds(in *Input) (want []graph.Value, active []graph.Range, err error) {
	first, last, err := b.layers(in)
	if err != nil {
		return nil, nil, err
	}
	whole := graph.Range{First: 0, Last: b.g.Len()}
	if in.Start != NoLayer {
		whole.First = b.blockStart[first]
		if rotary, ok := b.components["rotary_emb"]; ok {
			active = append(active, graph.Range{First: rotary.first, Last: rotary.last})
		}
	}
	switch {
	case last < len(b.blockStart): // upstream runs a stop behind the last block to the logits
		whole.Last = b.blockStart[last] + 1
		want = b.g.Nodes[b.blockStart[last]].Out
	case in.Output == OutputLogits, in.Output == OutputStream:
		want = []graph.Value{b.logits}
	case in.Output != OutputNone:
		return nil, nil, fmt.Errorf("%w: output %q", ErrInput, in.Output)
	}
	return want, append(active, whole), nil
}

// Loss is the next-token loss of logits; see op.CrossEntropy.
func Loss(logits, tokens, mask *tensor.Tensor, perToken bool) (*tensor.Tensor, error) {
	return op.CrossEntropy(cpu.CPU{}, logits, tokens, mask, perToken)
}
