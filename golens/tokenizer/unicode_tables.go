// Where the Unicode data of Go and of Hugging Face's tokenizers differ. Go 1.26 knows Unicode 15.0; the
// character tests there 17.0; the normalizer 9.0. Tokens must
// not depend on that, so the differences are listed here. Tests compare whole tables.

package tokenizer

import (
	"sort"
	"unicode"
)

// newerRange is a range of code points that Go does not know, and a character of the same category
// that it does know.
type newerRange struct {
	lo, hi rune
	like   rune
}

const (
	likeLu = 'À'
	likeLl = 'à'
	likeLm = 'ʰ'
	likeLo = 'א'
	likeM  = '\u0300'
	likeN  = '٠'
	likeP  = '؟'
	likeS  = '©'
)

// newerRunes is sorted. Letters, marks, numbers, punctuation and symbols of Unicode 15.1 and 16.0.
var newerRunes = []newerRange{
	{0x897, 0x897, likeM}, {0x1B4E, 0x1B4F, likeP}, {0x1B7F, 0x1B7F, likeP}, {0x1C89, 0x1C89, likeLu},
	{0x1C8A, 0x1C8A, likeLl}, {0x2427, 0x2429, likeS}, {0x2FFC, 0x2FFF, likeS}, {0x31E4, 0x31E5, likeS},
	{0x31EF, 0x31EF, likeS}, {0xA7CB, 0xA7CC, likeLu}, {0xA7CD, 0xA7CD, likeLl}, {0xA7DA, 0xA7DA, likeLu},
	{0xA7DB, 0xA7DB, likeLl}, {0xA7DC, 0xA7DC, likeLu}, {0x105C0, 0x105F3, likeLo}, {0x10D40, 0x10D49, likeN},
	{0x10D4A, 0x10D4D, likeLo}, {0x10D4E, 0x10D4E, likeLm}, {0x10D4F, 0x10D4F, likeLo}, {0x10D50, 0x10D65, likeLu},
	{0x10D69, 0x10D6D, likeM}, {0x10D6E, 0x10D6E, likeP}, {0x10D6F, 0x10D6F, likeLm}, {0x10D70, 0x10D85, likeLl},
	{0x10D8E, 0x10D8F, likeS}, {0x10EC2, 0x10EC4, likeLo}, {0x10EFC, 0x10EFC, likeM}, {0x11380, 0x11389, likeLo},
	{0x1138B, 0x1138B, likeLo}, {0x1138E, 0x1138E, likeLo}, {0x11390, 0x113B5, likeLo}, {0x113B7, 0x113B7, likeLo},
	{0x113B8, 0x113C0, likeM}, {0x113C2, 0x113C2, likeM}, {0x113C5, 0x113C5, likeM}, {0x113C7, 0x113CA, likeM},
	{0x113CC, 0x113D0, likeM}, {0x113D1, 0x113D1, likeLo}, {0x113D2, 0x113D2, likeM}, {0x113D3, 0x113D3, likeLo},
	{0x113D4, 0x113D5, likeP}, {0x113D7, 0x113D8, likeP}, {0x113E1, 0x113E2, likeM}, {0x116D0, 0x116E3, likeN},
	{0x11BC0, 0x11BE0, likeLo}, {0x11BE1, 0x11BE1, likeP}, {0x11BF0, 0x11BF9, likeN}, {0x11F5A, 0x11F5A, likeM},
	{0x13460, 0x143FA, likeLo}, {0x16100, 0x1611D, likeLo}, {0x1611E, 0x1612F, likeM}, {0x16130, 0x16139, likeN},
	{0x16D40, 0x16D42, likeLm}, {0x16D43, 0x16D6A, likeLo}, {0x16D6B, 0x16D6C, likeLm}, {0x16D6D, 0x16D6F, likeP},
	{0x16D70, 0x16D79, likeN}, {0x18CFF, 0x18CFF, likeLo}, {0x1CC00, 0x1CCEF, likeS}, {0x1CCF0, 0x1CCF9, likeN},
	{0x1CD00, 0x1CEB3, likeS}, {0x1E5D0, 0x1E5ED, likeLo}, {0x1E5EE, 0x1E5EF, likeM}, {0x1E5F0, 0x1E5F0, likeLo},
	{0x1E5F1, 0x1E5FA, likeN}, {0x1E5FF, 0x1E5FF, likeP}, {0x1F8B2, 0x1F8BB, likeS}, {0x1F8C0, 0x1F8C1, likeS},
	{0x1FA89, 0x1FA89, likeS}, {0x1FA8F, 0x1FA8F, likeS}, {0x1FABE, 0x1FABE, likeS}, {0x1FAC6, 0x1FAC6, likeS},
	{0x1FADC, 0x1FADC, likeS}, {0x1FADF, 0x1FADF, likeS}, {0x1FAE9, 0x1FAE9, likeS}, {0x1FBCB, 0x1FBEF, likeS},
	{0x2EBF0, 0x2EE5D, likeLo},
}

