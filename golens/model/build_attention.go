// Build of attention: plain, and with the per-head inputs and outputs that flags ask for.
package model

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
)

// attention appends one layer's attention. normed is behind ln1; resid is the stream in front of it, from which
// per-head inputs are forked when a flag asks for them.
func (b *builder) attention(layer int, normed, resid graph.Value) written {
	name := fmt.Sprintf("blocks.%d.attn", layer)
	spec := b.m.Spec
	first := b.g.Len()
	x := b.hook(name+".hook_in", normed)
	q, k, v := b.queriesKeysValues(layer, name, x, resid)
	past := b.pastOf(name)
	b.pasts = append(b.pasts, past)
	if spec.Position.Kind == arch.Rotary {
		q, k = b.rotate(name, q, k, past)
	}
	k = b.extend(name+".all_k", past.keys, k)
	v = b.extend(name+".all_v", past.values, v)
	z, pattern := b.mixed(layer, name, q, k, v)
	w := b.project(name, z)
	if c, _ := spec.Tree.Component(name); c.Fires(name + ".hook_hidden_states") {
		w.value = b.hook(name+".hook_hidden_states", w.value)
	}
	w.value = b.hook(name+".hook_out", w.value)
	if spec.Attention.ScoresShowPattern {
		b.hook(name+".hook_attn_scores", pattern)
	}
	b.component(name, first, normed, w.value, pattern)
	return w
}

// extension is where questions hand over what a layer's keys or values are extended from; see op.Extend.
type extension struct{ past, room graph.Value }

// layerPast is a layer's part of a KV cache. Of unrotated and keys a question gives one, or none.
type layerPast struct{ unrotated, keys, values extension }

func (b *builder) pastOf(name string) layerPast {
	lent := func(what string) extension {
		return extension{past: b.g.Lent(name + ".past_" + what), room: b.g.Lent(name + ".room_" + what)}
	}
	return layerPast{unrotated: lent("unrotated_k"), keys: lent("k"), values: lent("v")}
}

// extend puts what earlier runs left in a cache in front of new keys or values.
func (b *builder) extend(name string, x extension, added graph.Value) graph.Value {
	return b.g.ApplyTo(op.ExtendRoom, name, &op.Extend{}, x.past, x.room, added)
}

// rotate rotates queries and keys by their positions; unrotated keys of a cache come in front of the new ones first.
func (b *builder) rotate(name string, q, k graph.Value, past layerPast) (graph.Value, graph.Value) {
	k = b.extend(name+".unrotated_k", past.unrotated, k)
	cos, sin := b.cos, b.sin
	hooked := !b.m.Spec.Position.Bare
	if hooked {
		cos, sin = b.hook(name+".hook_cos", cos), b.hook(name+".hook_sin", sin)
	}
	rope := &op.Rope{Adjacent: b.m.Spec.Position.AdjacentPairs}
	q = b.g.Apply(name+".rot_q", rope, q, cos, sin, past.unrotated.past)
	k = b.g.Apply(name+".rot_k", rope, k, cos, sin, graph.None)
	if hooked {
		q, k = b.hook(name+".hook_rot_q", q), b.hook(name+".hook_rot_k", k)
	}
	return q, k
}

// mixed appends scores, pattern and z; one kernel does all while nobody looks inside.
func (b *builder) mixed(layer int, name string, q, k, v graph.Value) (z, pattern graph.Value) {
	spec := b.m.Spec.Attention
	shape := op.AttentionShape{
		Scale: spec.Scale(layer), Causal: !spec.Bidirectional, Window: spec.Windows[layer], SoftCap: spec.SoftCap, ZeroMasked: spec.ZeroMasked,
	}
	first := b.g.Len()
	scores := b.g.Apply(name+".scores", &op.Scores{AttentionShape: shape}, q, k, b.mask)
	if !spec.ScoresShowPattern {
		scores = b.hook(name+".hook_attn_scores", scores)
	}
	pattern = b.hook(name+".hook_pattern", b.g.Apply(name+".pattern", &op.Softmax{ZeroMasked: spec.ZeroMasked}, scores))
	z = b.g.Apply(name+".z", &op.Mix{}, pattern, v)
	b.g.Fuse(first, &op.Attention{AttentionShape: shape}, z, q, k, v, b.mask)
	return z, pattern
}

// project appends the output projection, by head when use_attn_result is set.
func (b *builder) project(name string, z graph.Value) written {
	if !b.m.Spec.Config.UseAttnResult {
		return b.linear(name+".o", z, 0)
	}
	z = b.hook(name+".o.hook_in", z)
	result := b.g.Apply(name+".result", &op.HeadResult{}, z, b.param(name+".o.weight"))
	result = b.hook(name+".hook_result", result)
	return written{value: b.g.Apply(name+".summed", &op.SumHeads{}, result, b.param(name+".o.bias")), input: graph.None}
}

func (b *builder) queriesKeysValues(layer int, name string, x, resid graph.Value) (q, k, v graph.Value) {
	spec := b.m.Spec
	heads, kv := spec.NHeads, spec.NKVHeads
	switch cfg := spec.Config; {
	case cfg.UseSplitQKVInput:
		qIn := b.fork(layer, name+".hook_q_input", resid, heads)
		kIn := b.fork(layer, name+".hook_k_input", resid, kv)
		vIn := b.fork(layer, name+".hook_v_input", resid, kv)
		q = b.headLinear(name+".q", qIn, heads)
		k = b.headLinear(name+".k", kIn, kv)
		v = b.headLinear(name+".v", vIn, kv)
	case cfg.UseAttnIn:
		in := b.fork(layer, name+".hook_attn_in", resid, heads)
		few := in
		if kv != heads {
			few = b.g.Apply(name+".kv_in", &op.FirstHeads{Heads: kv}, in)
		}
		q = b.headLinear(name+".q", in, heads)
		k = b.headLinear(name+".k", few, kv)
		v = b.headLinear(name+".v", few, kv)
	default:
		q = b.linear(name+".q", x, heads).value
		k = b.linear(name+".k", x, kv).value
		v = b.linear(name+".v", x, kv).value
	}
	return q, k, v
}

// fork copies the stream for each head, lets hooks at the copies, and normalises them as ln1 does.
func (b *builder) fork(layer int, point string, resid graph.Value, heads int) graph.Value {
	x := b.hook(point, b.g.Apply(point+".fork", &op.RepeatHeads{Heads: heads}, resid))
	ln1 := fmt.Sprintf("blocks.%d.ln1", layer)
	norm := &op.Norm{Kind: normKind(b.m.Spec.Norm), Eps: b.m.Spec.Norm.Eps}
	return b.g.Apply(point+".normed", norm, x, b.param(ln1+".weight"), b.param(ln1+".bias"))
}

func (b *builder) headLinear(name string, in graph.Value, heads int) graph.Value {
	return b.hook(name+".hook_out", b.g.Apply(name, &op.HeadLinear{Heads: heads}, in, b.param(name+".weight"), b.param(name+".bias")))
}
