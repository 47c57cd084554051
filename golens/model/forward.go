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
	// Positions are int64 [1 or batch, pos]; nil: derived from Mask, else 0, 1, 2, …
	Positions *tensor.Tensor
	Start     int // first layer to run, with Resid; NoLayer: from the embedding
	Stop      int // layer in front of which to stop; negative counts from the end; NoLayer: run all
	Output    Output
	Watch
}

// Watch is who looks on.
type Watch struct {
	Keep    func(point int) bool // edges to keep
	Silent  bool                 // no hooks are called
	Plain   bool                 // as with EnvPlan set to "plain"
	Foreign hook.Caller
	Poll    func() error
}

// Result is what a run gave. The caller releases it.
type Result struct {
	Output *tensor.Tensor   // nil for OutputNone
	Extra  []*tensor.Tensor // further outputs of a component
	Kept   []graph.Kept
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
	shape, err := m.giveStream(b, q, in)
	if err != nil {
		return nil, err
	}
	if q.Want, q.Active, err = b.bounds(in); err != nil {
		return nil, err
	}
	q.Renew = func() (*graph.Renewal, error) {
		now := m.current()
		want, active, err := now.bounds(in)
		return &graph.Renewal{Graph: now.g, Want: want, Active: active}, err
	}
	derived := in.Mask
	if in.Tokens == nil {
		derived = nil // upstream numbers embeddings and streams 0, 1, 2, … whatever the mask
	}
	owned, err := m.givePositions(b, q, in, derived, shape[0], shape[1])
	defer release(owned)
	if err != nil {
		return nil, err
	}
	answer, err := b.g.Run(ctx, m.backend, q)
	if err != nil {
		return nil, err
	}
	r := &Result{Kept: answer.Kept}
	if len(q.Want) > 0 {
		r.Output = answer.Values[q.Want[0]]
	}
	return r, nil
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
		if err := m.checkStream(in.Embeds); err != nil {
			return nil, err
		}
		return m.checkLength(in.Embeds.Shape())
	}
	if in.Start < 0 || in.Start >= len(b.blockStart) {
		return nil, fmt.Errorf("%w: start layer %d, expected 0 to %d", ErrInput, in.Start, len(b.blockStart)-1)
	}
	if err := m.checkStream(in.Resid); err != nil {
		return nil, err
	}
	q.Given[b.blockIn[in.Start]] = in.Resid
	if rotary, ok := b.components["rotary_emb"]; ok { // upstream passes the stream through it for its dtype
		q.Given[rotary.in] = in.Resid
	}
	return m.checkLength(in.Resid.Shape())
}

func (m *Model) checkStream(t *tensor.Tensor) error {
	if t.DType() != m.dtype || len(t.Shape()) != 3 || t.Dim(2) != m.Spec.DModel {
		return fmt.Errorf("%w: the residual stream is %s %v, expected %s [batch, pos, %d]", ErrInput, t.DType(), t.Shape(), m.dtype, m.Spec.DModel)
	}
	return nil
}

// checkLength refuses empty sequences.
func (m *Model) checkLength(shape []int) ([]int, error) {
	if shape[0] == 0 || shape[1] == 0 {
		return nil, fmt.Errorf("%w: shape %v, expected at least one sequence of at least one position", ErrInput, shape)
	}
	return shape, nil
}

// givePositions hands over the mask and the positions, which are derived from a mask where they are not given. It
// returns what it made, for the caller to release.
func (m *Model) givePositions(b *built, q *graph.Question, in *Input, derived *tensor.Tensor, batch, pos int) (made []*tensor.Tensor, err error) {
	if in.Mask != nil {
		mask, err := keyMask(in.Mask, batch, pos)
		if err != nil {
			return nil, err
		}
		if mask != nil {
			made = append(made, mask)
			q.Given[b.mask] = mask
		}
	}
	positions := in.Positions
	if positions == nil {
		positions, err = derivePositions(derived, pos)
		if err != nil {
			return made, err
		}
		made = append(made, positions)
	}
	if s := positions.Shape(); len(s) != 2 || (s[0] != 1 && s[0] != batch) || s[1] != pos || positions.DType() != tensor.Int64 {
		return made, fmt.Errorf("%w: positions are %s %v, expected int64 [1 or %d, %d]", ErrInput, positions.DType(), s, batch, pos)
	}
	q.Given[b.positions] = positions
	return made, nil
}

