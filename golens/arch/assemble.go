// This file builds a Spec's Tree and WeightMap together, component by component in registry order, so that a family
// file only lists its components and the tensors that they are made of.

package arch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// assembler collects components and the tensors that they need.
type assembler struct {
	transposed Transposed
	wanted     map[string]bool // names in weights.Tensors
	tree       Tree
	weights    WeightMap
	silent     []string // endings of hook names that never fire in this family
	readOnly   string   // ending of hook names whose values nothing reads any more
}

// newAssembler starts one. prefix is what checkpoints may lack before their names, ignorable are patterns of tensors
// that hold no weight.
func newAssembler(transposed Transposed, prefix string, ignorable ...string) *assembler {
	a := &assembler{transposed: transposed, wanted: map[string]bool{}}
	a.tree.index = map[string]int{}
	a.weights.Refs = map[string]Ref{}
	a.weights.prefix = prefix
	for _, pattern := range ignorable {
		a.weights.ignorable = append(a.weights.ignorable, regexp.MustCompile(pattern))
	}
	return a
}

// add places a component with its class's hooks.
func (a *assembler) add(name, className string, views ...View) {
	a.place(name, className, classes[className].hooks, views)
}

// place places a component with these hooks.
func (a *assembler) place(name, className string, hooks []string, views []View) {
	c := Component{Name: name, Class: className, Views: views}
	for _, hook := range hooks {
		full := name + "." + hook
		silent := slices.ContainsFunc(a.silent, func(end string) bool { return strings.HasSuffix(full, end) })
		h := Hook{Name: full, Gate: gates[hook], Silent: silent, ReadOnly: a.readOnly != "" && strings.HasSuffix(full, a.readOnly)}
		for end, flags := range replaced {
			if strings.HasSuffix(full, end) {
				h.Unless = flags
			}
		}
		c.Hooks = append(c.Hooks, h)
	}
	a.tree.index[name] = len(a.tree.Components)
	a.tree.Components = append(a.tree.Components, c)
}

// want notes that the checkpoint must have a tensor, and gives its name.
func (a *assembler) want(name string, shape ...int) string {
	if !a.wanted[name] {
		a.wanted[name] = true
		a.weights.Tensors = append(a.weights.Tensors, Tensor{Name: name, Shape: shape})
	}
	return name
}

// parameter notes where a parameter lies.
func (a *assembler) parameter(name string, ref Ref) { a.weights.Refs[name] = ref }

// table places an embedding-like component: one matrix [rows, width], also under the name of its W_ view.
func (a *assembler) table(name, className, tensor, view string, rows, width int) {
	tensor = a.want(tensor, rows, width)
	a.parameter(name+".weight", Ref{Name: tensor, Layout: Table})
	slot := matrix(tensor, rows, width)
	a.add(name, className, View{Name: "weight", Slot: slot}, View{Name: view, Slot: slot})
}

// norm places a norm; bias only where the family's norms have one.
func (a *assembler) norm(name, className, tensor string, width int, bias bool) {
	weight := a.want(tensor+".weight", width)
	a.parameter(name+".weight", Ref{Name: weight, Layout: Vector})
	views := []View{{Name: "weight", Slot: vector(weight, 0, width)}, {Name: "w", Slot: vector(weight, 0, width)}}
	if bias {
		b := a.want(tensor+".bias", width)
		a.parameter(name+".bias", Ref{Name: b, Layout: Vector})
		views = append(views, View{Name: "bias", Slot: vector(b, 0, width)}, View{Name: "b", Slot: vector(b, 0, width)})
	}
	a.add(name, className, views...)
}

// unembed places the unembedding, tied to the embedding's tensor where tied. It never has a bias of its own in these
// families; reading one gives zeros.
func (a *assembler) unembed(tensor, embedding string, vocab, width int, tied bool) {
	tensor = a.want(tensor, vocab, width)
	a.parameter("unembed.weight", Ref{Name: tensor, Layout: OutIn})
	if tied {
		a.weights.Tensors[len(a.weights.Tensors)-1].TiedTo = embedding
	}
	zeros := Slot{Shape: []int{vocab}}
	a.add("unembed", "UnembeddingBridge",
		View{Name: "weight", Slot: matrix(tensor, vocab, width)}, View{Name: "bias", Kind: Zeros, Slot: zeros},
		View{Name: "W_U", Slot: transposed(tensor, vocab, width)}, View{Name: "b_U", Kind: Zeros, Slot: zeros})
}

