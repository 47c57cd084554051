// Tokens that reach past the end of their piece: where a byte-fallback model also has a prefix or a suffix
// for characters by their place in a word, the bytes of those become tokens too, and every byte counts as
// one of the piece. Hugging Face's tokenizers find no place in the text for such a token and leave its
// numbers as they are, so far as they are places in the text at all.

package tokenizer

import "unicode/utf8"

func (p piece) endsBefore(tok token) bool { return int(tok.end) > len(p.text) }

// offsetsBeyond are the offsets of a token that ends behind its piece; text is the whole source.
func offsetsBeyond(text string, tok token) [2]int {
	start, end := int(tok.start), int(tok.end)
	if start >= len(text) {
		return [2]int{start, end}
	}
	from := runeAt(text, start)
	switch {
	case end < len(text):
		return [2]int{from, runeAt(text, end)}
	case end-1 < len(text):
		return [2]int{from, runeAt(text, end-1) + 1}
	}
	return [2]int{from, from + 2}
}

// runeAt is the number of the character that a byte is part of.
func runeAt(text string, at int) int {
	n := 0
	for i := range at {
		if utf8.RuneStart(text[i+1]) {
			n++
		}
	}
	return n
}
