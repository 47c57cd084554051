// Text on its way to becoming tokens: a piece keeps, while offsets are asked for, the place in the
// source text that every one of its bytes stands for. Touches nothing outside the package.

package tokenizer

import (
	"sort"
	"unicode/utf8"
)

// noToken marks a piece that is not an added token.
const noToken = -1

// span is a half-open range of bytes in the source text.
type span struct{ start, end int32 }

// piece is a stretch of text. align has one entry for each byte of text, or is nil when nobody asked
// for offsets. base is where the piece begins in the source (kept only together with align). id is
// the added token that the piece is, or noToken.
type piece struct {
	text  string
	align []span
	base  int32
	id    int32
}

// newPiece is a piece for a whole source text; track says whether offsets are wanted.
func newPiece(text string, track bool) piece {
	p := piece{text: text, id: noToken}
	if !track {
		return p
	}
	p.align = make([]span, len(text))
	for i := 0; i < len(text); {
		_, n := utf8.DecodeRuneInString(text[i:])
		for k := i; k < i+n; k++ {
			p.align[k] = span{int32(i), int32(i + n)}
		}
		i += n
	}
	return p
}

// slice is the part [a, b) of the piece; it shares memory with it.
func (p piece) slice(a, b int) piece {
	q := piece{text: p.text[a:b], id: noToken, base: p.base}
	if p.align != nil {
		q.align = p.align[a:b]
		if a < b {
			q.base = p.align[a].start
		}
	}
	return q
}

// source is the range of source bytes that [a, b) of the piece stands for.
func (p piece) source(a, b int) (int, int) {
	if a >= b || b > len(p.align) {
		return int(p.base) + a, int(p.base) + b
	}
	return int(p.align[a].start), int(p.align[b-1].end)
}

// prepend puts s in front; what it adds stands for the piece's first character.
func (p piece) prepend(s string) piece {
	if p.text == "" || s == "" {
		return p
	}
	q := piece{text: s + p.text, id: p.id, base: p.base}
	if p.align != nil {
		q.align = make([]span, 0, len(q.text))
		for range len(s) {
			q.align = append(q.align, p.align[0])
		}
		q.align = append(q.align, p.align...)
	}
	return q
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
	var align []span
	if p.align != nil {
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
		if p.align != nil {
			from := span{p.base, p.base}
			if at >= 0 && len(p.align) > 0 {
				from = p.align[min(at, len(p.align)-1)]
			}
			for range len(text) - before {
				align = append(align, from)
			}
		}
	}
	return piece{text: string(text), align: align, base: p.base, id: p.id}
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
	text := make([]byte, 0, len(p.text)+8)
	var align []span
	for _, m := range matches {
		if !m.hit {
			text = append(text, p.text[m.start:m.end]...)
			if p.align != nil {
				align = append(align, p.align[m.start:m.end]...)
			}
			continue
		}
		text = append(text, content...)
		if p.align != nil {
			from := span{p.base, p.base}
			if m.end > 0 {
				from = p.align[m.end-1]
			}
			for range len(content) {
				align = append(align, from)
			}
		}
	}
	if p.align != nil && align == nil {
		align = []span{}
	}
	return piece{text: string(text), align: align, base: p.base, id: p.id}
}

// splitEach runs f over the pieces that are not added tokens and drops the empty ones it returns.
func splitEach(pieces []piece, f func(p piece, emit func(piece)) error) ([]piece, error) {
	out := make([]piece, 0, len(pieces)+len(pieces)/2)
	emit := func(p piece) {
		if p.text != "" {
			out = append(out, p)
		}
	}
	for _, p := range pieces {
		if p.id != noToken {
			out = append(out, p)
			continue
		}
		if err := f(p, emit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// runeIndex turns byte offsets of a text into character offsets.
type runeIndex struct {
	text   string
	ascii  bool
	starts []int32 // where each character begins
}

func newRuneIndex(text string) *runeIndex {
	x := &runeIndex{text: text, ascii: true}
	for i := 0; i < len(text); i++ {
		if text[i] >= utf8.RuneSelf {
			x.ascii = false
			break
		}
	}
	if x.ascii {
		return x
	}
	x.starts = make([]int32, 0, len(text))
	for i := range text {
		x.starts = append(x.starts, int32(i))
	}
	return x
}

// at is the index of the character that holds byte b, or the number of characters at the end.
func (x *runeIndex) at(b int) int {
	if x.ascii {
		return min(b, len(x.text))
	}
	if b >= len(x.text) {
		return len(x.starts)
	}
	i := sort.Search(len(x.starts), func(i int) bool { return int(x.starts[i]) > b })
	return max(i-1, 0)
}
