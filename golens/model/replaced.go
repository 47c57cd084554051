// Replaced: components and hook points that somebody else computes, such as a module of the user's in their place.
package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ErrReplaced is wrapped when what was put in a component's place gave something that cannot stand for its result.
var ErrReplaced = errors.New("what stands in a component's place gave something that does not fit")

// SetReplaced says whether somebody else computes the component or hook point of that name. Runs in progress notice.
func (m *Model) SetReplaced(name string, replaced bool) error {
	if _, ok := m.Spec.Tree.Component(name); !ok {
		if p, ok := m.Hooks.Lookup(name); !ok || p.Name != name {
			return fmt.Errorf("%w: no component or hook point %q", ErrInput, name)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch at := slices.Index(m.replaced, name); {
	case replaced && at < 0:
		m.replaced = append(slices.Clone(m.replaced), name) // running plans read the old slice
	case !replaced && at >= 0:
		m.replaced = slices.Delete(slices.Clone(m.replaced), at, at+1)
	default:
		return nil
	}
	m.Hooks.Touch()
	return nil
}

// checkReplaced refuses a run that would pass by what was replaced without a look at it.
func (m *Model) checkReplaced(b *built) error {
	m.mu.RLock()
	names := m.replaced
	m.mu.RUnlock()
	for _, name := range names {
		if _, ok := b.g.Part(name); !ok {
			return &config.Error{Kind: "NotImplementedError", Field: name, Text: "it was replaced, or has torch hooks, but under the flags that are set now (or in this family) no run passes it as a part of its own; put it back, or set the flags (use_attn_result, use_split_qkv_input, use_attn_in, use_hook_mlp_in) otherwise"}
		}
	}
	return nil
}

// partsOf is which parts of a graph are replaced, but for the component that runs by itself ("": none does) and what it
// lies in.
func (m *Model) partsOf(g *graph.Graph, within string) bitset.Set {
	m.mu.RLock()
	names := m.replaced
	m.mu.RUnlock()
	if len(names) == 0 {
		return nil
	}
	var parts bitset.Set
	own, alone := g.Part(within)
	for _, name := range names {
		if p, ok := g.Part(name); ok && (!alone || !p.Covers(&own)) {
			parts.Add(p.Index)
		}
	}
	return parts
}

// giveOuter lets a component run for somebody who stands in its place, or in that of what it lies in. Arguments that
// are the very memory of the run around it are that: what hooks write to them reaches that run. It hands over what
// that run has beside the arguments: the stream from which inputs by head are forked.
func (a *asking) giveOuter(outer *graph.Call) (made []*tensor.Tensor, err error) {
	if outer == nil || outer.Graph != a.g {
		return nil, nil
	}
	for i := range a.env.Given {
		given := &a.env.Given[i]
		for _, in := range outer.In {
			if in == nil || in.Pointer() != given.T.Pointer() || in.Len() != given.T.Len() || in.DType() != given.T.DType() {
				continue
			}
			same, err := in.Reshape(given.T.Shape()...)
			if err != nil {
				return made, err
			}
			made = append(made, same)
			given.T, given.Through = same, true
			break
		}
	}
	arguments := []graph.Value{a.tokens, a.positions, a.mask, a.cos, a.sin}
	for i, v := range outer.Part.In {
		if i > 0 && outer.In[i] != nil && a.env.Given.Get(v) == nil && !slices.Contains(arguments, v) {
			a.env.Given.Put(v, outer.In[i])
		}
	}
	return made, nil
}

// headsSide are the components and hook points whose heads lie side by side, [batch, pos, head·d_head], in upstream's
// modules, and by head in the graph: on their way in, out.
var headsSide = map[string][2]bool{
	"attn.q": {false, true}, "attn.k": {false, true}, "attn.v": {false, true}, "attn.o": {true, false},
	"attn.q.hook_out": {true, true}, "attn.k.hook_out": {true, true}, "attn.v.hook_out": {true, true},
	"attn.o.hook_in": {true, true},
}

// inBlock is a name without its block: "attn.q" of "blocks.3.attn.q".
func inBlock(name string) string {
	if parts := strings.SplitN(name, ".", 3); len(parts) == 3 && parts[0] == "blocks" {
		return parts[2]
	}
	return name
}

// callPart has a part computed, with shapes as upstream's modules have them.
func (m *Model) callPart(c *graph.Call, w *Watch) error {
	if w.Call == nil {
		return fmt.Errorf("model: %s was replaced, and nobody is there to compute it", c.Part.Name)
	}
	for i, v := range c.Part.In {
		if c.Graph.IsLent(v) && c.In[i] != nil {
			return &config.Error{Kind: "NotImplementedError", Field: c.Part.Name, Text: "it was replaced, or has torch hooks, and keys and values of earlier tokens are used, which what stands in the place of attention or of a block is not passed; run on the whole sequence, without a cache (use_past_kv_cache=False)"}
		}
	}
	inner := *c
	inner.In = slices.Clone(c.In)
	side := headsSide[inBlock(c.Part.Name)]
	if x := c.In[0]; side[0] && len(x.Shape()) == 4 {
		flat, err := x.Reshape(x.Dim(0), x.Dim(1), x.Dim(2)*x.Dim(3))
		if err != nil {
			return err
		}
		defer flat.Release()
		inner.In[0] = flat
	}
	err := w.Call(&inner)
	copy(c.Out, inner.Out)
	c.Same = inner.Same && side[0] == side[1]
	if err != nil || c.Same {
		return err
	}
	if inner.Same { // the same memory, seen with heads and without
		c.Out[0] = inner.In[0].Retain()
	}
	for i := range c.Out {
		if err := m.fitPart(c, i, side[1]); err != nil {
			return err
		}
	}
	return nil
}

// fitPart makes output i of a part what the graph can go on with.
func (m *Model) fitPart(c *graph.Call, i int, byHead bool) error {
	t := c.Out[i]
	if t == nil {
		if i == 0 {
			return fmt.Errorf("%w: %s gave nothing", ErrReplaced, c.Part.Name)
		}
		return nil
	}
	want, err := m.partShape(c, t.Shape(), byHead)
	if err != nil {
		return err
	}
	fitted, err := graph.Fit(m.backend, t, want)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrReplaced, c.Part.Name, err)
	}
	c.Out[i] = fitted
	if !byHead {
		return nil
	}
	heads, err := fitted.Reshape(want[0], want[1], want[2]/m.Spec.DHead, m.Spec.DHead)
	if err != nil {
		return err
	}
	fitted.Release()
	c.Out[i] = heads
	return nil
}

