// The normalizers NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15), written out here because the tokenizer needs
// to know which source characters each result stands for.

package tokenizer

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

func init() {
	registerNormalizer("NFC", func(json.RawMessage) (normalizer, error) { return unicodeForm{compose: true}, nil })
	registerNormalizer("NFD", func(json.RawMessage) (normalizer, error) { return unicodeForm{}, nil })
	registerNormalizer("NFKC", func(json.RawMessage) (normalizer, error) { return unicodeForm{compose: true, compatible: true}, nil })
	registerNormalizer("NFKD", func(json.RawMessage) (normalizer, error) { return unicodeForm{compatible: true}, nil })
}

type unicodeForm struct{ compose, compatible bool }

func (u unicodeForm) normalize(p piece) (piece, error) {
	t := forms()
	if u.isNormal(t, p.text) {
		return p, nil
	}
	marks := decomposeAll(t, p.text, u.compatible)
	if u.compose {
		marks = composeAll(t, marks)
	}
	changes := make([]change, len(marks))
	for i, m := range marks {
		changes[i] = m.change
	}
	return p.rewrite(changes), nil
}

// isNormal says whether text is in the form already, so that every character stands for itself. In doubt it says no.
func (u unicodeForm) isNormal(t *formTables, text string) bool {
	changed := decomposes
	if u.compose {
		changed = neverComposed
	}
	if u.compatible {
		changed |= decomposesCompatibly
	}
	var starter formProperties // of the last starter
	var starterRune rune
	class := uint8(0) // of the character before
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			starter, starterRune, class = formProperties{}, rune(text[i]), 0
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		c := t.of(r)
		if c.flags&changed != 0 || c.class != 0 && c.class < class {
			return false
		}
		if u.compose && c.flags&composesLeft != 0 {
			if starter.flags&decomposes != 0 { // a mark of its decomposition may go behind this one
				return false
			}
			if _, ok := t.composition(starterRune, r); ok {
				return false
			}
		}
		if class = c.class; class == 0 {
			starter, starterRune = c, r
		}
	}
	return true
}

// mark is a character of the decomposed text with its combining class.
type mark struct {
	change
	class uint8
}

// decomposeAll is the canonical or the compatibility decomposition in canonical order.
func decomposeAll(t *formTables, text string, compatible bool) []mark {
	out := make([]mark, 0, len(text))
	pending := 0 // where the run of combining marks that may still be reordered begins
	order := func() {
		if run := out[pending:]; len(run) > 1 {
			slices.SortStableFunc(run, func(a, b mark) int { return int(a.class) - int(b.class) })
		}
		pending = len(out)
	}
	push := func(r rune, delta int) {
		class := t.of(r).class
		if class == 0 {
			order()
		}
		out = append(out, mark{change{r, delta}, class})
		if class == 0 {
			pending = len(out)
		}
	}
	var buf [3]rune
	for _, r := range text {
		parts := t.decomposition(r, compatible, &buf)
		if len(parts) == 0 {
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

// composeAll joins starters with the marks after them that are not blocked. A composed character
// takes over the count of source characters of both halves.
func composeAll(t *formTables, marks []mark) []mark {
	out := marks[:0]
	starter := -1 // index in out of the last starter
	for _, m := range marks {
		if starter >= 0 {
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class < m.class {
				if r, ok := t.composition(out[starter].r, m.r); ok {
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
