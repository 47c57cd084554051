// Text on its way to becoming tokens: a piece knows, while offsets are asked for, the place in the
// source text that every one of its bytes stands for. Touches nothing outside the package.

package tokenizer

import "unicode/utf8"

// noToken marks a piece that is not an added token.
const noToken = -1

// span is a half-open range of bytes in the source text.
type span struct{ start, end int32 }

// piece is a stretch of text. track says whether offsets are wanted. align has one entry for each byte
// of text; it is nil while the piece is still a part of the source as it stands, which most text stays.
// base is where the piece begins in the source (of no meaning in what was rewritten without track). id
// is the added token that the piece is, or noToken.
type piece struct {
	text  string
	align []span
	base  int32
	id    int32
	track bool
}

// newPiece is a piece for a whole source text.
func newPiece(text string, track bool) piece { return piece{text: text, id: noToken, track: track} }

// alignment is align written out: nil only when offsets are not wanted.
func (p piece) alignment() []span {
	if p.align != nil || !p.track {
		return p.align
	}
	align := make([]span, len(p.text))
	for i := 0; i < len(p.text); {
		_, n := utf8.DecodeRuneInString(p.text[i:])
		for k := i; k < i+n; k++ {
			align[k] = span{p.base + int32(i), p.base + int32(i+n)}
		}
		i += n
	}
	return align
}

// with is the piece with another text and the alignment of that.
func (p piece) with(text string, align []span) piece {
	p.text, p.align = text, align
	return p
}

// slice is the part [a, b) of the piece; it shares memory with it.
func (p piece) slice(a, b int) piece {
	q := piece{text: p.text[a:b], id: noToken, base: p.base, track: p.track}
	switch {
	case p.align == nil:
		q.base += int32(a)
	case a < b:
		q.align, q.base = p.align[a:b], p.align[a].start
	}
	return q
}

// source is the range of source bytes that [a, b) of the piece stands for.
func (p piece) source(a, b int) (int, int) {
	if p.align != nil && a < b {
		return int(p.align[a].start), int(p.align[b-1].end)
	}
	if a < b { // a part of a character stands for the whole
		for !utf8.RuneStart(p.text[a]) {
			a--
		}
		for b < len(p.text) && !utf8.RuneStart(p.text[b]) {
			b++
		}
	}
	return int(p.base) + a, int(p.base) + b
}

// prepend puts s in front; what it adds stands for the piece's first character.
func (p piece) prepend(s string) piece {
	if p.text == "" || s == "" {
		return p
	}
	var align []span
	if p.track {
		old := p.alignment()
		align = make([]span, 0, len(s)+len(old))
		for range len(s) {
			align = append(align, old[0])
		}
		align = append(align, old...)
	}
	return p.with(s+p.text, align)
}

// change is one character of a rewritten text. delta is 0 when it replaces the next old character,
// positive when it is inserted, and -n when it replaces one and swallows n more.
type change struct {
	r     rune
	delta int
}

// rewrite replaces the whole text by the given characters and carries the alignment along.
func (p piece) rewrite(changes []change) piece { return p.rewriteAfter(0, changes) }

// rewriteAfter is rewrite with the first dropped characters left out.
func (p piece) rewriteAfter(dropped int, changes []change) piece {
	text := make([]byte, 0, len(p.text)+8)
	sources := p.alignment()
	var align []span
	if p.track {
		align = make([]span, 0, len(p.text)+8)
	}
	old := 0
	for ; dropped > 0 && old < len(p.text); dropped-- {
		_, size := utf8.DecodeRuneInString(p.text[old:])
		old += size
	}
	for _, c := range changes {
		at := old
		if c.delta > 0 {
			at = old - 1
		}
		for n := 1 - c.delta; n > 0 && old < len(p.text); n-- {
			_, size := utf8.DecodeRuneInString(p.text[old:])
			old += size
		}
		before := len(text)
		text = utf8.AppendRune(text, c.r)
		if p.track {
			from := span{p.base, p.base}
			if at >= 0 && len(sources) > 0 {
				from = sources[min(at, len(sources)-1)]
			}
			for range len(text) - before {
				align = append(align, from)
			}
		}
	}
	return p.with(string(text), align)
}