// linear is a projection before it is placed.
type linear struct {
	tensor  string // without ".weight"
	layout  Layout
	in, out int // of the checkpoint tensor
	bias    bool
	// offset and columns cut a projection out of a joint one; columns 0 is all of it.
	offset, columns int
}

func (l linear) width() int {
	if l.columns != 0 {
		return l.columns
	}
	return l.out
}

// project places a LinearBridge.
func (a *assembler) project(name string, l linear) {
	l = a.asStored(l)
	weight, bias := a.wantLinear(l)
	a.parameter(name+".weight", Ref{Name: weight, Layout: l.layout, ColumnOffset: l.offset, Columns: l.columns})
	views := []View{{Name: "weight", Slot: l.stored(weight)}, {Name: "bias", Kind: None}}
	if l.bias {
		a.parameter(name+".bias", Ref{Name: bias, Layout: Vector, ColumnOffset: l.offset, Columns: l.columns})
		views[1] = View{Name: "bias", Slot: vector(bias, l.offset, l.width())}
	}
	a.add(name, "LinearBridge", views...)
}

// wantLinear gives the checkpoint names of a projection's weight and bias ("" without one).
func (a *assembler) wantLinear(l linear) (weight, bias string) {
	shape := []int{l.out, l.in}
	if l.layout == InOut {
		shape = []int{l.in, l.out}
	}
	weight = a.want(l.tensor+".weight", shape...)
	if l.bias {
		bias = a.want(l.tensor+".bias", l.out)
	}
	return weight, bias
}

// asStored turns a projection into the layout that the checkpoint at hand has.
func (a *assembler) asStored(l linear) linear {
	if a.transposed != nil && a.transposed(l.tensor+".weight") {
		if l.layout == InOut {
			l.layout = OutIn
		} else {
			l.layout = InOut
		}
	}
	return l
}

// stored is the projection as its component shows it: in the checkpoint's layout, but a part of a joint one as
// [out, in] (upstream makes torch Linears of the parts).
func (l linear) stored(tensor string) Slot {
	switch {
	case l.layout == OutIn:
		return Slot{Tensor: tensor, Shape: []int{l.width(), l.in}, Strides: []int{l.in, 1}, Offset: l.offset * l.in}
	case l.columns != 0:
		return Slot{Tensor: tensor, Shape: []int{l.width(), l.in}, Strides: []int{1, l.out}, Offset: l.offset}
	}
	return matrix(tensor, l.in, l.out)
}

// perHead is W_Q, W_K, W_V: [heads, in, d_head].
func (l linear) perHead(tensor string, heads int) Slot {
	e := l.width() / heads
	if l.layout == OutIn {
		return Slot{Tensor: tensor, Shape: []int{heads, l.in, e}, Strides: []int{e * l.in, 1, l.in}, Offset: l.offset * l.in}
	}
	return Slot{Tensor: tensor, Shape: []int{heads, l.in, e}, Strides: []int{e, l.out, 1}, Offset: l.offset}
}

// fromHeads is W_O: [heads, d_head, out].
func (l linear) fromHeads(tensor string, heads int) Slot {
	e := l.in / heads
	if l.layout == OutIn {
		return Slot{Tensor: tensor, Shape: []int{heads, e, l.out}, Strides: []int{e, 1, l.in}}
	}
	return Slot{Tensor: tensor, Shape: []int{heads, e, l.out}, Strides: []int{e * l.out, l.out, 1}}
}

// inOut is W_in, W_gate, W_out: [in, out].
func (l linear) inOut(tensor string) Slot {
	if l.layout == OutIn {
		return transposed(tensor, l.out, l.in)
	}
	return matrix(tensor, l.in, l.out)
}

// attention has the parts of one layer's attention; joint, when it has a tensor, is where q, k and v are cut from.
type attention struct {
	class          string
	q, k, v, o     linear
	joint          linear
	heads, kvHeads int
	more           []string // hook points besides the class's
}

// attention places an attention component and its projections.
func (a *assembler) attention(name string, t attention) {
	a.place(name, t.class, slices.Concat(classes[t.class].hooks, t.more), a.attentionViews(t))
	a.project(name+".q", t.q)
	a.project(name+".k", t.k)
	a.project(name+".v", t.v)
	if t.joint.tensor != "" {
		a.project(name+".qkv", t.joint)
	}
	a.project(name+".o", t.o)
}