// keyMask is the mask as attention reads it, or nil when it masks nothing.
func keyMask(mask *tensor.Tensor, batch, pos int) (*tensor.Tensor, error) {
	if mask.DType() != tensor.Int64 || len(mask.Shape()) != 2 || mask.Dim(0) != batch || mask.Dim(1) != pos || !mask.Contiguous() {
		return nil, fmt.Errorf("%w: the attention mask is %s %v with strides %v, expected contiguous int64 [%d, %d]", ErrInput, mask.DType(), mask.Shape(), mask.Strides(), batch, pos)
	}
	keys, err := tensor.New(tensor.Uint8, batch, pos)
	if err != nil {
		return nil, err
	}
	all := true
	for i, v := range mask.Int64s() {
		keys.Storage().Bytes()[i] = 1
		if v == 0 {
			keys.Storage().Bytes()[i], all = 0, false
		}
	}
	if all {
		keys.Release()
		return nil, nil
	}
	return keys, nil
}

// derivePositions counts real tokens in rows where padding stands in front of them, and is 0, 1, 2, … elsewhere.
func derivePositions(mask *tensor.Tensor, pos int) (*tensor.Tensor, error) {
	if mask == nil || !shifted(mask) {
		t, err := tensor.New(tensor.Int64, 1, pos)
		if err != nil {
			return nil, err
		}
		count(t.Int64s(), nil)
		return t, nil
	}
	t, err := tensor.New(tensor.Int64, mask.Shape()...)
	if err != nil {
		return nil, err
	}
	for i := range mask.Dim(0) {
		row := mask.Int64s()[i*pos : (i+1)*pos]
		if !rowShifted(row) {
			row = nil
		}
		count(t.Int64s()[i*pos:(i+1)*pos], row)
	}
	return t, nil
}

// count numbers the real tokens of a row; a masked one repeats the position in front of it, 0 at the start.
func count(out, mask []int64) {
	n := int64(0)
	for i := range out {
		if mask == nil || mask[i] != 0 {
			n++
		}
		out[i] = max(n-1, 0)
	}
}

func shifted(mask *tensor.Tensor) bool {
	for i := range mask.Dim(0) {
		if rowShifted(mask.Int64s()[i*mask.Dim(1) : (i+1)*mask.Dim(1)]) {
			return true
		}
	}
	return false
}

// rowShifted: a masked position stands in front of a real one.
func rowShifted(row []int64) bool {
	masked := false
	for _, v := range row {
		if v == 0 {
			masked = true
		} else if masked {
			return true
		}
	}
	return false
}

// bounds is the value that a run returns, if any, and the nodes it is about. The input's Start is valid.
func (b *built) bounds(in *Input) (want []graph.Value, active []graph.Range, err error) {
	layers := len(b.blockStart)
	whole := graph.Range{First: 0, Last: b.g.Len()}
	if in.Start != NoLayer {
		whole.First = b.blockStart[in.Start]
		if rotary, ok := b.components["rotary_emb"]; ok {
			active = append(active, graph.Range{First: rotary.first, Last: rotary.last})
		}
	}
	stop := in.Stop
	switch {
	case stop == NoLayer:
		stop = layers
	case stop < 0:
		stop += layers
	}
	if stop < 0 || stop > layers || (in.Start != NoLayer && stop < in.Start) {
		return nil, nil, fmt.Errorf("%w: stop layer %d, expected %d to %d and none before the start layer", ErrInput, in.Stop, -layers, layers)
	}
	switch {
	case stop < layers: // upstream runs a stop behind the last block to the logits
		whole.Last = b.blockStart[stop] + 1
		want = b.g.Nodes[b.blockStart[stop]].Out
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
