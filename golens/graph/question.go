// Question: what is asked of a graph, as data, so that the plan that answers it can be found again.
package graph

import (
	"encoding/binary"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Question is one use of a graph: what is given, what is wanted, who watches. It holds no shapes and no tensors.
type Question struct {
	Given  bitset.Set // values that are there when the run begins
	Want   []Value
	Keep   bitset.Set // points whose values are kept, each after its hooks
	Called bitset.Set // points at which hooks are called
	Parts  bitset.Set // stretches that somebody else computes; hooks and kept edges inside are then the callee's business
	// Active bounds the nodes at which hooks are called and edges kept: those of a component that is called by
	// itself, or from the layer on where a run starts. None means all. Nodes outside run if their values are needed.
	Active []Range
	DType  tensor.DType // of activations: what a fusion may stand for depends on it
	Plain  bool         // run node by node, without fusion or pruning: the same bits, slower
	Start  int          // the node to begin at: of a run whose hooks changed, the rest is a question of its own
	Moving bool         // the rest is to go on in another graph: all that is active runs until it does
}

// Range is the nodes First to Last-1.
type Range struct{ First, Last int }

// Key is a string that questions have in common if and only if their answers are planned alike.
func (q *Question) Key() string { return string(q.appendKey(nil)) }

func (q *Question) appendKey(to []byte) []byte {
	flags := byte(0)
	if q.Plain {
		flags |= 1
	}
	if q.Moving {
		flags |= 2
	}
	to = append(to, flags, byte(q.DType))
	to = binary.AppendUvarint(to, uint64(q.Start))
	for _, set := range []bitset.Set{q.Given, q.Keep, q.Called, q.Parts} {
		to = set.AppendKey(to)
	}
	to = binary.AppendUvarint(to, uint64(len(q.Active)))
	for _, r := range q.Active {
		to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(r.First)), uint64(r.Last))
	}
	for _, v := range q.Want {
		to = binary.AppendUvarint(to, uint64(v))
	}
	return to
}

// clone is a question that shares no memory with q.
func (q *Question) clone() Question {
	own := *q
	for _, set := range []*bitset.Set{&own.Given, &own.Keep, &own.Called, &own.Parts} {
		*set = append(bitset.Set(nil), *set...)
	}
	own.Want = append([]Value(nil), q.Want...)
	own.Active = append([]Range(nil), q.Active...)
	return own
}

// active reports whether hooks are called at a node.
func active(ranges []Range, node int) bool {
	for _, r := range ranges {
		if node >= r.First && node < r.Last {
			return true
		}
	}
	return len(ranges) == 0
}

// keeps and calls say whether the value at a hook point is kept, and whether its hooks are called.
func (q *Question) keeps(g *Graph, n *Node) bool { return q.Keep.Has(n.Point) && q.inRange(g, n) }
func (q *Question) calls(g *Graph, n *Node) bool { return q.Called.Has(n.Point) && q.inRange(g, n) }

func (q *Question) inRange(g *Graph, n *Node) bool { return active(q.Active, g.Edges[n.Point].Node) }

// Inputs are the values that a run is given, borrowed for it.
type Inputs []Input

// Input is a value that a run is given.
type Input struct {
	Value   Value
	T       *tensor.Tensor
	Through bool // what hooks write to it in place is written to T at the end of the run
}

// Put adds a value, or takes another tensor for it; None is left out.
func (in *Inputs) Put(v Value, t *tensor.Tensor) {
	if v == None {
		return
	}
	for i := range *in {
		if (*in)[i].Value == v {
			(*in)[i] = Input{Value: v, T: t}
			return
		}
	}
	*in = append(*in, Input{Value: v, T: t})
}

// Get is a value's tensor, or nil.
func (in Inputs) Get(v Value) *tensor.Tensor {
	for i := range in {
		if in[i].Value == v {
			return in[i].T
		}
	}
	return nil
}

// Values are the values that are given.
func (in Inputs) Values() bitset.Set {
	var s bitset.Set
	for i := range in {
		s.Add(int(in[i].Value))
	}
	return s
}