// knownRune is r, or a character of its category when Go's tables do not have it yet.
func knownRune(r rune) rune {
	if r < newerRunes[0].lo {
		return r
	}
	i := sort.Search(len(newerRunes), func(i int) bool { return newerRunes[i].hi >= r })
	if i < len(newerRunes) && newerRunes[i].lo <= r {
		return newerRunes[i].like
	}
	return r
}

// isNumeric is Rust's char::is_numeric: the categories Nd, Nl and No, of Unicode 17.0.
func isNumeric(r rune) bool {
	if unicode.IsNumber(knownRune(r)) {
		return true
	}
	return (r >= 0x11DE0 && r <= 0x11DE9) || (r >= 0x16FF4 && r <= 0x16FF6)
}

// isWordRune is \w as Rust's regex crate has it (Unicode Technical Standard 18, Annex C).
func isWordRune(r rune) bool {
	k := knownRune(r)
	return unicode.In(k, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic) ||
		r == 0x200C || r == 0x200D
}

// markRange is a range of code points.
type markRange struct{ lo, hi rune }

// unknownToNormalizer are the characters that reorder or decompose in Unicode 15.0 but were not
// there in 9.0, the version that the normalizer of Hugging Face's tokenizers has. Sorted.
var unknownToNormalizer = []markRange{
	{0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C}, {0xD3B, 0xD3C},
	{0xEBA, 0xEBA}, {0x1715, 0x1715}, {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA}, {0x32FF, 0x32FF},
	{0xA7F2, 0xA7F4}, {0xA82C, 0xA82C}, {0xAB69, 0xAB69}, {0x10781, 0x10785}, {0x10787, 0x107B0},
	{0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50},
	{0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
	{0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
	{0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97},
	{0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136},
	{0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
}

func normalizerKnows(r rune) bool {
	if r < unknownToNormalizer[0].lo {
		return true
	}
	i := sort.Search(len(unknownToNormalizer), func(i int) bool { return unknownToNormalizer[i].hi >= r })
	return i == len(unknownToNormalizer) || unknownToNormalizer[i].lo > r
}

// newerLower is the lower case of the letters that have one only in Unicode 16.0 and 17.0.
func newerLower(r rune) (rune, bool) {
	switch {
	case r < 0x1C89:
		return 0, false
	case r == 0x1C89, r == 0xA7CC, r == 0xA7CE, r == 0xA7D2, r == 0xA7D4, r == 0xA7DA:
		return r + 1, true
	case r == 0xA7CB:
		return 0x264, true
	case r == 0xA7DC:
		return 0x19B, true
	case r >= 0x10D50 && r <= 0x10D65:
		return r + 0x20, true
	case r >= 0x16EA0 && r <= 0x16EB8:
		return r + 0x1B, true
	}
	return 0, false
}
