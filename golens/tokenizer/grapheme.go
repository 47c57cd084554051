// Cutting text into grapheme clusters (Unicode Standard Annex 29, revision 47, Unicode 17.0), which the
// Precompiled normalizer looks up as a whole.

package tokenizer

import (
	"sync"
	"unicode/utf8"
)

type graphemeClass uint8

const (
	graphemeOther graphemeClass = iota
	graphemeCR
	graphemeLF
	graphemeControl
	graphemeExtend
	graphemeZWJ
	graphemePictograph
	graphemeConsonant // Indic consonant that conjuncts are made of
	graphemePrepend
	graphemeSpacing
	graphemeRegional
	graphemeL
	graphemeV
	graphemeT
	graphemeLV
	graphemeLVT
)

// graphemeSets are the names in the tables.
var graphemeSets = map[string]graphemeClass{
	"Control": graphemeControl, "Extend": graphemeExtend, "Extended_Pictographic": graphemePictograph,
	"InCB_Consonant": graphemeConsonant, "Prepend": graphemePrepend, "SpacingMark": graphemeSpacing,
	"Regional_Indicator": graphemeRegional, "L": graphemeL, "V": graphemeV, "T": graphemeT,
}

// graphemeTables has the class of each character below 0x3000, and sorted ranges for the others.
type graphemeTables struct {
	low                    [0x3000]graphemeClass
	high                   []runeRange
	linker, conjunctExtend *runeSet
}

var graphemes = sync.OnceValue(func() *graphemeTables {
	t := &graphemeTables{linker: unicodeSets()["linker"], conjunctExtend: unicodeSets()["conjunctExtend"]}
	names, ranges := parseRanges(unicodeSetsText)
	for _, r := range ranges {
		class, ok := graphemeSets[names[r.value]]
		if !ok {
			continue
		}
		for c := r.lo; c <= min(r.hi, 0x2FFF); c++ {
			t.low[c] = class
		}
		if r.hi >= 0x3000 {
			t.high = append(t.high, runeRange{r.lo, r.hi, int16(class)})
		}
	}
	t.low['\r'], t.low['\n'], t.low[0x200D] = graphemeCR, graphemeLF, graphemeZWJ
	sortRanges(t.high)
	return t
})

func (t *graphemeTables) class(r rune) graphemeClass {
	if r < 0x3000 {
		return t.low[r]
	}
	if isHangulSyllable(r) {
		if (r-hangulSyllables)%hangulTails == 0 {
			return graphemeLV
		}
		return graphemeLVT
	}
	class, _ := findRange(t.high, r)
	return graphemeClass(class)
}

// graphemeScan walks over a text and remembers what rules that look back need.
type graphemeScan struct {
	t        *graphemeTables
	last     graphemeClass
	regional int  // regional indicators just before
	emoji    bool // a pictograph and extenders just before, with a joiner at the end when last is one
	conjunct int  // 1 after a consonant (and extenders), 2 after one with a linker
}

func (s *graphemeScan) step(r rune) (breaks bool) {
	class := s.t.class(r)
	breaks = s.breaksBefore(class)
	switch class {
	case graphemePictograph:
		s.emoji = true
	case graphemeExtend:
	case graphemeZWJ:
	default:
		s.emoji = false
	}
	if s.last == graphemeZWJ && class != graphemePictograph {
		s.emoji = false // a joiner must come last
	}
	if class == graphemeRegional {
		s.regional++
	} else {
		s.regional = 0
	}
	switch {
	case class == graphemeConsonant:
		s.conjunct = 1
	case s.conjunct > 0 && s.t.linker.has(r):
		s.conjunct = 2
	case s.conjunct > 0 && s.t.conjunctExtend.has(r):
	default:
		s.conjunct = 0
	}
	s.last = class
	return breaks
}

// breaksBefore are the rules GB3 to GB999, in their order.
func (s *graphemeScan) breaksBefore(c graphemeClass) bool {
	control := func(c graphemeClass) bool { return c >= graphemeCR && c <= graphemeControl }
	switch {
	case s.last == graphemeCR && c == graphemeLF:
		return false
	case control(s.last) || control(c):
		return true
	case s.last == graphemeL && (c == graphemeL || c == graphemeV || c == graphemeLV || c == graphemeLVT),
		(s.last == graphemeLV || s.last == graphemeV) && (c == graphemeV || c == graphemeT),
		(s.last == graphemeLVT || s.last == graphemeT) && c == graphemeT,
		c == graphemeExtend || c == graphemeZWJ || c == graphemeSpacing,
		s.last == graphemePrepend,
		c == graphemeConsonant && s.conjunct == 2,
		c == graphemePictograph && s.last == graphemeZWJ && s.emoji,
		c == graphemeRegional && s.regional%2 == 1:
		return false
	}
	return true
}

// eachGrapheme calls f with the start and the end of each cluster.
func eachGrapheme(text string, f func(start, end int)) {
	s := graphemeScan{t: graphemes(), last: graphemeControl}
	start := 0
	for i := 0; i < len(text); {
		if c := text[i]; c >= ' ' && c < 0x7F && (i+1 == len(text) || text[i+1] < utf8.RuneSelf) && s.last != graphemePrepend {
			if i > start { // plain ASCII between plain ASCII is alone
				f(start, i)
			}
			f(i, i+1)
			i++
			start = i
			s = graphemeScan{t: s.t, last: graphemeControl}
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if s.step(r) && i > start {
			f(start, i)
			start = i
		}
		i += n
	}
	if start < len(text) {
		f(start, len(text))
	}
}
