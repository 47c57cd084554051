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
// been merged into its left neighbour. With the next symbol it makes the token pair by the merge of
// that rank; pair is noToken when they do not merge.
type symbol struct{ id, prev, next, length, pair, rank int32 }

// mergeWord is the working memory for one word. The heap has the pairs that can be merged as their
// rank, then their position: the lowest goes first.
type mergeWord struct {
	symbols []symbol
	heap    []uint64
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

// mergeAll merges until no pair is left.
func (w *mergeWord) mergeAll(merges *mergeTable) {
	s := w.symbols
	for i := range s {
		if w.findPair(merges, int32(i)) {
			w.heap = append(w.heap, uint64(uint32(s[i].rank))<<32|uint64(i))
		}
	}
	for i := len(w.heap)/2 - 1; i >= 0; i-- {
		w.sink(i, w.heap[i])
	}
	for len(w.heap) > 0 {
		top := w.pop()
		rank, pos := int32(top>>32), int32(uint32(top))
		left := &s[pos]
		// The pair may have changed meanwhile; one that makes the same token counts as the same.
		if left.length == 0 || left.pair == noToken || left.rank != rank && left.pair != merges.byRank[rank] {
			continue
		}
		right := &s[left.next]
		left.id = left.pair
		left.length += right.length
		left.next = right.next
		right.length = 0
		if left.next >= 0 {
			s[left.next].prev = pos
		}
		w.offer(merges, pos)
		if left.prev >= 0 {
			w.offer(merges, left.prev)
		}
	}
}

// findPair looks up what a symbol makes with the next one.
func (w *mergeWord) findPair(merges *mergeTable, pos int32) bool {
	left := &w.symbols[pos]
	left.pair = noToken
	if left.next < 0 {
		return false
	}
	m, ok := merges.get(left.id, w.symbols[left.next].id)
	if ok {
		left.pair, left.rank = m.id, m.rank
	}
	return ok
}

func (w *mergeWord) offer(merges *mergeTable, pos int32) {
	if w.findPair(merges, pos) {
		w.heap = append(w.heap, 0)
		w.rise(len(w.heap)-1, uint64(uint32(w.symbols[pos].rank))<<32|uint64(uint32(pos)))
	}
}

func (w *mergeWord) pop() uint64 {
	h := w.heap
	top, last := h[0], len(h)-1
	w.heap = h[:last]
	if last > 0 {
		w.sink(0, h[last])
	}
	return top
}

// rise puts c into the free place i of the heap, or above it.
func (w *mergeWord) rise(i int, c uint64) {
	h := w.heap
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent] <= c {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = c
}

// sink puts c into the free place i of the heap, or below it. What is sunk comes from the bottom as a
// rule and returns there: so the place goes down first, and c rises from it.
func (w *mergeWord) sink(i int, c uint64) {
	h := w.heap
	root := i
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		h[i] = h[child]
		i = child
	}
	for i > root {
		parent := (i - 1) / 2
		if parent < root || h[parent] <= c {
			break
		}
		h[i] = h[parent]
		i = parent
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
