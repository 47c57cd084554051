// The merges of a BPE model by their pair: a table of open addressing, since it is asked several times for
// every byte of new text.

package tokenizer

import "math/bits"

// merged is what a pair of tokens becomes.
type merged struct{ rank, id int32 }

// mergeTable is read-only once it is filled. Its zero value is empty.
type mergeTable struct {
	keys   []uint64 // 0 is an empty place
	to     []merged
	shift  int
	byRank []int32 // the token that the merge of each rank makes
}

// newMergeTable has room for n pairs; at most half of the places are ever taken.
func newMergeTable(n int) mergeTable {
	size := bits.Len(uint(max(2*n, 2) - 1))
	return mergeTable{make([]uint64, 1<<size), make([]merged, 1<<size), 64 - size, make([]int32, n)}
}

// pairKey is never 0, the place of which is empty: ids are below 2^24.
func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) + 1 }

// place is where a key is or belongs (Fibonacci hashing, Knuth 6.4).
func (t *mergeTable) place(key uint64) int {
	at := int(key * 0x9E3779B97F4A7C15 >> t.shift)
	for t.keys[at] != 0 && t.keys[at] != key {
		at = (at + 1) & (len(t.keys) - 1)
	}
	return at
}

// set puts a pair in; of a pair that is there twice the later one holds.
func (t *mergeTable) set(a, b int32, m merged) {
	at := t.place(pairKey(a, b))
	t.keys[at], t.to[at] = pairKey(a, b), m
	t.byRank[m.rank] = m.id
}

func (t *mergeTable) get(a, b int32) (merged, bool) {
	if len(t.keys) == 0 {
		return merged{}, false
	}
	at := t.place(pairKey(a, b))
	return t.to[at], t.keys[at] != 0
}

// each calls f for every pair, in no order.
func (t *mergeTable) each(f func(a, b int32, m merged)) {
	for at, key := range t.keys {
		if key != 0 {
			f(int32((key-1)>>32), int32(uint32(key-1)), t.to[at])
		}
	}
}
