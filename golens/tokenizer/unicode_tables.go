// Classes of characters and their lower case, each of the Unicode version that the part of Hugging Face's
// tokenizers has which asks for it. None of Go's own, which change with the Go that builds this.

package tokenizer

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// isSpace is White_Space, Rust's char::is_whitespace: the same in every version of Unicode since 6.3.
func isSpace(r rune) bool {
	if r < 0x1680 {
		return r == ' ' || r >= '\t' && r <= '\r' || r == 0x85 || r == 0xA0
	}
	return r == 0x1680 || r >= 0x2000 && r <= 0x200A || r == 0x2028 || r == 0x2029 || r == 0x202F ||
		r == 0x205F || r == 0x3000
}

var (
	// numericSet is Rust's char::is_numeric: the categories Nd, Nl and No, of Unicode 17.0.
	numericSet = sync.OnceValue(func() *runeSet { return unicodeSets()["numeric"] })
	wordSet    = sync.OnceValue(func() *runeSet { return unicodeSets()["word"] })
)

// isWordRune is \w as Rust's regex crate has it (Unicode Technical Standard 18, Annex C; Unicode 16.0).
func isWordRune(r rune) bool { return wordSet().has(r) }

//go:embed unicode_lower.txt
var unicodeLowerText string

// lowerRange is a range of letters, or of every second one, with how far away their lower case is.
type lowerRange struct{ lo, hi, step, delta rune }

// lowerTable has the distance to the lower case of each character below 0x600, and sorted ranges.
type lowerTable struct {
	low    [0x600]rune
	ranges []lowerRange // the others
}

var lowerLetters = sync.OnceValue(func() *lowerTable {
	t := &lowerTable{}
	for word := range words(unicodeLowerText) {
		letters, distance, _ := strings.Cut(word, ":")
		letters, second := strings.CutSuffix(letters, "/2")
		r := lowerRange{step: 1}
		var ok bool
		if r.lo, r.hi, ok = parseRange(letters); !ok {
			continue // the test of these tables would fail
		}
		delta, err := strconv.ParseInt(distance, 16, 32)
		if err != nil {
			continue
		}
		r.delta = rune(delta)
		if second {
			r.step = 2
		}
		if int(r.lo) >= len(t.low) {
			t.ranges = append(t.ranges, r)
		}
		for c := r.lo; c <= r.hi && int(c) < len(t.low); c += r.step {
			t.low[c] = r.delta
		}
	}
	return t
})

// of is the simple lower case of r in Unicode 17.0.
func (t *lowerTable) of(r rune) rune {
	if int(r) < len(t.low) {
		return r + t.low[r]
	}
	for ranges := t.ranges; len(ranges) > 0; {
		mid := len(ranges) / 2
		switch at := &ranges[mid]; {
		case r < at.lo:
			ranges = ranges[:mid]
		case r > at.hi:
			ranges = ranges[mid+1:]
		case (r-at.lo)%at.step != 0:
			return r
		default:
			return r + at.delta
		}
	}
	return r
}

// lowerASCII is the lower case of a text of ASCII alone.
func lowerASCII(s string) string {
	first := 0
	for first < len(s) && !(s[first] >= 'A' && s[first] <= 'Z') {
		first++
	}
	if first == len(s) {
		return s
	}
	out := []byte(s)
	for i := first; i < len(out); i++ {
		if out[i] >= 'A' && out[i] <= 'Z' {
			out[i] += 'a' - 'A'
		}
	}
	return string(out)
}
