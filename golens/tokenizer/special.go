// What a tokenizer's files say about special tokens and defaults, beside the vocabulary itself.

package tokenizer

// SpecialToken is a token with a role. ID is -1 and Text is "" when there is none.
type SpecialToken struct {
	Text string
	ID   int
}

// Special tells the roles of tokens and the defaults for batches. A tokenizer.json alone does not say
// which tokens are BOS, EOS, UNK and PAD; a folder's tokenizer_config.json and GGUF metadata do.
type Special struct {
	BOS, EOS, UNK, PAD SpecialToken
	// AddBOS and AddEOS say whether Encode(text, true) begins with BOS and ends with EOS.
	AddBOS, AddEOS bool
	// IDs are the ids of all special tokens, sorted: what Decode(ids, true) leaves out.
	IDs []int
	// PaddingSide is "left" or "right".
	PaddingSide string
	// ModelMaxLength is 0 when it is not known.
	ModelMaxLength int
	// ChatTemplate is the Jinja source of the chat template, "" when there is none.
	ChatTemplate string
	// TokenizerClass is the name that tokenizer_config.json gives.
	TokenizerClass string
}

// Special is a copy; changing it does not change the tokenizer.
func (t *Tokenizer) Special() Special {
	s := t.special
	s.IDs = append([]int(nil), s.IDs...)
	return s
}

// settle fills in what follows from the loaded components.
func (t *Tokenizer) settle() error {
	if err := t.added.freeze(); err != nil {
		return err
	}
	t.follow = needsOffsets(t.pre)
	s := &t.special
	for _, role := range []*SpecialToken{&s.BOS, &s.EOS, &s.UNK, &s.PAD} {
		role.ID = -1
		if role.Text != "" {
			if id, ok := t.TokenToID(role.Text); ok {
				role.ID = id
			}
		}
	}
	if s.PaddingSide == "" {
		s.PaddingSide = "right"
	}
	s.IDs = nil
	for _, id := range t.added.ids() {
		if t.added.special[t.added.byID[id].Content] {
			s.IDs = append(s.IDs, int(id))
		}
	}
	const text = -1
	ids := t.finish(detail{}, []Encoding{{IDs: []int{text}}}, true).IDs
	n := len(ids)
	s.AddBOS = s.BOS.ID >= 0 && n > 1 && ids[0] == s.BOS.ID
	s.AddEOS = s.EOS.ID >= 0 && n > 1 && ids[n-1] == s.EOS.ID
	return nil
}
