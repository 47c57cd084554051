// Merging the symbols of one word, best pair first, in O(n log n) for a word of n symbols; and the
// cache of merged words.

package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// symbol is a token of the word being merged, in a list linked by index. length is 0 once it has
// been merged into its left neighbour.
type symbol struct{ id, prev, next, length int32 }

// candidate is a pair that can be merged. order is rank, then position: the lowest goes first.
type candidate struct {
	order uint64
	id    int32
}

// mergeWord is the working memory for one word.
type mergeWord struct {
	symbols []symbol
	heap    []candidate
}

var wordPool = sync.Pool{New: func() any { return new(mergeWord) }}

func (w *mergeWord) release() {
	if cap(w.symbols) < 1<<14 {
		w.symbols, w.heap = w.symbols[:0], w.heap[:0]
		wordPool.Put(w)
	}
}

func (w *mergeWord) add(id, length int32) {
	i := int32(len(w.symbols))
	if i > 0 {
		w.symbols[i-1].next = i
	}
	w.symbols = append(w.symbols, symbol{id: id, prev: i - 1, next: -1, length: length})
}

// mergeAll merges until no pair is left. A candidate is stale when its pair has changed meanwhile.
func (w *mergeWord) mergeAll(merges *mergeTable) {
	s := w.symbols
	for i := 0; i+1 < len(s); i++ {
		if m, ok := merges.get(s[i].id, s[i+1].id); ok {
			w.heap = append(w.heap, candidate{uint64(uint32(m.rank))<<32 | uint64(i), m.id})
		}
	}
	for i := len(w.heap)/2 - 1; i >= 0; i-- {
		w.down(i)
	}
	for len(w.heap) > 0 {
		top := w.pop()
		pos := int32(uint32(top.order))
		left := &s[pos]
		if left.length == 0 || left.next < 0 {
			continue
		}
		right := &s[left.next]
		if m, ok := merges.get(left.id, right.id); !ok || m.id != top.id {
			continue
		}
		left.id = top.id
		left.length += right.length
		left.next = right.next
		right.length = 0
		if left.next >= 0 {
			s[left.next].prev = pos
			w.offer(merges, pos, left.id, s[left.next].id)
		}
		if left.prev >= 0 {
			w.offer(merges, left.prev, s[left.prev].id, left.id)
		}
	}
}

func (w *mergeWord) offer(merges *mergeTable, pos, a, b int32) {
	if m, ok := merges.get(a, b); ok {
		w.heap = append(w.heap, candidate{uint64(uint32(m.rank))<<32 | uint64(uint32(pos)), m.id})
		w.up(len(w.heap) - 1)
	}
}

func (w *mergeWord) pop() candidate {
	h := w.heap
	top, last := h[0], len(h)-1
	h[0] = h[last]
	w.heap = h[:last]
	w.down(0)
	return top
}

func (w *mergeWord) up(i int) {
	h := w.heap
	c := h[i]
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].order <= c.order {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = c
}

func (w *mergeWord) down(i int) {
	h := w.heap
	if len(h) == 0 {
		return
	}
	c := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].order < h[child].order {
			child++
		}
		if c.order <= h[child].order {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = c
}

func (w *mergeWord) appendTokens(dst []token) []token {
	at := int32(0)
	for _, s := range w.symbols {
		if s.length > 0 {
			dst = append(dst, token{s.id, at, at + s.length})
			at += s.length
		}
	}
	return dst
}

const (
	cacheSlots   = 1 << 15
	cacheMaxWord = 256 // bytes; longer words hardly come again
)

// wordCache remembers words already merged. A slot holds the last word that fell on it, so the
// memory is bounded, and readers and writers need no lock.
type wordCache struct {
	once  sync.Once
	seed  maphash.Seed
	slots []atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word   string
	tokens []token
}

func (c *wordCache) slot(word string) *atomic.Pointer[cachedWord] {
	c.once.Do(func() {
		c.seed = maphash.MakeSeed()
		c.slots = make([]atomic.Pointer[cachedWord], cacheSlots)
	})
	return &c.slots[maphash.String(c.seed, word)%cacheSlots]
}

func (c *wordCache) get(word string) ([]token, bool) {
	if len(word) >= cacheMaxWord {
		return nil, false
	}
	if e := c.slot(word).Load(); e != nil && e.word == word {
		return e.tokens, true
	}
	return nil, false
}

func (c *wordCache) put(word string, tokens []token) {
	if len(word) < cacheMaxWord {
		// The word is a part of the whole text, which must not be kept alive for it.
		c.slot(word).Store(&cachedWord{strings.Clone(word), append([]token(nil), tokens...)})
	}
}
