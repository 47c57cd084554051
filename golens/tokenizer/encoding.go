// The result of encoding, and joining, shortening and padding it.

package tokenizer

// Encoding is the tokens of a text or of a pair of texts. All slices have an entry for each token;
// those that were not asked for are nil.
type Encoding struct {
	IDs []int
	// TypeIDs tell which text of a pair a token belongs to, by the post-processor's reckoning.
	TypeIDs []int
	// Tokens are the tokens as the vocabulary spells them; what a Unigram model does not know is
	// given as it stands in the text.
	Tokens []string
	// Offsets are ranges of characters of the text that a token comes from, half open; [0, 0) for
	// tokens that were added.
	Offsets [][2]int
	// WordIDs number the stretches that the pre-tokenizer cut, or the words of a text that came in
	// words; -1 for tokens that were added.
	WordIDs []int
	// Sequences tell which text of a pair a token is from, 0 or 1; -1 for tokens that were added.
	Sequences []int
	// AttentionMask is 0 for padding, SpecialTokensMask 1 for tokens that were added and for padding.
	AttentionMask, SpecialTokensMask []int
	// Overflowing are the parts that truncation cut off, when they were asked for.
	Overflowing []Encoding
}

// detail says how much of an Encoding is wanted.
type detail struct {
	masks bool // TypeIDs, AttentionMask and SpecialTokensMask
	texts bool // Tokens, Offsets, WordIDs and Sequences
}

func (e *Encoding) detail() detail { return detail{e.TypeIDs != nil, e.Tokens != nil} }

// newEncoding is an empty encoding with room for so many tokens.
func newEncoding(d detail, capacity int) Encoding {
	e := sizedEncoding(d, capacity)
	return e.slice(0, 0, capacity)
}

// sizedEncoding has so many tokens, all of them 0. The numbers lie in one stretch of memory.
func sizedEncoding(d detail, n int) Encoding {
	columns := 1
	if d.masks {
		columns += 3
	}
	if d.texts {
		columns += 2
	}
	all := make([]int, columns*n)
	column := func() []int {
		c := all[:n:n]
		all = all[n:]
		return c
	}
	e := Encoding{IDs: column()}
	if d.masks {
		e.TypeIDs, e.AttentionMask, e.SpecialTokensMask = column(), column(), column()
	}
	if d.texts {
		e.WordIDs, e.Sequences = column(), column()
		e.Tokens, e.Offsets = make([]string, n), make([][2]int, n)
	}
	return e
}

// specialTokens is an encoding of tokens that are added to a text.
func specialTokens(d detail, ids []int, names []string, typeID int) Encoding {
	e := newEncoding(d, len(ids))
	for i, id := range ids {
		e.IDs = append(e.IDs, id)
		if d.masks {
			e.TypeIDs = append(e.TypeIDs, typeID)
			e.AttentionMask = append(e.AttentionMask, 1)
			e.SpecialTokensMask = append(e.SpecialTokensMask, 1)
		}
		if d.texts {
			e.Tokens = append(e.Tokens, names[i])
			e.Offsets = append(e.Offsets, [2]int{})
			e.WordIDs = append(e.WordIDs, -1)
			e.Sequences = append(e.Sequences, -1)
		}
	}
	return e
}

func (e *Encoding) setTypeIDs(typeID int) {
	for i := range e.TypeIDs {
		e.TypeIDs[i] = typeID
	}
}

// setText says which text of a pair these tokens are.
func (e *Encoding) setText(text int) {
	e.setTypeIDs(text)
	for i := range e.Sequences {
		e.Sequences[i] = text
	}
}

// clone has memory of its own; it does not take over what overflows.
func (e *Encoding) clone() Encoding { return join(Encoding{}, *e) }

func (e *Encoding) appendTokens(o Encoding) {
	e.IDs = append(e.IDs, o.IDs...)
	e.TypeIDs = append(e.TypeIDs, o.TypeIDs...)
	e.Tokens = append(e.Tokens, o.Tokens...)
	e.Offsets = append(e.Offsets, o.Offsets...)
	e.WordIDs = append(e.WordIDs, o.WordIDs...)
	e.Sequences = append(e.Sequences, o.Sequences...)
	e.AttentionMask = append(e.AttentionMask, o.AttentionMask...)
	e.SpecialTokensMask = append(e.SpecialTokensMask, o.SpecialTokensMask...)
}

// join is a followed by b, in memory of its own, without what overflows.
func join(a, b Encoding) Encoding {
	e := newEncoding(b.detail(), len(a.IDs)+len(b.IDs))
	e.appendTokens(a)
	e.appendTokens(b)
	return e
}

// mergeAll joins the parts of an encoding. Each part that overflows is joined with each that overflows
// among the others.
func mergeAll(d detail, parts []Encoding) Encoding {
	n := 0
	for _, p := range parts {
		n += len(p.IDs)
	}
	e := newEncoding(d, n)
	for _, p := range parts {
		var over []Encoding
		for _, mine := range e.Overflowing {
			over = append(over, join(mine, p))
			for _, theirs := range p.Overflowing {
				over = append(over, join(mine, theirs))
			}
		}
		for _, theirs := range p.Overflowing {
			over = append(over, join(e, theirs))
		}
		e.appendTokens(p)
		e.Overflowing = over
	}
	return e
}

// slice is the part [a, b) of the tokens with room up to limit; it shares memory with e.
func (e *Encoding) slice(a, b, limit int) Encoding {
	s := Encoding{IDs: e.IDs[a:b:limit]}
	if e.TypeIDs != nil {
		s.TypeIDs, s.AttentionMask, s.SpecialTokensMask = e.TypeIDs[a:b:limit], e.AttentionMask[a:b:limit], e.SpecialTokensMask[a:b:limit]
	}
	if e.Tokens != nil {
		s.Tokens, s.Offsets = e.Tokens[a:b:limit], e.Offsets[a:b:limit]
		s.WordIDs, s.Sequences = e.WordIDs[a:b:limit], e.Sequences[a:b:limit]
	}
	return s
}
