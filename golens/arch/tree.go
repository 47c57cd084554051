// This file has the component tree: which modules a model has, under which names, with which hook points, aliases and
// parameter views. The names, classes and orders are transformer_lens's (facts to agree with, tested against it).

package arch

import (
	"slices"
	"strings"
)

// Tree lists a model's components in the order of upstream's hook registry.
type Tree struct {
	Components []Component
	Aliases    []Alias  // in the order in which hook_dict lists them
	StateDict  []string // parameter names in the order of upstream's state_dict: "blocks.0.attn.q.weight"

	index map[string]int
}

// Component is one module: "blocks.0.attn" of class JointQKVAttentionBridge.
type Component struct {
	Name  string
	Class string
	Hooks []Hook
	Views []View
}

// Hook is one hook point that a component owns.
type Hook struct {
	Name string // whole: "blocks.0.attn.hook_result"
	// Gate is the config flag without which it never fires ("use_attn_result"); "" for none.
	Gate string
	// Unless are config flags with which it does not fire (hook_result takes the place of o.hook_out).
	Unless []string
	// Silent hook points exist and can be looked up, but no run of this family fires them.
	Silent bool
	// ReadOnly hook points show a value that has been used already: edits there reach nothing.
	ReadOnly bool
}

// Alias is another name of a hook point: blocks.0.hook_resid_pre of blocks.0.hook_in.
type Alias struct{ Name, Target string }

// ViewKind says what reading a parameter attribute gives.
type ViewKind uint8

// Stored: a view of a checkpoint tensor. None: Python's None. Zeros: a fresh tensor of zeros of Slot.Shape.
// An attribute that is not listed does not exist (AttributeError).
const (
	Stored ViewKind = iota
	None
	Zeros
)

// String gives the kind's name.
func (k ViewKind) String() string { return [...]string{"stored", "none", "zeros"}[k] }

