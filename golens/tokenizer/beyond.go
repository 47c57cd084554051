// Tokens that reach past the end of their piece: where a byte-fallback model also has a prefix or a suffix
// for characters by their place in a word, the bytes of those become tokens too, and every byte counts as
// one of the piece. Hugging Face's tokenizers find no place in the text for such a token and leave its
// numbers as they are, so far as they are places in the text at all.

package tokenizer

func (p piece) endsBefore(tok token) bool { return int(tok.end) > len(p.text) }

// beyond are the offsets of a token that ends behind its piece, in the text of the cursor.
func (c *runeCursor) beyond(tok token) [2]int {
	start, end := int(tok.start), int(tok.end)
	if start >= len(c.text) {
		return [2]int{start, end}
	}
	from := c.at(start)
	switch {
	case end < len(c.text):
		return [2]int{from, c.at(end)}
	case end-1 < len(c.text):
		return [2]int{from, c.at(end-1) + 1}
	}
	return [2]int{from, from + 2}
}