// attentionViews gives W_Q, b_Q, ... W_O, b_O.
func (a *assembler) attentionViews(t attention) []View {
	var views []View
	for _, p := range []struct {
		letter string
		linear linear
		heads  int
	}{{"Q", t.q, t.heads}, {"K", t.k, t.kvHeads}, {"V", t.v, t.kvHeads}} {
		l := a.asStored(p.linear)
		weight, bias := a.wantLinear(l)
		views = append(views, View{Name: "W_" + p.letter, Slot: l.perHead(weight, p.heads)})
		if bias == "" {
			views = append(views, View{Name: "b_" + p.letter, Kind: None})
			continue
		}
		e := l.width() / p.heads
		views = append(views, View{Name: "b_" + p.letter, Slot: Slot{Tensor: bias, Shape: []int{p.heads, e},
			Strides: []int{e, 1}, Offset: l.offset}})
	}
	o := a.asStored(t.o)
	weight, bias := a.wantLinear(o)
	return append(views, View{Name: "W_O", Slot: o.fromHeads(weight, t.heads)}, biasView("b_O", bias, o.out))
}

// mlp places an MLP and its projections; gate is nil for a plain one, whose W_gate reads as None.
func (a *assembler) mlp(name string, gate *linear, in, out linear) {
	views := []View{}
	show := func(suffix string, l linear) {
		l = a.asStored(l)
		weight, bias := a.wantLinear(l)
		views = append(views, View{Name: "W_" + suffix, Slot: l.inOut(weight)}, biasView("b_"+suffix, bias, l.out))
	}
	className := "MLPBridge"
	if gate != nil {
		className = "GatedMLPBridge"
		show("gate", *gate)
	} else {
		views = append(views, View{Name: "W_gate", Kind: None})
	}
	show("in", in)
	show("out", out)
	a.add(name, className, views...)
	if gate != nil {
		a.project(name+".gate", *gate)
	}
	a.project(name+".in", in)
	a.project(name+".out", out)
}

func biasView(name, tensor string, n int) View {
	if tensor == "" {
		return View{Name: name, Kind: None}
	}
	return View{Name: name, Slot: vector(tensor, 0, n)}
}

// finish fills in aliases and the order of the state_dict. blockOrder is the order of a block's components in
// upstream's state_dict.
func (a *assembler) finish(layers int, blockOrder ...string) (Tree, WeightMap) {
	t := &a.tree
	for _, alias := range rootAliases {
		for _, target := range alias.targets {
			if _, ok := t.index[strings.TrimSuffix(target, ".hook_out")]; ok {
				t.Aliases = append(t.Aliases, Alias{Name: alias.name, Target: target})
				break
			}
		}
	}
	for _, c := range t.Components {
		for _, alias := range classes[c.Class].aliases {
			if target := c.Name + "." + alias[1]; t.hasHook(target) { // a block without an MLP has no alias into it
				t.Aliases = append(t.Aliases, Alias{Name: c.Name + "." + alias[0], Target: target})
			}
		}
	}
	a.stateDict(layers, blockOrder)
	return a.tree, a.weights
}

func (a *assembler) stateDict(layers int, blockOrder []string) {
	list := func(name string) {
		c, ok := a.tree.Component(name)
		if !ok {
			return
		}
		for _, attribute := range []string{"weight", "bias"} {
			if v, ok := c.View(attribute); ok && v.Kind != None {
				a.tree.StateDict = append(a.tree.StateDict, name+"."+attribute)
			}
		}
	}
	list("embed")
	list("pos_embed")
	for i := range layers {
		for _, name := range blockOrder {
			list(fmt.Sprintf("blocks.%d.%s", i, name))
		}
	}
	list("ln_final")
	list("unembed")
}

func matrix(tensor string, rows, columns int) Slot {
	return Slot{Tensor: tensor, Shape: []int{rows, columns}, Strides: []int{columns, 1}}
}

func transposed(tensor string, rows, columns int) Slot {
	return Slot{Tensor: tensor, Shape: []int{columns, rows}, Strides: []int{1, columns}}
}

func vector(tensor string, offset, n int) Slot {
	return Slot{Tensor: tensor, Shape: []int{n}, Strides: []int{1}, Offset: offset}
}
