// Bytes to text where the bytes may not be UTF-8.

package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// lossy replaces each maximal ill-formed part of b with one U+FFFD, which is what the Unicode
// Standard recommends (3.9, "U+FFFD Substitution of Maximal Subparts") and what Hugging Face decodes
// with. Go's own conversions put one U+FFFD for each byte, strings.ToValidUTF8 one for each run.
func lossy(b string) string {
	if utf8.ValidString(b) {
		return b
	}
	var out strings.Builder
	out.Grow(len(b) + 8)
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRuneInString(b[i:])
		if r == utf8.RuneError && n == 1 {
			n = illFormed(b[i:])
		}
		out.WriteRune(r)
		i += n
	}
	return out.String()
}

// illFormed is the length of the maximal ill-formed part at the start of b: a lead byte and as many
// continuation bytes as could still have become a character.
func illFormed(b string) int {
	lo, hi, need := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c == 0xE0:
		need, lo = 2, 0xA0
	case c == 0xED:
		need, hi = 2, 0x9F
	case c >= 0xE1 && c <= 0xEF:
		need = 2
	case c == 0xF0:
		need, lo = 3, 0x90
	case c == 0xF4:
		need, hi = 3, 0x8F
	case c >= 0xF1 && c <= 0xF3:
		need = 3
	}
	n := 1
	for ; need > 0 && n < len(b) && b[n] >= lo && b[n] <= hi; need-- {
		n++
		lo, hi = 0x80, 0xBF
	}
	return n
}
