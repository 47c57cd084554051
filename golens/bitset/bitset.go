// Package bitset is sets of small numbers: hook points, values, parts. It imports nothing of the module.
package bitset

import (
	"encoding/binary"
	"iter"
	"math/bits"
)

// Set holds numbers from 0 on, a bit each. Nil is the empty set. A set that others may hold is not to be written to.
type Set []uint64

// Of makes a set of these numbers.
func Of(members ...int) Set {
	var s Set
	for _, i := range members {
		s.Add(i)
	}
	return s
}

// Below is the set of 0 to n-1.
func Below(n int) Set {
	s := make(Set, (n+63)/64)
	for i := range s {
		s[i] = ^uint64(0)
	}
	if rest := n % 64; rest > 0 {
		s[len(s)-1] = 1<<rest - 1
	}
	return s
}

// Has reports whether i is in the set.
func (s Set) Has(i int) bool { return i >= 0 && i>>6 < len(s) && s[i>>6]>>(i&63)&1 != 0 }

// Add puts i in.
func (s *Set) Add(i int) {
	for i>>6 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[i>>6] |= 1 << (i & 63)
}

// Remove takes i out.
func (s Set) Remove(i int) {
	if s.Has(i) {
		s[i>>6] &^= 1 << (i & 63)
	}
}

// Empty reports whether nothing is in the set.
func (s Set) Empty() bool {
	for _, word := range s {
		if word != 0 {
			return false
		}
	}
	return true
}

// Len is how many numbers are in the set.
func (s Set) Len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// All goes through the numbers, the smallest first.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for at, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(at<<6 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// AppendKey appends bytes that only equal sets have, whatever room they take, and that no other key begins with.
func (s Set) AppendKey(to []byte) []byte {
	for len(s) > 0 && s[len(s)-1] == 0 {
		s = s[:len(s)-1]
	}
	to = binary.AppendUvarint(to, uint64(len(s)))
	for _, word := range s {
		to = binary.LittleEndian.AppendUint64(to, word)
	}
	return to
}
