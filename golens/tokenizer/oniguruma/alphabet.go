// The alphabet of a pattern: characters that no class of it tells apart are one symbol.

package oniguruma

import (
	"slices"
	"unicode/utf8"
)

const pageSize = 128

// alphabet numbers the characters that no set of a pattern tells apart: symbols. The number after the
// last stands for the end of the text, and for what is before its start.
type alphabet struct {
	ascii    [utf8.RuneSelf]uint16
	pages    []uint16 // for each page of code points, where its symbols begin
	symbols  []uint16
	edge     uint16
	examples []rune // a character of each symbol
}

func newAlphabet(sets []set) *alphabet {
	cuts := []rune{0, utf8.MaxRune + 1}
	for _, s := range sets {
		for _, p := range s {
			cuts = append(cuts, p.lo, min(p.hi, utf8.MaxRune)+1)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	a := &alphabet{}
	numbers := map[string]uint16{}
	at := make([]int, len(sets)) // the range of each set that ends at or after the place
	signature := make([]byte, len(sets))
	var spans []span
	var values []uint16
	for i := 0; i+1 < len(cuts) && cuts[i] <= utf8.MaxRune; i++ {
		lo := cuts[i]
		for k, s := range sets {
			for at[k] < len(s) && s[at[k]].hi < lo {
				at[k]++
			}
			signature[k] = 0
			if at[k] < len(s) && s[at[k]].lo <= lo {
				signature[k] = 1
			}
		}
		number, ok := numbers[string(signature)]
		if !ok {
			number = uint16(len(numbers))
			numbers[string(signature)] = number
			a.examples = append(a.examples, lo)
		}
		spans = append(spans, span{lo, cuts[i+1] - 1})
		values = append(values, number)
	}
	a.edge = uint16(len(numbers))
	a.fill(spans, values)
	return a
}

// fill writes the table; pages of one symbol are shared.
func (a *alphabet) fill(spans []span, values []uint16) {
	uniform := map[uint16]uint16{}
	i := 0
	for base := rune(0); base <= utf8.MaxRune; base += pageSize {
		for spans[i].hi < base {
			i++
		}
		whole := spans[i].hi >= base+pageSize-1
		page, shared := uniform[values[i]]
		if !whole || !shared {
			page = uint16(len(a.symbols) / pageSize)
			k := i
			for r := base; r < base+pageSize; r++ {
				for spans[k].hi < r {
					k++
				}
				a.symbols = append(a.symbols, values[k])
			}
			if whole {
				uniform[values[i]] = page
			}
		}
		a.pages = append(a.pages, page)
	}
	copy(a.ascii[:], a.symbols[int(a.pages[0])*pageSize:])
}

// symbol is that of a character; what is no character has that of U+FFFD.
func (a *alphabet) symbol(r rune) uint16 {
	return a.symbols[int(a.pages[uint32(r)/pageSize])*pageSize+int(uint32(r)%pageSize)]
}

// next is the symbol at a place of text and its length in bytes, 0 at the end.
func (a *alphabet) next(text string, at int) (uint16, int) {
	if at >= len(text) {
		return a.edge, 0
	}
	if b := text[at]; b < utf8.RuneSelf {
		return a.ascii[b], 1
	}
	r, n := utf8.DecodeRuneInString(text[at:])
	return a.symbol(r), n
}

// previous is the symbol before a place.
func (a *alphabet) previous(text string, at int) uint16 {
	if at == 0 {
		return a.edge
	}
	r, _ := utf8.DecodeLastRuneInString(text[:at])
	return a.symbol(r)
}
