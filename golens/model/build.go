// Build: from a specification and the flags of its configuration to a graph, in upstream's order of execution.
package model

import (
	"fmt"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/graph"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
)

// graphFlags are the configuration fields on which the graph depends.
var graphFlags = []string{"use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in"}

// builder appends a model's parts to a graph.
type builder struct {
	m *Model
	*built
	err error
}

func build(m *Model) (*built, error) {
	b := &builder{m: m, built: &built{g: graph.New(), components: map[string]component{}, cos: graph.None, sin: graph.None}}
	b.tokens = b.g.Input("tokens")
	b.positions = b.g.Input("positions")
	b.mask = b.g.Optional("mask")
	b.wanted = b.g.Optional("wanted")
	x := b.embedding()
	for layer := range m.Spec.NLayers {
		b.blockIn = append(b.blockIn, x)
		x = b.block(layer, x)
	}
	b.blockIn = append(b.blockIn, x)
	x = b.norm("ln_final", m.Spec.FinalNorm(), x)
	first := b.g.Len()
	in := x
	x = b.stream("unembed.hook_in", x)
	w, bias, projection := b.param("unembed.weight"), b.param("unembed.bias"), b.g.Len()
	y := b.stream("unembed.hook_out", b.g.Apply("unembed", &op.Linear{}, x, w, bias))
	b.component("unembed", first, in, y)
	if limit := m.Spec.OutputSoftCap; limit > 0 {
		y = b.g.Apply("logits", &op.SoftCap{Limit: limit}, y)
	}
	b.logits = b.g.Apply("logits_wanted", &op.Take{}, y, b.wanted)
	b.g.FuseExact(projection, &op.Unembed{SoftCap: m.Spec.OutputSoftCap}, b.logits, x, w, bias, b.wanted)
	return b.built, b.err
}

// hook puts the hook point of that name on v.
func (b *builder) hook(name string, v graph.Value) graph.Value { return b.hookSized(name, v, false) }

// stream is hook for edges where all that goes on passes, so that a hook may change batch and position sizes.
func (b *builder) stream(name string, v graph.Value) graph.Value { return b.hookSized(name, v, true) }

func (b *builder) hookSized(name string, v graph.Value, resize bool) graph.Value {
	p, ok := b.m.Hooks.Lookup(name)
	if !ok {
		b.err = fmt.Errorf("model: the component tree has no hook point %s", name)
		return v
	}
	return b.g.Hook(name, p.Index, v, resize)
}

// component notes that the nodes from first on are callable by that name.
func (b *builder) component(name string, first int, in graph.Value, out ...graph.Value) {
	b.components[name] = component{first: first, last: b.g.Len(), in: in, out: out}
	if strings.HasPrefix(name, "blocks.") && (strings.Count(name, ".") == 1 || strings.HasSuffix(name, ".attn")) {
		b.g.AddPart(name, first, in, out, b.positions) // upstream passes them along
		return
	}
	b.g.AddPart(name, first, in, out)
}

func (b *builder) embedding() graph.Value {
	first := b.g.Len()
	ids := b.hook("embed.hook_in", b.tokens)
	x := b.g.Apply("embed", &op.Embed{Table: "embed.weight"}, ids, b.param("embed.weight"), b.like())
	x = b.stream("embed.hook_out", x)
	b.component("embed", first, b.tokens, x)
	b.embedded = x
	first = b.g.Len()
	if b.m.Spec.Position.Kind == arch.Learned {
		at := b.hook("pos_embed.hook_in", b.positions)
		p := b.g.Apply("pos_embed", &op.PosEmbed{Table: "pos_embed.weight"}, at, x, b.param("pos_embed.weight"))
		p = b.hook("pos_embed.hook_out", p)
		b.component("pos_embed", first, b.positions, p)
		return b.g.Apply("embed+pos", &op.Add{}, x, p)
	}
	b.rotary(x)
	return x
}

// rotary makes the tables of cosines and sines. Upstream passes the residual stream in only for its dtype: a tensor
// returned by a hook on hook_in changes nothing, an edit in place changes the stream itself.
func (b *builder) rotary(x graph.Value) {
	first := b.g.Len()
	p := b.m.Spec.Position
	if !p.Bare {
		b.hook("rotary_emb.hook_in", x)
	}
	table := &op.RopeTable{Divisor: p.Divisor, Scaling: p.AttentionScaling, Adjacent: p.AdjacentPairs}
	cs := b.g.ApplyN([]string{"cos", "sin"}, table, b.positions, b.param(invFreq), b.like())
	b.cos, b.sin = cs[0], cs[1]
	if !p.Bare {
		b.cos = b.hook("rotary_emb.hook_cos", cs[0])
		b.sin = b.hook("rotary_emb.hook_sin", cs[1])
		b.component("rotary_emb", first, x, b.cos, b.sin)
	}
}

