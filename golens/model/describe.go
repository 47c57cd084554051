// Describe: the component tree, hook points and parameters, for those who build modules over a model.
package model

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
)

// Description is a model's structure. Indices are those of Hooks.Points and Params.
type Description struct {
	Family     string                 `json:"family"`
	Config     *config.Config         `json:"cfg"`
	Components []ComponentDescription `json:"components"` // in upstream's registry order
	Points     []PointDescription     `json:"points"`
	Aliases    [][2]string            `json:"aliases"`    // alias and canonical name, in hook_dict's order
	Windows    []int                  `json:"windows"`    // how far back attention looks in each layer; 0: all the way
	StateDict  []string               `json:"state_dict"` // "blocks.0.attn.q.weight", in upstream's order
	Warnings   []string               `json:"warnings"`   // what its user should hear of
}

// PointDescription is a hook point. Silent ones never fire in this family.
type PointDescription struct {
	Name   string `json:"name"`
	Gate   string `json:"gate"`
	Silent bool   `json:"silent"`
	Resize bool   `json:"resize"` // hooks may change batch and position sizes here
	// ReadOnly: the value has been used already, and edits reach nothing.
	ReadOnly bool `json:"read_only"`
}

// ComponentDescription is a module. Class is upstream's name for its kind.
type ComponentDescription struct {
	Name   string             `json:"name"`
	Class  string             `json:"class"`
	Hooks  []int              `json:"hooks"`
	Params []ParamDescription `json:"params"`
	Views  []ViewDescription  `json:"views"`
}

// ParamDescription is a parameter in the checkpoint's layout. Strides count elements.
type ParamDescription struct {
	Name    string `json:"name"`
	Index   int    `json:"index"`
	Shape   []int  `json:"shape"`
	Strides []int  `json:"strides"`
}

// ViewDescription is a parameter attribute such as W_Q: kind "stored" (a view of a component's parameter, Offset
// elements behind its first), "none" or "zeros".
type ViewDescription struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Component string `json:"component,omitempty"`
	Param     string `json:"param,omitempty"`
	Shape     []int  `json:"shape,omitempty"`
	Strides   []int  `json:"strides,omitempty"`
	Offset    int    `json:"offset"`
}

// Describe gives the structure as it is under the flags that are set now.
func (m *Model) Describe() (*Description, error) {
	m.mu.RLock() // flags, dtype and parameters are of one moment
	defer m.mu.RUnlock()
	if m.weights == nil {
		return nil, ErrClosed
	}
	tree := &m.Spec.Tree
	d := &Description{Family: m.Spec.Family, Config: m.Spec.Config, Aliases: m.Hooks.Aliases(), Windows: m.Spec.Attention.Windows,
		StateDict: tree.StateDict, Warnings: m.Spec.Warnings}
	owners := m.owners()
	for _, c := range tree.Components {
		cd := ComponentDescription{Name: c.Name, Class: c.Class, Hooks: []int{}, Params: []ParamDescription{}, Views: []ViewDescription{}}
		for _, h := range c.Hooks {
			cd.Hooks = append(cd.Hooks, len(d.Points))
			d.Points = append(d.Points, PointDescription{h.Name, h.Gate, h.Silent, m.built.g.Edges[len(d.Points)].Resize, h.ReadOnly})
		}
		for _, name := range []string{"weight", "bias"} {
			if i, ok := m.byName[c.Name+"."+name]; ok {
				cd.Params = append(cd.Params, ParamDescription{name, i, m.params[i].Shape, m.params[i].strides()})
			}
		}
		for _, v := range c.Views {
			if _, isParam := m.byName[c.Name+"."+v.Name]; !isParam {
				cd.Views = append(cd.Views, describeView(v, owners))
			}
		}
		d.Components = append(d.Components, cd)
	}
	return d, nil
}

// origin is where a parameter's memory begins.
type origin struct {
	tensor string
	offset int
}

// owners finds the parameter that begins at an origin; of several (a joint projection and its first part), the one
// listed first.
func (m *Model) owners() map[origin]Param {
	owners := map[origin]Param{}
	for _, p := range m.params {
		at := origin{p.view.Tensor, p.view.Offset}
		if _, taken := owners[at]; !taken {
			owners[at] = p.Param
		}
	}
	return owners
}

func describeView(v arch.View, owners map[origin]Param) ViewDescription {
	switch v.Kind {
	case arch.None:
		return ViewDescription{Name: v.Name, Kind: "none"}
	case arch.Zeros:
		return ViewDescription{Name: v.Name, Kind: "zeros", Shape: v.Slot.Shape}
	}
	owner := owners[origin{v.Slot.Tensor, v.Slot.Offset}]
	return ViewDescription{Name: v.Name, Kind: "stored", Component: owner.Component, Param: owner.Name, Shape: v.Slot.Shape, Strides: v.Slot.Strides}
}
