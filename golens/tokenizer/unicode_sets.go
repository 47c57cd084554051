// Sets of characters and the scripts of characters, as Hugging Face's tokenizers have them. They come
// from several versions of the Unicode Character Database, none of them Go's own, so they are kept in
// two text files: a name, a colon, and ranges of code points in hexadecimal.
// tests/py/parity/make_unicode_tables.py writes all tables of Unicode that this package has.

package tokenizer

import (
	_ "embed"
	"fmt"
	"iter"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

var (
	//go:embed unicode_sets.txt
	unicodeSetsText string
	//go:embed unicode_scripts.txt
	unicodeScriptsText string
)

// runeRange is a range of code points with a value, the index of its set among the names.
type runeRange struct {
	lo, hi rune
	value  int16
}

// runeSet is a set of characters: a bit for each below 0x3000, and sorted ranges.
type runeSet struct {
	low    [0x3000 / 64]uint64
	ranges []runeRange
}

func (s *runeSet) has(r rune) bool {
	if c := uint32(r); c < 0x3000 {
		return s.low[c/64]>>(c%64)&1 == 1
	}
	_, ok := findRange(s.ranges, r)
	return ok
}

func findRange(ranges []runeRange, r rune) (int16, bool) {
	for len(ranges) > 0 { // sort.Search takes twice the time
		mid := len(ranges) / 2
		switch at := &ranges[mid]; {
		case r < at.lo:
			ranges = ranges[:mid]
		case r > at.hi:
			ranges = ranges[mid+1:]
		default:
			return at.value, true
		}
	}
	return 0, false
}

// parseRanges reads a file's text.
func parseRanges(text string) (names []string, ranges []runeRange) {
	for word := range words(text) {
		if name, ok := strings.CutSuffix(word, ":"); ok {
			names = append(names, name)
			continue
		}
		lo, hi, ok := parseRange(word)
		if !ok || len(names) == 0 {
			continue // the test of these tables would fail
		}
		ranges = append(ranges, runeRange{lo, hi, int16(len(names) - 1)})
	}
	return names, ranges
}

// words are the words of a table's text, which has spaces and ends of lines between them.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for start := 0; start < len(text); {
			end := start
			for end < len(text) && text[end] > ' ' {
				end++
			}
			if end > start && !yield(text[start:end]) {
				return
			}
			start = end + 1
		}
	}
}

// parseRange reads a code point or, with a hyphen, two.
func parseRange(word string) (lo, hi rune, ok bool) {
	from, to, two := strings.Cut(word, "-")
	if !two {
		to = from
	}
	l, errLo := strconv.ParseInt(from, 16, 32)
	h, errHi := strconv.ParseInt(to, 16, 32)
	return rune(l), rune(h), errLo == nil && errHi == nil && l <= h && h <= utf8.MaxRune
}

var unicodeSets = sync.OnceValue(func() map[string]*runeSet {
	names, ranges := parseRanges(unicodeSetsText)
	sets := map[string]*runeSet{}
	for _, r := range ranges {
		s := sets[names[r.value]]
		if s == nil {
			s = &runeSet{}
			sets[names[r.value]] = s
		}
		s.ranges = append(s.ranges, r)
		for c := r.lo; c <= min(r.hi, 0x2FFF); c++ {
			s.low[c/64] |= 1 << (c % 64)
		}
	}
	return sets
})

// unicodeSet is the set of a name; a name that the file does not have is a mistake of this package.
func unicodeSet(name string) (*runeSet, error) {
	if s := unicodeSets()[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("tokenizer: no table of characters %s", jsontext.Quote(name))
}

// scriptRanges are sorted; the value of a range is the index of its script's name.
var scriptRanges = sync.OnceValues(func() (names []string, ranges []runeRange) {
	names, ranges = parseRanges(unicodeScriptsText)
	sortRanges(ranges)
	return names, ranges
})

func sortRanges(ranges []runeRange) {
	sort.Slice(ranges, func(i, k int) bool { return ranges[i].lo < ranges[k].lo })
}