func (b *builder) block(layer int, in graph.Value) graph.Value {
	name := fmt.Sprintf("blocks.%d", layer)
	first := b.g.Len()
	b.blockStart = append(b.blockStart, first)
	resid := b.stream(name+".hook_in", in)
	normed := b.norm(name+".ln1", b.m.Spec.Norm, resid)
	written := b.attention(layer, normed, resid)
	out := b.addTo(name+".resid_mid", resid, written)
	if !b.m.Spec.AttnOnly {
		mid, x := out, out
		if b.m.Spec.Config.UseHookMLPIn {
			x = b.hook(name+".hook_mlp_in", x)
		}
		normed = b.norm(name+".ln2", b.m.Spec.Norm, x)
		written = b.mlp(name+".mlp", normed)
		out = b.addTo(name+".resid_post", mid, written)
	}
	out = b.stream(name+".hook_out", out)
	b.component(name, first, in, out)
	return out
}

// written is what a sublayer adds to the residual stream, with what is needed to add it in one product.
type written struct {
	value, input graph.Value // behind the last hook; input of the last projection (None: cannot be fused)
	projection   *op.Linear
	w, bias      graph.Value // of the projection
	first        int         // its node
}

// addTo adds what a sublayer wrote to the stream; the last projection does it itself while nobody looks between.
func (b *builder) addTo(name string, resid graph.Value, w written) graph.Value {
	out := b.g.Apply(name, &op.Add{}, resid, w.value)
	if w.input != graph.None {
		b.g.Fuse(w.first, w.projection, out, w.input, w.w, w.bias, resid)
	}
	return out
}

// normKind is the operation's word for a kind of norm that divides.
func normKind(n arch.Norm) op.NormKind {
	if n.Kind == arch.RMSNorm {
		return op.RMSNorm
	}
	return op.LayerNorm
}

// norm appends a normalisation with its four hook points; where nothing is normalised there are two.
func (b *builder) norm(name string, spec arch.Norm, in graph.Value) graph.Value {
	kind := normKind(spec)
	w, bias, eps := b.param(name+".weight"), b.param(name+".bias"), spec.Eps
	first := b.g.Len()
	x := b.hookSized(name+".hook_in", in, name == "ln_final")
	if spec.Kind == arch.NoNorm {
		y := b.hookSized(name+".hook_out", x, name == "ln_final")
		b.component(name, first, in, y)
		return y
	}
	steps := b.g.Len()
	scale := b.hook(name+".hook_scale", b.g.Apply(name+".scale", &op.NormScale{Kind: kind, Eps: eps}, x))
	normalized := b.g.Apply(name+".normalized", &op.Normalize{Kind: kind, Whole: spec.Plain}, x, scale)
	normalized = b.hook(name+".hook_normalized", normalized)
	y := normalized
	if !spec.Plain {
		y = b.g.Apply(name, &op.Affine{}, normalized, w, bias)
	}
	b.g.FuseExact(steps, &op.Norm{Kind: kind, Eps: eps}, y, x, w, bias) // the edges inside are not rounded
	y = b.hook(name+".hook_out", y)
	b.component(name, first, in, y)
	return y
}

// linear appends a projection with its two hook points. heads 0 keeps [batch, pos, out].
func (b *builder) linear(name string, in graph.Value, heads int) written {
	first := b.g.Len()
	x := b.hook(name+".hook_in", in)
	projection, w, bias := &op.Linear{Heads: heads}, b.param(name+".weight"), b.param(name+".bias")
	at := b.g.Len()
	y := b.hook(name+".hook_out", b.g.Apply(name, projection, x, w, bias))
	b.component(name, first, in, y)
	return written{value: y, input: x, projection: projection, w: w, bias: bias, first: at}
}

// mlp appends a plain or a gated MLP.
func (b *builder) mlp(name string, in graph.Value) written {
	spec := b.m.Spec.MLP
	first := b.g.Len()
	x := b.hook(name+".hook_in", in)
	var post graph.Value
	if spec.Gated {
		gate := b.linear(name+".gate", x, 0).value
		up := b.linear(name+".in", x, 0).value
		if spec.Act == arch.SoLU {
			post = b.g.Apply(name+".post", &op.Mul{}, b.activation(name+".gated", gate), up)
		} else {
			post = b.g.Apply(name+".post", &op.Gate{Kind: string(spec.Act)}, gate, up)
		}
	} else {
		post = b.activation(name+".post", b.linear(name+".in", x, 0).value)
	}
	if spec.Norm {
		post = b.norm(name+".ln", arch.Norm{Kind: arch.LayerNorm, Eps: b.m.Spec.Norm.Eps, Bias: true}, post)
	}
	w := b.linear(name+".out", post, 0)
	w.value = b.hook(name+".hook_out", w.value)
	b.component(name, first, in, w.value)
	return w
}

// activation applies the MLP's function.
func (b *builder) activation(name string, in graph.Value) graph.Value {
	if b.m.Spec.MLP.Act == arch.SoLU {
		return b.g.Apply(name, &op.SoLU{}, in)
	}
	return b.g.Apply(name, &op.Activation{Kind: string(b.m.Spec.MLP.Act)}, in)
}
