// Outline: what a plan would do with values of some types, told without doing it.
package graph

import (
	"fmt"
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
)

// Outline is a plan as people read it, and what a run of it takes. Memory that hooks take is not in it.
type Outline struct {
	Steps      []OutlineStep
	Skipped    []string // values that are not computed, by name
	Operations int      // of floating point
	Allocated  int      // bytes taken in all, what is given copied included
	Peak       int      // bytes alive at once, kept ones included
	Kept       int      // bytes that are kept or returned
}

// OutlineStep is one step.
type OutlineStep struct {
	Name       string // of the value it makes
	Kind       StepKind
	Op         string   // the operation's name; "" at hook points and parts
	Inside     []string // values inside a fusion or a part, which nobody sees
	In, Out    []op.Type
	Called     bool // hooks are called here
	Kept       bool // the value is kept
	Operations int
	Bytes      int // of its outputs, what is shared with inputs apart
	Scratch    int // bytes beside them
}

// StepKind says what a step runs.
type StepKind string

// The kinds of steps.
const (
	StepOp    StepKind = "operation"
	StepFused StepKind = "fused"
	StepPoint StepKind = "hook point"
	StepPart  StepKind = "replaced"
)

// outliner follows a run through its steps.
type outliner struct {
	p     *Plan
	types []op.Type // by value
	holds []*memory // by value
	alive int
	out   Outline
}

// memory is what a value lies in; several may share it.
type memory struct{ bytes, users int }

// Outline tells of a run in that environment: of what is given, only the types are looked at.
func (p *Plan) Outline(env *Env) (*Outline, error) {
	o := &outliner{p: p, types: make([]op.Type, len(p.g.names)), holds: make([]*memory, len(p.g.names))}
	for v, k := range p.g.kinds {
		if k == weight {
			t, err := env.Weights.Weight(p.g.weights[v])
			if err != nil {
				return nil, err
			}
			o.types[v] = op.TypeOf(t)
			t.Release()
		}
	}
	for _, in := range env.Given {
		o.types[in.Value] = op.TypeOf(in.T)
		if !in.Through && p.g.kinds[in.Value] != lent {
			o.take(in.Value, bytesOf(o.types[in.Value]))
		}
	}
	for _, v := range p.dead {
		o.drop(v)
	}
	for i := range p.steps {
		if err := o.step(&p.steps[i]); err != nil {
			return nil, err
		}
	}
	for _, v := range p.q.Want {
		o.keep(v)
	}
	o.skipped()
	return &o.out, nil
}

// peak is the memory that a run took at once for given values of some types: the last ones that were asked about.
type peak struct {
	given []op.Type
	bytes int
}

// Peak is Outline's, remembered for the next run of the same shapes.
func (p *Plan) Peak(env *Env) (int, error) {
	if last := p.peak.Load(); last != nil && slices.EqualFunc(last.given, env.Given, func(t op.Type, in Input) bool {
		return t.DType == in.T.DType() && slices.Equal(t.Shape, in.T.Shape())
	}) {
		return last.bytes, nil
	}
	told, err := p.Outline(env)
	if err != nil {
		return 0, err
	}
	now := &peak{bytes: told.Peak}
	for _, in := range env.Given {
		now.given = append(now.given, op.Type{DType: in.T.DType(), Shape: slices.Clone(in.T.Shape())})
	}
	p.peak.Store(now)
	return now.bytes, nil
}

func bytesOf(t op.Type) int {
	if t.Absent() {
		return 0
	}
	return t.DType.Bytes(t.Len())
}

// take gives a value memory of its own.
func (o *outliner) take(v Value, bytes int) {
	o.drop(v)
	o.holds[v] = &memory{bytes, 1}
	o.alive += bytes
	o.out.Allocated += bytes
	o.out.Peak = max(o.out.Peak, o.alive)
}

// share gives a value the memory of another.
func (o *outliner) share(v, with Value) {
	m := o.holds[with]
	if m != nil {
		m.users++
	}
	o.drop(v)
	o.holds[v] = m
}

func (o *outliner) drop(v Value) {
	m := o.holds[v]
	o.holds[v] = nil
	if m == nil {
		return
	}
	if m.users--; m.users == 0 {
		o.alive -= m.bytes
	}
}

