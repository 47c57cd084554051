// Writing the tokens of one text: each piece goes through the model, and its tokens, with their places in
// the text where they are wanted, to the end of an encoding.

package tokenizer

import "sync"

type tokenWriter struct {
	t        *Tokenizer
	d        detail
	encoding Encoding
	cursor   runeCursor
	tokens   []token // of one piece
	word     int
	failed   error
}

var tokenWriterPool = sync.Pool{New: func() any { return new(tokenWriter) }}

// bytesPerToken is about what a token covers; too many or too few cost memory or time, nothing else.
const bytesPerToken = 4

func (w *tokenWriter) begin(t *Tokenizer, d detail, text string) {
	*w = tokenWriter{
		t: t, d: d, encoding: newEncoding(d, len(text)/bytesPerToken+4),
		cursor: runeCursor{text: text}, tokens: w.tokens[:0],
	}
}

// release gives the writer back, without what the caller has now.
func (w *tokenWriter) release() {
	if cap(w.tokens) > 1<<14 {
		w.tokens = nil
	}
	*w = tokenWriter{tokens: w.tokens}
	tokenWriterPool.Put(w)
}

// take writes a piece; of a text that a model refuses the first error is kept.
func (w *tokenWriter) take(p piece) {
	if p.text == "" || w.failed != nil {
		return
	}
	switch {
	case p.id != noToken:
		w.tokens = append(w.tokens[:0], token{p.id, 0, int32(len(p.text))})
	case w.t.reader != nil:
		w.tokens = w.t.reader.tokenizeBytes(p.text, w.tokens[:0])
	default:
		if w.tokens, w.failed = w.t.model.tokenize(p.text, w.tokens[:0]); w.failed != nil {
			return
		}
	}
	e := &w.encoding
	for _, tok := range w.tokens {
		e.IDs = append(e.IDs, int(tok.id))
	}
	if w.d.masks {
		for range w.tokens {
			e.TypeIDs = append(e.TypeIDs, 0)
			e.AttentionMask = append(e.AttentionMask, 1)
			e.SpecialTokensMask = append(e.SpecialTokensMask, 0)
		}
	}
	if w.d.texts {
		w.takeDetails(p)
	}
	w.word++
}

func (w *tokenWriter) takeDetails(p piece) {
	e := &w.encoding
	surface, _ := w.t.model.(surfaceTexter)
	for _, tok := range w.tokens {
		if p.endsBefore(tok) {
			e.Offsets = append(e.Offsets, offsetsBeyond(w.cursor.text, tok))
		} else {
			a, b := p.source(int(tok.start), int(tok.end))
			from := w.cursor.at(a)
			e.Offsets = append(e.Offsets, [2]int{from, w.cursor.at(b)})
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
		e.Tokens = append(e.Tokens, text)
		e.WordIDs = append(e.WordIDs, w.word)
		e.Sequences = append(e.Sequences, 0)
	}
}