// filter keeps the characters that keep says yes to.
func (p piece) filter(keep func(rune) bool) piece {
	drops := false
	for _, r := range p.text {
		if !keep(r) {
			drops = true
			break
		}
	}
	if !drops {
		return p
	}
	var changes []change
	first := 0 // characters dropped before the first that stays
	for _, r := range p.text {
		switch {
		case keep(r):
			changes = append(changes, change{r, 0})
		case len(changes) == 0:
			first++
		default:
			changes[len(changes)-1].delta--
		}
	}
	return p.rewriteAfter(first, changes)
}

// mapRunes puts one character in the place of each; f must keep those that it gives back valid.
func (p piece) mapRunes(f func(rune) rune) piece {
	same := true
	for _, r := range p.text {
		if f(r) != r {
			same = false
			break
		}
	}
	if same {
		return p
	}
	changes := make([]change, 0, len(p.text))
	for _, r := range p.text {
		changes = append(changes, change{f(r), 0})
	}
	return p.rewrite(changes)
}

// replace puts content in the place of every match; it stands for the last byte that it replaces.
func (p piece) replace(matches []match, content string) piece {
	if len(matches) == 0 || len(matches) == 1 && !matches[0].hit {
		return p
	}
	text := make([]byte, 0, len(p.text)+8)
	sources := p.alignment()
	var align []span
	if p.track {
		align = make([]span, 0, len(p.text)+8)
	}
	for _, m := range matches {
		if !m.hit {
			text = append(text, p.text[m.start:m.end]...)
			if p.track {
				align = append(align, sources[m.start:m.end]...)
			}
			continue
		}
		text = append(text, content...)
		if p.track {
			from := span{p.base, p.base}
			if m.end > 0 {
				from = sources[m.end-1]
			}
			for range len(content) {
				align = append(align, from)
			}
		}
	}
	return p.with(string(text), align)
}

// runeCursor turns byte offsets of a text into character offsets. It walks to offsets close by, as those
// of one token after another are, and looks the others up in an index that it makes for the first of them.
type runeCursor struct {
	text   string
	bytes  int     // where the cursor stands: the first byte of a character, or the end
	runes  int     // and the characters before it
	blocks []int32 // characters that begin before each block
}

const (
	runeBlock = 64  // bytes
	shortWalk = 128 // bytes
)

// at is the index of the character that holds byte b, or the number of characters at the end.
func (c *runeCursor) at(b int) int {
	b = min(b, len(c.text))
	for b < len(c.text) && !utf8.RuneStart(c.text[b]) {
		b--
	}
	switch {
	case b > c.bytes+shortWalk || b < c.bytes-shortWalk:
		if c.blocks == nil {
			c.index()
		}
		block := b / runeBlock
		c.runes = int(c.blocks[block]) + runeStarts(c.text[block*runeBlock:b])
	case b >= c.bytes:
		c.runes += utf8.RuneCountInString(c.text[c.bytes:b])
	default:
		c.runes -= utf8.RuneCountInString(c.text[b:c.bytes])
	}
	c.bytes = b
	return c.runes
}

func (c *runeCursor) index() {
	c.blocks = make([]int32, len(c.text)/runeBlock+1)
	for i := 1; i < len(c.blocks); i++ {
		c.blocks[i] = c.blocks[i-1] + int32(runeStarts(c.text[(i-1)*runeBlock:i*runeBlock]))
	}
}

// runeStarts is the number of characters that begin in a part of a text, which may begin in the middle of
// another.
func runeStarts(part string) int {
	n := 0
	for i := range len(part) {
		if utf8.RuneStart(part[i]) {
			n++
		}
	}
	return n
}
