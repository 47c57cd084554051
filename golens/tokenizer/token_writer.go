// Writing the tokens of one text: each piece goes through the model, and its tokens, with their places in
// the text where they are wanted, onto lists that become an encoding in the end.

package tokenizer

import "sync"

// tokenWriter is used again and again, so that the lists have grown already.
type tokenWriter struct {
	t      *Tokenizer
	texts  bool // tokens, offsets and words are wanted
	cursor runeCursor
	word   int
	failed error

	piece   []token // of one piece
	ids     []int
	offsets [][2]int
	tokens  []string
	words   []int
}

var tokenWriterPool = sync.Pool{New: func() any { return new(tokenWriter) }}

func newTokenWriter(t *Tokenizer, d detail, text string) *tokenWriter {
	w := tokenWriterPool.Get().(*tokenWriter)
	w.t, w.texts, w.cursor, w.word, w.failed = t, d.texts, runeCursor{text: text}, 0, nil
	return w
}

// release gives the writer back; nothing of it is in an encoding.
func (w *tokenWriter) release() {
	if cap(w.piece)+cap(w.ids) > 1<<16 {
		return
	}
	clear(w.tokens) // they would keep texts alive
	w.t, w.cursor = nil, runeCursor{}
	w.piece, w.ids, w.offsets, w.tokens, w.words = w.piece[:0], w.ids[:0], w.offsets[:0], w.tokens[:0], w.words[:0]
	tokenWriterPool.Put(w)
}

// take writes a piece; of a text that a model refuses the first error is kept.
func (w *tokenWriter) take(p piece) {
	if p.text == "" || w.failed != nil {
		return
	}
	switch {
	case p.id != noToken:
		w.piece = append(w.piece[:0], token{p.id, 0, int32(len(p.text))})
	case w.t.reader != nil:
		w.piece = w.t.reader.tokenizeBytes(p.text, w.piece[:0])
	default:
		if w.piece, w.failed = w.t.model.tokenize(p.text, w.piece[:0]); w.failed != nil {
			return
		}
	}
	for _, tok := range w.piece {
		w.ids = append(w.ids, int(tok.id))
	}
	if w.texts {
		w.takeDetails(p)
	}
	w.word++
}

func (w *tokenWriter) takeDetails(p piece) {
	surface, _ := w.t.model.(surfaceTexter)
	for _, tok := range w.piece {
		if p.endsBefore(tok) {
			w.offsets = append(w.offsets, w.cursor.beyond(tok))
		} else {
			a, b := p.source(int(tok.start), int(tok.end))
			from := w.cursor.at(a)
			w.offsets = append(w.offsets, [2]int{from, w.cursor.at(b)})
		}
		var text string
		switch {
		case p.id != noToken:
			text = p.text
		case surface != nil:
			text = surface.surfaceText(tok, p.text)
		default:
			text, _ = w.t.model.tokenText(tok.id)
		}
		w.tokens = append(w.tokens, text)
		w.words = append(w.words, w.word)
	}
}

// encoding is what was written, in memory of its own.
func (w *tokenWriter) encoding(d detail) Encoding {
	e := sizedEncoding(d, len(w.ids))
	copy(e.IDs, w.ids)
	for i := range e.AttentionMask {
		e.AttentionMask[i] = 1
	}
	copy(e.Tokens, w.tokens)
	copy(e.Offsets, w.offsets)
	copy(e.WordIDs, w.words)
	return e
}
