// Sets of code points as sorted ranges.

package oniguruma

import (
	"slices"
	"unicode/utf8"
)

// span is a range of code points, both ends in it.
type span struct{ lo, hi rune }

// set is a set of code points: sorted ranges that neither overlap nor touch.
type set []span

var everything = set{{0, utf8.MaxRune}}

func one(r rune) set { return set{{r, r}} }

func (s set) has(r rune) bool {
	i, found := slices.BinarySearchFunc(s, r, func(p span, r rune) int {
		switch {
		case p.hi < r:
			return -1
		case p.lo > r:
			return 1
		}
		return 0
	})
	return found && i < len(s)
}

// newSet puts ranges in order and joins them.
func newSet(ranges []span) set {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b span) int { return int(a.lo) - int(b.lo) })
	var out set
	for _, p := range ranges {
		if n := len(out); n > 0 && p.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, p.hi)
			continue
		}
		out = append(out, p)
	}
	return out
}

func (s set) union(t set) set { return newSet(append(slices.Clone(s), t...)) }

func (s set) negate() set {
	var out set
	at := rune(0)
	for _, p := range s {
		if at < p.lo {
			out = append(out, span{at, p.lo - 1})
		}
		at = p.hi + 1
	}
	if at <= utf8.MaxRune {
		out = append(out, span{at, utf8.MaxRune})
	}
	return out
}

func (s set) intersect(t set) set { return s.negate().union(t.negate()).negate() }

func (s set) equal(t set) bool { return slices.Equal(s, t) }
