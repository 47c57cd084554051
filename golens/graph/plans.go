// Plans: those of a graph that were made before, so that a question that was asked before is planned no more.
package graph

import (
	"container/list"
	"sync"
)

// plansKept is how many plans a graph keeps: a sweep over every head of a large model asks for about as many.
const plansKept = 256

// plans finds plans by the keys of their questions; the one that was not asked for the longest goes first.
type plans struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of *Plan, the last asked for in front
	key   []byte    // memory for keys to look up
	Made  int       // how many plans were made
}

// Plan is the steps that answer a question: those of an equal question before it, or new ones.
func (g *Graph) Plan(q *Question) (*Plan, error) {
	c := &g.plans
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = q.appendKey(c.key[:0])
	if e, ok := c.byKey[string(c.key)]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*Plan), nil
	}
	p, err := newPlan(g, q.clone())
	if err != nil {
		return nil, err
	}
	c.Made++
	if c.byKey == nil {
		c.byKey = map[string]*list.Element{}
	}
	p.key = string(c.key)
	c.byKey[p.key] = c.order.PushFront(p)
	if c.order.Len() > plansKept {
		oldest := c.order.Remove(c.order.Back()).(*Plan)
		delete(c.byKey, oldest.key)
	}
	return p, nil
}

// PlansMade is how many plans the graph has made since it was built.
func (g *Graph) PlansMade() int {
	g.plans.mu.Lock()
	defer g.plans.mu.Unlock()
	return g.plans.Made
}