// keep holds a value's memory beyond the run.
func (o *outliner) keep(v Value) {
	o.out.Kept += bytesOf(o.types[v])
	if m := o.holds[v]; m != nil {
		m.users++
	}
}

func (o *outliner) step(s *step) error {
	g := o.p.g
	told := OutlineStep{Name: g.NameOf(s.out[0]), Called: s.called, Kept: s.kept, In: o.typesOf(s.in)}
	switch {
	case s.part != nil:
		told.Kind, told.Inside = StepPart, o.inside(s.part.First, s.part.Last, s.out)
		if err := o.inferPart(s.part); err != nil {
			return err
		}
		for _, v := range s.out {
			told.Bytes += bytesOf(o.types[v])
			o.take(v, bytesOf(o.types[v]))
		}
	case s.op != nil:
		told.Kind, told.Op = StepOp, s.op.Name()
		if s.fusion != nil {
			told.Kind, told.Inside = StepFused, o.inside(s.fusion.First, s.fusion.Last, s.out)
		}
		if err := o.operation(s, &told); err != nil {
			return err
		}
	default:
		told.Kind = StepPoint
		o.types[s.out[0]] = o.types[s.in[0]]
		o.share(s.out[0], s.in[0])
		if s.kept {
			o.keep(s.out[0])
		}
	}
	told.Out = o.typesOf(s.out)
	o.out.Operations += told.Operations
	if told.Kind != StepPoint || told.Called || told.Kept {
		o.out.Steps = append(o.out.Steps, told)
	}
	for _, v := range s.drop {
		o.drop(v)
	}
	return nil
}

// operation infers and counts what one operation takes.
func (o *outliner) operation(s *step, told *OutlineStep) error {
	types, err := s.op.Infer(told.In)
	if err != nil {
		return fmt.Errorf("%w (at %s)", err, told.Name)
	}
	cost := op.CostOf(s.op, told.In, types)
	told.Operations, told.Scratch = cost.Operations, cost.Scratch
	var alias []int
	if a, ok := s.op.(op.Aliaser); ok {
		alias = a.Alias(told.In)
	}
	for i, v := range s.out {
		o.types[v] = types[i]
		if alias != nil && alias[i] >= 0 {
			o.share(v, s.in[alias[i]])
			continue
		}
		told.Bytes += bytesOf(types[i])
		o.take(v, bytesOf(types[i]))
	}
	o.out.Peak = max(o.out.Peak, o.alive+cost.Scratch)
	o.out.Allocated += cost.Scratch
	return nil
}

// inferPart takes what a part gives to be what its nodes would.
func (o *outliner) inferPart(p *Part) error {
	for i := p.First; i <= p.Last; i++ {
		n := &o.p.g.Nodes[i]
		if n.Op == nil {
			o.types[n.Out[0]] = o.types[n.In[0]]
			continue
		}
		types, err := n.Op.Infer(o.typesOf(n.In))
		if err != nil {
			return fmt.Errorf("%w (in %s)", err, p.Name)
		}
		for j, v := range n.Out {
			o.types[v] = types[j]
		}
	}
	return nil
}

func (o *outliner) typesOf(values []Value) []op.Type {
	types := make([]op.Type, len(values))
	for i, v := range values {
		if v != None {
			types[i] = o.types[v]
		}
	}
	return types
}

// inside names the values of a stretch that do not come out of it.
func (o *outliner) inside(first, last int, out []Value) []string {
	var names []string
	for i := first; i <= last; i++ {
		for _, v := range o.p.g.Nodes[i].Out {
			if v != out[0] {
				names = append(names, o.p.g.NameOf(v))
			}
		}
	}
	return names
}

// skipped lists what no step makes, of the nodes that the question is about.
func (o *outliner) skipped() {
	runs := make([]bool, len(o.p.g.Nodes))
	for i := range o.p.steps {
		s := &o.p.steps[i]
		first := s.node
		switch {
		case s.fusion != nil:
			first = s.fusion.First
		case s.part != nil:
			first = s.part.First
		}
		for n := first; n <= s.node; n++ {
			runs[n] = true
		}
	}
	for i := o.p.q.Start; i < len(runs); i++ {
		if !runs[i] {
			for _, v := range o.p.g.Nodes[i].Out {
				o.out.Skipped = append(o.out.Skipped, o.p.g.NameOf(v))
			}
		}
	}
}