// Components behind which all that goes on has passed may change batch and position sizes (with them, blocks);
// components whose width is the next operation's business may change that.
var (
	freeRows  = []string{"embed", "ln_final", "unembed"}
	freeWidth = []string{"mlp.in", "mlp.gate", "unembed"}
)

// partShape is the shape with which an output of that shape stands for what comes out of a part, itself or broadcast.
func (m *Model) partShape(c *graph.Call, shape []int, byHead bool) ([]int, error) {
	name, short := c.Part.Name, inBlock(c.Part.Name)
	if p, ok := m.Hooks.Lookup(name); ok {
		return m.pointShape(c, shape, c.Graph.Edges[p.Index].Resize, byHead), nil
	}
	rows, width, expected := c.In[0].Shape()[:2], m.Spec.DModel, "[batch, pos, d_model]"
	if name == "pos_embed" && len(c.In) > 1 && c.In[1] != nil {
		rows = c.In[1].Shape()[:2] // of the embeddings of tokens, to which it is added
	}
	block := strings.HasPrefix(name, "blocks.") && short == name
	if slices.Contains(freeRows, name) || block || name == "rotary_emb" {
		rows = shape[:min(2, len(shape))]
	}
	if (byHead || slices.Contains(freeWidth, short) || name == "rotary_emb") && len(shape) > 0 {
		width, expected = shape[len(shape)-1], "[batch, pos, width]"
	}
	if byHead && width%m.Spec.DHead != 0 {
		width, expected = 0, fmt.Sprintf("[batch, pos, heads times %d]", m.Spec.DHead)
	}
	if len(shape) != 3 || (shape[2] != width && shape[2] != 1) {
		return nil, fmt.Errorf("%w: %s gave shape %v for an input of shape %v, expected %s", ErrReplaced, name, shape, c.In[0].Shape(), expected)
	}
	return []int{rows[0], rows[1], width}, nil
}

// pointShape is partShape for a hook point, where what went in says what may come out.
func (m *Model) pointShape(c *graph.Call, shape []int, resize, byHead bool) []int {
	want := c.In[0].Shape()
	if resize && len(shape) == len(want) {
		return shape
	}
	if byHead && len(want) == 4 {
		return []int{want[0], want[1], want[2] * want[3]}
	}
	return want
}
