// Table: handles for things that live in Go.
package pybind

import (
	"fmt"
	"sync"
)

// table hands out numbers for values; a number is never used twice.
type table[T any] struct {
	what   string
	mu     sync.RWMutex
	values map[int64]T
	last   int64
}

func newTable[T any](what string) *table[T] { return &table[T]{what: what, values: map[int64]T{}} }

func (t *table[T]) add(v T) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.values[t.last] = v
	return t.last
}

func (t *table[T]) get(h int64) (T, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.find(h)
}

// take is get, and ends the handle: of several who take it, one gets the value.
func (t *table[T]) take(h int64) (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, err := t.find(h)
	delete(t.values, h)
	return v, err
}

// find looks a value up; the lock is held.
func (t *table[T]) find(h int64) (T, error) {
	v, ok := t.values[h]
	if !ok {
		return v, fmt.Errorf("%d is no %s that is open (it may have been closed)", h, t.what)
	}
	return v, nil
}

func (t *table[T]) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.values)
}
