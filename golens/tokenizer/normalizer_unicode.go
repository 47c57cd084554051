// The normalizers NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15). x/text has the data; the algorithm is
// written out here because the tokenizer needs to know which source characters each result stands
// for, and must treat characters newer than Hugging Face's tables as that normalizer does.

package tokenizer

import (
	"encoding/json"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func init() {
	registerNormalizer("NFC", func(json.RawMessage) (normalizer, error) { return unicodeForm{compose: true}, nil })
	registerNormalizer("NFD", func(json.RawMessage) (normalizer, error) { return unicodeForm{}, nil })
	registerNormalizer("NFKC", func(json.RawMessage) (normalizer, error) { return unicodeForm{compose: true, compatible: true}, nil })
	registerNormalizer("NFKD", func(json.RawMessage) (normalizer, error) { return unicodeForm{compatible: true}, nil })
}

type unicodeForm struct{ compose, compatible bool }

// firstComposing is the first character that takes part in a composition as its second half.
const firstComposing = 0x300

func (u unicodeForm) normalize(p piece) (piece, error) {
	if u.isNormal(p.text) {
		return p, nil
	}
	marks := decomposeAll(p.text, u.compatible)
	if u.compose {
		marks = composeAll(marks)
	}
	changes := make([]change, len(marks))
	for i, m := range marks {
		changes[i] = m.change
	}
	return p.rewrite(changes), nil
}

// isNormal says whether text is in the form already, so that every character stands for itself.
func (u unicodeForm) isNormal(text string) bool {
	form := norm.NFD
	switch {
	case u.compose && u.compatible:
		form = norm.NFKC
	case u.compose:
		form = norm.NFC
	case u.compatible:
		form = norm.NFKD
	}
	for _, r := range text {
		if !normalizerKnows(r) {
			return false
		}
	}
	return form.IsNormalString(text)
}

// mark is a character of the decomposed text with its combining class.
type mark struct {
	change
	class uint8
}

// decomposeAll is the canonical or the compatibility decomposition in canonical order.
func decomposeAll(text string, compatible bool) []mark {
	out := make([]mark, 0, len(text))
	pending := 0 // where the run of combining marks that may still be reordered begins
	order := func() {
		if run := out[pending:]; len(run) > 1 {
			slices.SortStableFunc(run, func(a, b mark) int { return int(a.class) - int(b.class) })
		}
		pending = len(out)
	}
	push := func(r rune, delta int) {
		class := combiningClass(r)
		if class == 0 {
			order()
		}
		out = append(out, mark{change{r, delta}, class})
		if class == 0 {
			pending = len(out)
		}
	}
	for _, r := range text {
		parts := decomposition(r, compatible)
		if parts == "" {
			push(r, 0)
			continue
		}
		delta := 0
		for _, d := range parts {
			push(d, delta)
			delta = 1
		}
	}
	order()
	return out
}

// decomposition is the full decomposition of r, or "" when it has none.
func decomposition(r rune, compatible bool) string {
	if r < 0xA0 || !normalizerKnows(r) {
		return ""
	}
	if isHangulSyllable(r) {
		return decomposeHangul(r)
	}
	var buf [utf8.UTFMax]byte
	n := utf8.EncodeRune(buf[:], r)
	if compatible {
		return string(norm.NFKD.Properties(buf[:n]).Decomposition())
	}
	return string(norm.NFD.Properties(buf[:n]).Decomposition())
}

func combiningClass(r rune) uint8 {
	if r < firstComposing || !normalizerKnows(r) {
		return 0
	}
	var buf [utf8.UTFMax]byte
	n := utf8.EncodeRune(buf[:], r)
	return norm.NFD.Properties(buf[:n]).CCC()
}

// composeAll joins starters with the marks after them that are not blocked. A composed character
// takes over the count of source characters of both halves.
func composeAll(marks []mark) []mark {
	out := marks[:0]
	starter := -1 // index in out of the last starter
	for _, m := range marks {
		if starter >= 0 {
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class < m.class {
				if r, ok := composition(out[starter].r, m.r); ok {
					out[starter].r = r
					out[starter].delta += m.delta - 1
					continue
				}
			}
		}
		if m.class == 0 {
			starter = len(out)
		}
		out = append(out, m)
	}
	return out
}

const (
	hangulSyllables, hangulLead, hangulVowel, hangulTail = 0xAC00, 0x1100, 0x1161, 0x11A7
	hangulLeads, hangulVowels, hangulTails               = 19, 21, 28
)

func isHangulSyllable(r rune) bool {
	return r >= hangulSyllables && r < hangulSyllables+hangulLeads*hangulVowels*hangulTails
}

// decomposeHangul is the arithmetic of the Unicode Standard, 3.12; x/text has no table for it.
func decomposeHangul(r rune) string {
	i := r - hangulSyllables
	parts := []rune{hangulLead + i/(hangulVowels*hangulTails), hangulVowel + i%(hangulVowels*hangulTails)/hangulTails, hangulTail + i%hangulTails}
	if parts[2] == hangulTail {
		parts = parts[:2]
	}
	return string(parts)
}

// compositions are the primary composites: the pairs that the canonical decompositions give, without
// the characters that are excluded from composition (those that form C takes apart).
var compositions = sync.OnceValue(func() map[[2]rune]rune {
	pairs := map[[2]rune]rune{}
	for r := rune(0xC0); r < 0x20000; r++ {
		if isHangulSyllable(r) {
			continue
		}
		parts := decomposition(r, false)
		if parts == "" || norm.NFC.String(parts) != string(r) {
			continue
		}
		second, n := utf8.DecodeLastRuneInString(parts)
		first := norm.NFC.String(parts[:len(parts)-n])
		if r1, n1 := utf8.DecodeRuneInString(first); n1 == len(first) && n1 > 0 {
			pairs[[2]rune{r1, second}] = r
		}
	}
	return pairs
})

func composition(a, b rune) (rune, bool) {
	if a >= hangulLead && a < hangulLead+hangulLeads && b >= hangulVowel && b < hangulVowel+hangulVowels {
		return hangulSyllables + ((a-hangulLead)*hangulVowels+(b-hangulVowel))*hangulTails, true
	}
	if isHangulSyllable(a) && (a-hangulSyllables)%hangulTails == 0 && b > hangulTail && b < hangulTail+hangulTails {
		return a + (b - hangulTail), true
	}
	if b < firstComposing {
		return 0, false
	}
	r, ok := compositions()[[2]rune{a, b}]
	return r, ok
}
