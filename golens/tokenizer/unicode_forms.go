// What the normal forms know of each character, in Unicode 9.0 as the normalizer of Hugging Face's tokenizers
// has it: what it decomposes to, its combining class, and what two characters compose.

package tokenizer

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed unicode_forms.txt.gz
var unicodeFormsText []byte

// formFlags are reasons why a text with the character may not be in a form already.
type formFlags uint8

const (
	decomposes formFlags = 1 << iota // canonically
	decomposesCompatibly
	neverComposed // its canonical decomposition stays apart
	composesLeft  // it may compose with a starter before it
)

// formProperties are what is known of a character.
type formProperties struct {
	class uint8
	flags formFlags
}

const (
	formPageBits = 8
	formPageSize = 1 << formPageBits
)

// formTables has the properties of all characters, in pages; page 0 has none.
type formTables struct {
	pageOf       [0x110000 / formPageSize]uint16
	pages        [][formPageSize]formProperties
	canonical    map[rune][]rune
	compatible   map[rune][]rune // only where it is another than the canonical one
	compositions map[[2]rune]rune
}

func (t *formTables) of(r rune) formProperties {
	return t.pages[t.pageOf[r>>formPageBits]][r&(formPageSize-1)]
}

// at is where the properties of r are written.
func (t *formTables) at(r rune) *formProperties {
	page := &t.pageOf[r>>formPageBits]
	if *page == 0 {
		*page = uint16(len(t.pages))
		t.pages = append(t.pages, [formPageSize]formProperties{})
	}
	return &t.pages[*page][r&(formPageSize-1)]
}

// forms are the tables; what is wrong with the file, the test of these tables would find.
var forms = sync.OnceValue(func() *formTables {
	t := &formTables{
		pages:     make([][formPageSize]formProperties, 1),
		canonical: map[rune][]rune{}, compatible: map[rune][]rune{}, compositions: map[[2]rune]rune{},
	}
	z, err := gzip.NewReader(bytes.NewReader(unicodeFormsText))
	if err != nil {
		return t
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return t
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if class, ok := strings.CutPrefix(line, "class"); ok {
			t.readClass(class)
		} else {
			t.readDecomposition(line)
		}
	}
	t.expandPairs()
	t.addHangul()
	return t
})

// readClass reads a combining class and the ranges of its characters.
func (t *formTables) readClass(line string) {
	number, ranges, _ := strings.Cut(line, ":")
	class, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		return
	}
	for word := range words(ranges) {
		lo, hi, ok := parseRange(word)
		for r := lo; ok && r <= hi; r++ {
			t.at(r).class = uint8(class)
		}
	}
}

// readDecomposition reads a character, one of the signs =, : and ~, and what it decomposes to.
func (t *formTables) readDecomposition(line string) {
	sign := strings.IndexAny(line, "=:~")
	if sign < 0 {
		return
	}
	r, _, ok := parseRange(line[:sign])
	var parts []rune
	for word := range words(line[sign+1:]) {
		part, _, good := parseRange(word)
		ok = ok && good
		parts = append(parts, part)
	}
	switch {
	case !ok:
	case line[sign] == '~':
		t.compatible[r] = parts
		t.at(r).flags |= decomposesCompatibly
	case line[sign] == ':':
		t.canonical[r] = parts
		t.at(r).flags |= decomposes | neverComposed
	case len(parts) == 2:
		t.compositions[[2]rune(parts)] = r
		t.at(r).flags |= decomposes
		t.at(parts[1]).flags |= composesLeft
	}
}

// expandPairs fills in the full decompositions of what pairs compose: the first of a pair may be composed itself.
func (t *formTables) expandPairs() {
	pairs := make(map[rune][2]rune, len(t.compositions))
	for pair, r := range t.compositions {
		pairs[r] = pair
	}
	for r, pair := range pairs {
		parts := []rune{pair[1]}
		first := pair[0]
		for next, ok := pairs[first]; ok; next, ok = pairs[first] {
			parts = append(parts, next[1])
			first = next[0]
		}
		parts = append(parts, first)
		slices.Reverse(parts)
		t.canonical[r] = parts
	}
}

// The Hangul syllables are taken apart and composed by the arithmetic of the Unicode Standard, 3.12.
const (
	hangulSyllables, hangulLead, hangulVowel, hangulTail = 0xAC00, 0x1100, 0x1161, 0x11A7
	hangulLeads, hangulVowels, hangulTails               = 19, 21, 28
)

func (t *formTables) addHangul() {
	for i := range rune(hangulLeads * hangulVowels * hangulTails) {
		t.at(hangulSyllables + i).flags |= decomposes
	}
	for i := range rune(hangulVowels) {
		t.at(hangulVowel + i).flags |= composesLeft
	}
	for i := range rune(hangulTails - 1) {
		t.at(hangulTail + 1 + i).flags |= composesLeft
	}
}

func isHangulSyllable(r rune) bool {
	return r >= hangulSyllables && r < hangulSyllables+hangulLeads*hangulVowels*hangulTails
}

// decomposition is the full decomposition of r, or nothing when it has none. It may lie in buf.
func (t *formTables) decomposition(r rune, compatible bool, buf *[3]rune) []rune {
	flags := t.of(r).flags
	switch {
	case compatible && flags&decomposesCompatibly != 0:
		return t.compatible[r]
	case flags&decomposes == 0:
		return nil
	case isHangulSyllable(r):
		i := r - hangulSyllables
		*buf = [3]rune{hangulLead + i/(hangulVowels*hangulTails), hangulVowel + i%(hangulVowels*hangulTails)/hangulTails, hangulTail + i%hangulTails}
		if buf[2] == hangulTail {
			return buf[:2]
		}
		return buf[:]
	}
	return t.canonical[r]
}

// composition is what a starter and a character after it compose.
func (t *formTables) composition(a, b rune) (rune, bool) {
	switch {
	case t.of(b).flags&composesLeft == 0:
		return 0, false
	case a >= hangulLead && a < hangulLead+hangulLeads && b >= hangulVowel && b < hangulVowel+hangulVowels:
		return hangulSyllables + ((a-hangulLead)*hangulVowels+(b-hangulVowel))*hangulTails, true
	case isHangulSyllable(a) && (a-hangulSyllables)%hangulTails == 0 && b > hangulTail && b < hangulTail+hangulTails:
		return a + (b - hangulTail), true
	}
	r, ok := t.compositions[[2]rune{a, b}]
	return r, ok
}
