// Long words of a BPE model, which are whole texts where nothing cuts text into words. They fall apart at
// seams: between two characters that stand side by side in no token, nothing can ever be merged. So the
// stretches between seams are words of their own, short enough for the cache and for small heaps.

package tokenizer

import (
	"sync"
	"unicode/utf8"
)

// longWord is the length in bytes from which it pays to look for seams.
const longWord = 32

// runePairs is a set of pairs of characters: a table of open addressing, of which at most half is taken.
type runePairs struct {
	keys  []uint64 // 0 is an empty place
	count int
	shift int
}

func newRunePairs(bits int) runePairs {
	return runePairs{keys: make([]uint64, 1<<bits), shift: 64 - bits}
}

func runePairKey(a, b rune) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) + 1 }

func (s *runePairs) place(key uint64) int {
	at := int(key * 0x9E3779B97F4A7C15 >> s.shift)
	for s.keys[at] != 0 && s.keys[at] != key {
		at = (at + 1) & (len(s.keys) - 1)
	}
	return at
}

func (s *runePairs) has(a, b rune) bool { return s.keys[s.place(runePairKey(a, b))] != 0 }

func (s *runePairs) add(key uint64) {
	at := s.place(key)
	if s.keys[at] != 0 {
		return
	}
	s.keys[at] = key
	if s.count++; 2*s.count > len(s.keys) {
		old := s.keys
		*s = newRunePairs(65 - s.shift)
		for _, key := range old {
			if key != 0 {
				s.add(key)
			}
		}
	}
}

// seams says where words fall apart. It is made when the first long word comes.
type seams struct {
	once    sync.Once
	touches runePairs // the pairs that stand side by side in what merges make
}

func (s *seams) fill(m *bpe) {
	s.touches = newRunePairs(12)
	m.merges.each(func(_, _ int32, to merged) {
		last := rune(-1)
		for _, r := range m.texts[to.id] {
			if last >= 0 {
				s.touches.add(runePairKey(last, r))
			}
			last = r
		}
	})
}

// tokenizeLong is mergeCached for a long word. A seam has a token of its own on either side, since what
// becomes of unknown characters depends on those beside them.
func (m *bpe) tokenizeLong(word string, dst []token) ([]token, error) {
	m.seams.once.Do(func() { m.seams.fill(m) })
	mark, start := len(dst), 0
	last, size := utf8.DecodeRuneInString(word)
	var err error
	for at := size; at < len(word); {
		r, size := utf8.DecodeRuneInString(word[at:])
		if !m.seams.touches.has(last, r) && m.knows(word, last, at-utf8.RuneLen(last)) && m.knows(word, r, at) {
			if dst, err = m.mergeBehind(word[start:at], mark, dst); err != nil {
				return nil, err
			}
			start = at
		}
		last = r
		at += size
	}
	return m.mergeBehind(word[start:], mark, dst)
}

func (m *bpe) knows(word string, r rune, at int) bool {
	_, ok := m.character(word, r, at, at+utf8.RuneLen(r))
	return ok
}

// mergeBehind is mergeCached for a part of a word whose tokens before it are dst[mark:]. It is counted from
// the end of those: a character that is left out altogether takes no place.
func (m *bpe) mergeBehind(part string, mark int, dst []token) ([]token, error) {
	at, first := int32(0), len(dst)
	if first > mark {
		at = dst[first-1].end
	}
	dst, err := m.mergeCached(part, dst)
	for i := first; i < len(dst); i++ {
		dst[i].start += at
		dst[i].end += at
	}
	return dst, err
}