// MarshalText lets JSON carry the kind by name.
func (k ViewKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// View is one parameter attribute of a component: "weight", "W_Q", "b_in", ...
type View struct {
	Name string
	Kind ViewKind
	Slot Slot
}

// Slot says where a tensor lies: which elements of which checkpoint tensor. Strides and Offset count elements.
type Slot struct {
	Tensor  string
	Shape   []int
	Strides []int
	Offset  int
}

// Component finds a component by name.
func (t *Tree) Component(name string) (Component, bool) {
	i, ok := t.index[name]
	if !ok {
		return Component{}, false
	}
	return t.Components[i], true
}

func (t *Tree) hasHook(name string) bool {
	owner, _ := t.Component(name[:strings.LastIndex(name, ".")])
	return slices.ContainsFunc(owner.Hooks, func(h Hook) bool { return h.Name == name })
}

// HookNames lists every canonical hook name in hook_dict's order; aliases follow after them.
func (t *Tree) HookNames() []string {
	var names []string
	for _, c := range t.Components {
		for _, h := range c.Hooks {
			names = append(names, h.Name)
		}
	}
	return names
}

// Fires says whether the component has a hook point of that name which is not silent.
func (c Component) Fires(hook string) bool {
	return slices.ContainsFunc(c.Hooks, func(h Hook) bool { return h.Name == hook && !h.Silent })
}

// View finds a component's parameter attribute; false where reading it is an AttributeError.
func (c Component) View(name string) (View, bool) {
	for _, v := range c.Views {
		if v.Name == name {
			return v, true
		}
	}
	return View{}, false
}

// class says which hook points and aliases every component of a class has. Hooks are in registration order;
// aliases, relative to the component, in hook_dict's order.
type class struct {
	hooks   []string
	aliases [][2]string
}

var attentionHooks = []string{
	"hook_in", "hook_out", "hook_attn_scores", "hook_pattern", "hook_hidden_states", "hook_result", "hook_attn_in",
	"hook_q_input", "hook_k_input", "hook_v_input",
}

var attentionAliases = [][2]string{
	{"hook_k", "k.hook_out"}, {"hook_q", "q.hook_out"}, {"hook_v", "v.hook_out"}, {"hook_z", "o.hook_in"},
}

var normHooks = []string{"hook_in", "hook_out", "hook_normalized", "hook_scale"}

var classes = map[string]class{
	"EmbeddingBridge":        {hooks: []string{"hook_in", "hook_out"}},
	"PosEmbedBridge":         {hooks: []string{"hook_in", "hook_out"}},
	"RotaryEmbeddingBridge":  {hooks: []string{"hook_in", "hook_out", "hook_cos", "hook_sin"}},
	"LinearBridge":           {hooks: []string{"hook_in", "hook_out"}},
	"UnembeddingBridge":      {hooks: []string{"hook_in", "hook_out"}},
	"NormalizationBridge":    {hooks: normHooks},
	"RMSNormalizationBridge": {hooks: normHooks},
	"BlockBridge": {
		hooks: []string{"hook_in", "hook_out", "hook_mlp_in"},
		aliases: [][2]string{
			{"hook_attn_in", "attn.hook_attn_in"}, {"hook_attn_out", "attn.hook_out"},
			{"hook_k_input", "attn.hook_k_input"}, {"hook_mlp_out", "mlp.hook_out"},
			{"hook_q_input", "attn.hook_q_input"}, {"hook_resid_mid", "ln2.hook_in"},
			{"hook_resid_post", "hook_out"}, {"hook_resid_pre", "hook_in"}, {"hook_v_input", "attn.hook_v_input"},
		},
	},
	"AttentionBridge":         {hooks: attentionHooks, aliases: attentionAliases},
	"GeneralizedComponent":    {hooks: []string{"hook_in", "hook_out"}},
	"LayerNormPreBridge":      {hooks: normHooks},
	"RMSNormPreBridge":        {hooks: normHooks},
	"JointQKVAttentionBridge": {hooks: attentionHooks, aliases: attentionAliases},
	"PositionEmbeddingsAttentionBridge": {
		hooks:   slices.Concat(attentionHooks, []string{"hook_rot_k", "hook_rot_q", "hook_cos", "hook_sin"}),
		aliases: attentionAliases,
	},
	"MLPBridge": {
		hooks:   []string{"hook_in", "hook_out"},
		aliases: [][2]string{{"hook_post", "out.hook_in"}, {"hook_pre", "in.hook_out"}},
	},
	"GatedMLPBridge": {
		hooks: []string{"hook_in", "hook_out"},
		aliases: [][2]string{
			{"hook_post", "out.hook_in"}, {"hook_pre", "gate.hook_out"}, {"hook_pre_linear", "in.hook_out"},
		},
	},
}

// gates are the hook points that fire only under a flag of the config.
var gates = map[string]string{
	"hook_result": "use_attn_result", "hook_attn_in": "use_attn_in", "hook_q_input": "use_split_qkv_input",
	"hook_k_input": "use_split_qkv_input", "hook_v_input": "use_split_qkv_input", "hook_mlp_in": "use_hook_mlp_in",
}

// replaced are hook points, by the ending of their names, that do not fire under some flags of the config.
var replaced = map[string][]string{
	"attn.o.hook_out": {"use_attn_result"},
	"attn.q.hook_in":  {"use_attn_in", "use_split_qkv_input"},
	"attn.k.hook_in":  {"use_attn_in", "use_split_qkv_input"},
	"attn.v.hook_in":  {"use_attn_in", "use_split_qkv_input"},
}

// rootAliases are the model's own, in hook_dict's order; each takes the first target that exists.
var rootAliases = []struct {
	name    string
	targets []string
}{
	{"hook_embed", []string{"embed.hook_out"}},
	{"hook_pos_embed", []string{"pos_embed.hook_out", "rotary_emb.hook_out"}},
	{"hook_unembed", []string{"unembed.hook_out"}},
}
