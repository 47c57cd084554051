// Package model builds graphs from specifications, binds weights to them and answers questions: forward passes,
// components called by themselves, caches. It is the only builder; architectures differ in their Spec alone.
package model

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
	"github.com/transformer-lens-go/transformer-lens-go/golens/weight"
)

// ErrClosed is returned by a model after Close.
var ErrClosed = errors.New("model: the model is closed")

// Model is a language model: a specification, weights, hook points and the graph for the flags as they are now.
// It is safe for concurrent runs.
type Model struct {
	Spec  *arch.Spec
	Hooks *hook.Registry

	backend   backend.Backend
	tokenizer *tokenizer.Tokenizer
	// tokenizerErr says why what is there could not be read: only who wants text needs to know.
	tokenizerErr error
	bindings

	mu       sync.RWMutex
	built    *built
	weights  *weight.Set // nil once the model is closed
	dtype    tensor.DType
	replaced []string // components and hook points that somebody else computes
}

// Param says what a parameter is, as its component shows it: "blocks.0.attn.q.weight", in the checkpoint's layout.
type Param struct {
	Component, Name string
	Shape           []int // must not be changed
}

// Config is the configuration that users see.
func (m *Model) Config() *config.Config {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.Spec.Config
}

// Tokenizer is what was found beside the weights, or nil.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tokenizer }

// TokenizerError says why the tokenizer that was found beside the weights could not be read; nil when it could,
// or when there is none.
func (m *Model) TokenizerError() error { return m.tokenizerErr }

// Params lists the parameters, component by component; none after Close.
func (m *Model) Params() []Param {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.weights == nil {
		return []Param{}
	}
	list := make([]Param, len(m.params))
	for i, p := range m.params {
		list[i] = p.Param
	}
	return list
}

// Param is a parameter's live memory, by its index in Params: writing to it changes what the model computes from the
// next step on, until Convert gives the parameter other memory. Where the checkpoint holds it narrower than the model
// computes, it is widened first. The caller releases it; it outlives Close.
func (m *Model) Param(index int) (*tensor.Tensor, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.weights == nil {
		return nil, ErrClosed
	}
	if index < 0 || index >= len(m.params) {
		return nil, fmt.Errorf("%w: parameter %d of %d", op.ErrIndex, index, len(m.params))
	}
	return m.weights.Param(m.params[index].view)
}

// fixedFields decide numbers that were settled when the model was built.
var fixedFields = []string{
	"act_fn", "attention_dir", "attn_only", "attn_scale", "attn_scores_soft_cap", "attn_types", "d_head", "d_mlp", "d_model", "dtype", "eps",
	"final_rms", "gated_mlp", "n_heads", "n_key_value_heads", "n_layers", "normalization_type", "output_logits_soft_cap",
	"parallel_attn_mlp", "positional_embedding_type", "rmsnorm_uses_offset", "rotary_adjacent_pairs", "rotary_base", "rotary_dim",
	"scale_attn_by_inverse_layer_idx", "use_attn_scale", "use_local_attn", "use_qk_norm", "uses_rms_norm", "window_size",
}

// Set writes a configuration field. Flags that decide which hook points exist change the graph; a field that decides
// numbers keeps its value, and another one is an error: it would change nothing.
func (m *Model) Set(field string, value any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.weights == nil {
		return ErrClosed
	}
	changed := m.Spec.Config.Clone()
	if err := changed.Set(field, value); err != nil {
		return err
	}
	if changed.UseSplitQKVInput && changed.UseAttnIn {
		return &config.Error{Kind: config.ValueError, Field: field, Text: "use_split_qkv_input and use_attn_in exclude each other; set one of them to False first"}
	}
	if m.Spec.Attention.Unforked && (changed.UseAttnResult || changed.UseSplitQKVInput || changed.UseAttnIn) {
		return &config.Error{Kind: "NotImplementedError", Field: field, Text: "this model's attention has no inputs and results by head (AttentionBridge)"}
	}
	old := m.Spec.Config
	if slices.Contains(fixedFields, field) {
		was, _ := old.Get(field)
		is, _ := changed.Get(field)
		if !reflect.DeepEqual(was, is) {
			if field == "dtype" {
				return &config.Error{Kind: config.ValueError, Field: field, Text: fmt.Sprintf("a loaded model is converted by to(%s), not by writing its configuration", value)}
			}
			return &config.Error{Kind: "NotImplementedError", Field: field, Text: "it decides what a model computes and cannot be changed once it is built; boot it again with hf_config_overrides={...}, or a native one from a changed configuration"}
		}
	}
	m.Spec.Config = changed
	if slices.Contains(graphFlags, field) {
		b, err := build(m)
		if err != nil {
			m.Spec.Config = old
			return err
		}
		m.built = b
		m.Hooks.Touch()
	}
	return nil
}

// Close drops the model's reference to its weights; runs in progress hold them to their end.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.weights == nil {
		return ErrClosed
	}
	m.weights.Release()
	m.weights = nil
	return nil
}

// newModel registers the hook points and builds the graph for weights that are complete. It takes over their
// references, also when it fails.
func newModel(spec *arch.Spec, weights map[string]*tensor.Tensor, dt tensor.DType, b backend.Backend) (*Model, error) {
	set, err := weight.New(b, dt, weights)
	if err != nil {
		return nil, err
	}
	m := &Model{Spec: spec, Hooks: hook.NewRegistry(), backend: b, weights: set, dtype: dt}
	err = m.register()
	if err == nil {
		err = m.bind()
	}
	if err == nil {
		m.built, err = build(m)
	}
	if err != nil {
		set.Release()
		return nil, err
	}
	return m, nil
}

func (m *Model) register() error {
	for _, c := range m.Spec.Tree.Components {
		for _, h := range c.Hooks {
			if _, err := m.Hooks.AddPoint(h.Name, h.Gate); err != nil {
				return err
			}
		}
	}
	for _, a := range m.Spec.Tree.Aliases {
		if err := m.Hooks.AddAlias(a.Name, a.Target); err != nil {
			return err
		}
	}
	return nil
}

// session is what one run goes by: a graph, which a later change of flags does not touch, and weights, which stay
// until its end.
type session struct {
	*built
	weights *weight.Set
}

// begin is the graph and the weights to run with now.
func (m *Model) begin() (*session, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.weights == nil {
		return nil, ErrClosed
	}
	return &session{m.built, m.weights.Retain()}, nil
}

// end says that what begin began is over.
func (s *session) end() { s.weights.Release() }

// dtype is that of the activations.
func (s *session) dtype() tensor.DType { return s.weights.DType() }

// current is the graph under the flags as they are now.
func (m *Model) current() *built {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.built
}

// built is a graph with the places in it that questions name.
type built struct {
	g                       *graph.Graph
	tokens, positions, mask graph.Value
	wanted                  graph.Value // positions whose logits are wanted; absent: all
	embedded, logits        graph.Value
	cos, sin                graph.Value   // behind the rotary component's hooks; None with learned positions
	blockIn                 []graph.Value // in front of each block's hook_in, then in front of ln_final
	blockStart              []int         // node of each block's hook_in
	pasts                   []layerPast   // by layer
	components              map[string]component
}

// component is a stretch of the graph that can be called by itself.
type component struct {
	first, last int // nodes [first, last)
	in          graph.Value
	out         []graph.Value
}

func (c *component) active() []graph.Range { return []graph.Range{{First: c.first, Last: c.last}} }
