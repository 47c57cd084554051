// Forward: turning what a caller asks of a model into a question to its graph.
package model

import (
	"context"
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

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
	// Wanted are the positions whose logits are wanted, int64 [1 or batch, n], negative ones counted from the end; nil:
	// all. Only with OutputLogits, in a run to the end.
	Wanted *tensor.Tensor
	Watch
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
	s, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	var r *Result
	err = m.asked(s, in, func(a *asking) (bool, error) {
		answer, err := a.run(ctx)
		if err != nil {
			return false, err
		}
		r = &Result{Kept: answer.Kept}
		if len(a.q.Want) > 0 {
			r.Output = answer.Values[a.q.Want[0]]
		}
		return true, nil
	})
	if err != nil {
		if r != nil {
			r.Release()
		}
		return nil, err
	}
	return r, nil
}

// Plan tells what Forward would do, without doing it.
func (m *Model) Plan(in *Input) (*graph.Outline, error) {
	s, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	var outline *graph.Outline
	err = m.asked(s, in, func(a *asking) (bool, error) {
		plan, err := a.plan()
		if err == nil {
			outline, err = plan.Outline(&a.env)
		}
		return false, err
	})
	return outline, err
}

// asked puts the question of an input together and hands it to do; what it is given lives until then. do says whether
// the run took place, so that a cache has grown.
func (m *Model) asked(s *session, in *Input, do func(a *asking) (ran bool, err error)) error {
	a, err := m.ask(s, &in.Watch, "")
	if err != nil {
		return err
	}
	shape, err := m.giveStream(a, in)
	if err != nil {
		return err
	}
	a.batch, a.pos = shape[0], shape[1]
	if a.q.Want, a.q.Active, err = a.bounds(in); err != nil {
		return err
	}
	a.env.Renew = func() (*graph.Renewal, error) {
		now := m.current()
		want, active, err := now.bounds(in)
		return &graph.Renewal{Graph: now.g, Want: want, Active: active}, err
	}
	wanted, err := a.giveWanted(in.Wanted, shape)
	defer wanted.Release()
	if err != nil {
		return err
	}
	return m.behind(a, in, shape[0], shape[1], do)
}

// behind hands the question to do behind the past, if there is one.
func (m *Model) behind(a *asking, in *Input, batch, pos int, do func(a *asking) (bool, error)) (err error) {
	turn, err := m.takeTurn(a, in, batch, pos)
	if err != nil {
		return err
	}
	var mask *tensor.Tensor
	done := false
	defer func() {
		if failed := turn.End(done, mask); failed != nil && err == nil {
			err = failed
		}
		mask.Release()
	}()
	s := turn.span(a.built, batch, pos)
	if mask, err = turn.mask(in, s); err != nil {
		return err
	}
	owned, err := m.givePositions(a, mask, in.Positions, s)
	defer release(owned)
	if err != nil {
		return err
	}
	done, err = do(a)
	return err
}

// giveWanted hands over the positions whose logits are wanted. The caller releases what was made.
func (a *asking) giveWanted(given *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if given == nil {
		return nil, nil
	}
	if d := given.Shape(); given.Int64s() == nil || len(d) != 2 || (d[0] != 1 && d[0] != shape[0]) {
		return nil, fmt.Errorf("%w: the positions wanted are %s %v, expected contiguous int64 [1 or %d, n]", ErrInput, given.DType(), d, shape[0])
	}
	if len(a.q.Want) == 0 || a.q.Want[0] != a.logits {
		return nil, fmt.Errorf("%w: positions were asked for, in a run that gives no logits", ErrInput)
	}
	wanted, err := given.Clone()
	if err != nil {
		return nil, err
	}
	for i, at := range wanted.Int64s() {
		if at < 0 {
			at += int64(shape[1])
		}
		if at < 0 || at >= int64(shape[1]) {
			return wanted, fmt.Errorf("%w: logits at position %d were asked for, there are %d positions", op.ErrIndex, given.Int64s()[i], shape[1])
		}
		wanted.Int64s()[i] = at
	}
	a.env.Given.Put(a.wanted, wanted)
	return wanted, nil
}

func release(tensors []*tensor.Tensor) {
	for _, t := range tensors {
		t.Release()
	}
}

// giveStream hands the graph what the run starts from, and returns its shape.
func (m *Model) giveStream(a *asking, in *Input) ([]int, error) {
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
		a.env.Given.Put(a.tokens, in.Tokens)
		return m.checkLength(in.Tokens.Shape())
	case in.Embeds != nil:
		a.env.Given.Put(a.embedded, in.Embeds)
		if err := m.checkStream(a.session, in.Embeds); err != nil {
			return nil, err
		}
		return m.checkLength(in.Embeds.Shape())
	}
	if in.Start < 0 || in.Start >= len(a.blockStart) {
		return nil, fmt.Errorf("%w: start layer %d, expected 0 to %d", ErrInput, in.Start, len(a.blockStart)-1)
	}
	if err := m.checkStream(a.session, in.Resid); err != nil {
		return nil, err
	}
	a.env.Given.Put(a.blockIn[in.Start], in.Resid)
	if rotary, ok := a.components["rotary_emb"]; ok { // upstream passes the stream through it for its dtype
		a.env.Given.Put(rotary.in, in.Resid)
	}
	return m.checkLength(in.Resid.Shape())
}

func (m *Model) checkStream(s *session, t *tensor.Tensor) error {
	if t.DType() != s.dtype() || len(t.Shape()) != 3 || t.Dim(2) != m.Spec.DModel {
		return fmt.Errorf("%w: the residual stream is %s %v, expected %s [batch, pos, %d]", ErrInput, t.DType(), t.Shape(), s.dtype(), m.Spec.DModel)
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

// Loss is the next-token loss of logits [batch, pos, vocab] in the host's memory; see op.CrossEntropy.
func Loss(logits, tokens, mask *tensor.Tensor, perToken bool) (*tensor.Tensor, error) {
	out, err := op.Apply(DefaultBackend(), &op.CrossEntropy{PerToken: perToken}, logits, tokens, mask)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}
