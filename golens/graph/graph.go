// Package graph is a model as the engine runs it: operations in upstream's order, values between them (weights
// included), and hook points as named edges. question.go says what can be asked, plan.go decides what that needs,
// run.go does it, outline.go tells of it. It knows no architecture.
package graph

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
)

// Value names one edge of a graph.
type Value int

// None stands for an optional input that is absent.
const None Value = -1

// Node is an operation, or (Op nil) a hook point, which passes its input on.
type Node struct {
	Op      op.Op
	Point   int // index of the hook point when Op is nil
	In, Out []Value
	Writes  int // 1 + which input is memory that the operation writes to where a question lends it; 0: none
}

// Fusion is one operation that may stand for the nodes First to Last while nothing inside them is looked at.
type Fusion struct {
	First, Last int
	Op          op.Op
	In          []Value
	Out         Value
	Exact       bool // in every dtype; else only in float32: others are rounded at the edges inside
}

// Edge is what the executor must know of a hook point beyond its node.
type Edge struct {
	Node   int  // index in Nodes
	Resize bool // a hook may change batch and position sizes here: a returned tensor passes on with its own
}

// Graph is built once for a model and its flags, and only read afterwards. Nodes are in execution order.
type Graph struct {
	Nodes   []Node
	Fusions []Fusion // by First
	Edges   map[int]Edge
	names   []string
	readers map[Value][]int // nodes that read a value
	byName  map[string]Value
	kinds   []kind // by value
	weights []int  // by value: which weight it is
	parts   []Part
	partOf  map[string]int
	plans   plans
}

// kind says where a value comes from, if not from a node.
type kind uint8

const (
	made     kind = iota // by a node, or given
	optional             // given, or absent
	lent                 // optional, and the caller's memory itself, not a copy
	weight               // of the environment
)

// always reports whether an operation may read a value that no node and no question gives.
func (g *Graph) always(v Value) bool { return g.kinds[v] != made }

// New makes an empty graph.
func New() *Graph {
	return &Graph{Edges: map[int]Edge{}, readers: map[Value][]int{}, byName: map[string]Value{}, partOf: map[string]int{}}
}

func (g *Graph) value(name string) Value {
	v := Value(len(g.names))
	for _, taken := g.byName[name]; taken; _, taken = g.byName[name] {
		name += "'"
	}
	g.names, g.kinds, g.weights = append(g.names, name), append(g.kinds, made), append(g.weights, -1)
	g.byName[name] = v
	return v
}

// Input declares a value that questions give.
func (g *Graph) Input(name string) Value { return g.value(name) }

// Optional declares a value that questions may give; operations get nil where it is absent.
func (g *Graph) Optional(name string) Value {
	v := g.value(name)
	g.kinds[v] = optional
	return v
}

// Weight is the value of the environment's weight with that index, which runs read as they come by, so that an edit
// is seen by every later step. No hook point may be on it.
func (g *Graph) Weight(name string, index int) Value {
	if v, ok := g.byName[name]; ok && g.kinds[v] == weight {
		return v
	}
	v := g.value(name)
	g.kinds[v], g.weights[v] = weight, index
	return v
}

// Lent declares an optional value that runs read, or write to, where it lies. No hook point may be on it.
func (g *Graph) Lent(name string) Value {
	v := g.value(name)
	g.kinds[v] = lent
	return v
}

// Value finds a value by name.
func (g *Graph) Value(name string) (Value, error) {
	v, ok := g.byName[name]
	if !ok {
		return None, fmt.Errorf("graph: no value %q", name)
	}
	return v, nil
}

// NameOf is a value's name.
func (g *Graph) NameOf(v Value) string {
	if v == None {
		return "none"
	}
	return g.names[v]
}

// Len is the number of nodes so far: the index that the next one will have.
func (g *Graph) Len() int { return len(g.Nodes) }

// Apply appends an operation of one output, whose value gets that name.
func (g *Graph) Apply(name string, o op.Op, in ...Value) Value {
	return g.ApplyN([]string{name}, o, in...)[0]
}

// ApplyN appends an operation of several outputs.
func (g *Graph) ApplyN(names []string, o op.Op, in ...Value) []Value {
	out := make([]Value, len(names))
	for i, name := range names {
		out[i] = g.value(name)
	}
	g.append(Node{Op: o, Point: -1, In: in, Out: out})
	return out
}

// ApplyTo is Apply of an operation that writes to its input with index writes, a lent value: it runs wherever that
// is lent.
func (g *Graph) ApplyTo(writes int, name string, o op.Op, in ...Value) Value {
	out := g.Apply(name, o, in...)
	g.Nodes[len(g.Nodes)-1].Writes = writes + 1
	return out
}

func (g *Graph) append(n Node) {
	for _, v := range n.In {
		g.readers[v] = append(g.readers[v], len(g.Nodes))
	}
	g.Nodes = append(g.Nodes, n)
}

// Hook appends a hook point on v and returns the edge behind it.
func (g *Graph) Hook(name string, point int, v Value, resize bool) Value {
	out := g.value(name)
	g.Edges[point] = Edge{Node: len(g.Nodes), Resize: resize}
	g.append(Node{Point: point, In: []Value{v}, Out: []Value{out}})
	g.AddPart(name, len(g.Nodes)-1, v, []Value{out})
	return out
}

// Fuse says that o may stand for all nodes from first on, in float32.
func (g *Graph) Fuse(first int, o op.Op, out Value, in ...Value) {
	g.Fusions = append(g.Fusions, Fusion{First: first, Last: len(g.Nodes) - 1, Op: o, In: in, Out: out})
}

// FuseExact is Fuse for an operation that has the bits of the nodes in every dtype.
func (g *Graph) FuseExact(first int, o op.Op, out Value, in ...Value) {
	g.Fuse(first, o, out, in...)
	g.Fusions[len(g.Fusions)-1].Exact = true
}
