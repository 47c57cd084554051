// What a tokenizer's files say about special tokens and defaults, beside the vocabulary itself.

package tokenizer

import "maps"

// SpecialToken is a token with a role. ID is -1 and Text is "" when there is none.
type SpecialToken struct {
	Text string
	ID   int
}

// RoleToken is a token with the name of its role.
type RoleToken struct{ Role, Text string }

// Special tells the roles of tokens and the defaults for batches. A tokenizer.json alone does not say
// which tokens are BOS, EOS, UNK and PAD; a folder's tokenizer_config.json and GGUF metadata do.
type Special struct {
	BOS, EOS, UNK, PAD, SEP, CLS, MASK SpecialToken
	// AddBOS and AddEOS say whether Encode(text, true) begins with BOS and ends with EOS.
	AddBOS, AddEOS bool
	// Extra are further special tokens that the files list, and OwnRoles those with a role of a model's
	// own, like image_token. A tokenizer.json may have more: IDs has them all.
	Extra    []string
	OwnRoles []RoleToken
	// WantsEOS says that the files ask for EOS after each text (add_eos_token), whatever the
	// post-processor of a tokenizer.json does: it counts where the post-processor is replaced.
	WantsEOS bool
	// IDs are the ids of all special tokens, sorted: what Decode(ids, true) leaves out.
	IDs []int
	// PaddingSide is "left" or "right".
	PaddingSide string
	// TruncationSide is "left", "right", or "" when it is not said.
	TruncationSide string
	// ModelMaxLength is 0 when it is not known.
	ModelMaxLength int
	// ChatTemplate is the Jinja source of the chat template, "" when there is none.
	ChatTemplate string
	// ChatTemplates are the templates by name where there are several; the one called default, if
	// there is one, is ChatTemplate too.
	ChatTemplates map[string]string
	// InputNames are what a model takes of an encoding, in transformers' words; nil when it is not said.
	InputNames []string
	// CleanUpSpaces asks for English spaces before punctuation to be taken out of decoded text, which
	// transformers does for models other than BPE. Decode does not.
	CleanUpSpaces bool
	// SplitSpecial has special tokens that are written out in a text encoded like any other text: the default
	// for Options.SplitSpecial.
	SplitSpecial bool
	// TokenizerClass is the name that tokenizer_config.json gives.
	TokenizerClass string
}

// Special is a copy; changing it does not change the tokenizer.
func (t *Tokenizer) Special() Special {
	s := t.special
	s.IDs = append([]int(nil), s.IDs...)
	s.Extra = append([]string(nil), s.Extra...)
	s.OwnRoles = append([]RoleToken(nil), s.OwnRoles...)
	s.InputNames = append([]string(nil), s.InputNames...)
	s.ChatTemplates = maps.Clone(s.ChatTemplates)
	return s
}

// settle fills in what follows from the loaded components.
func (t *Tokenizer) settle() error {
	if err := t.added.freeze(); err != nil {
		return err
	}
	t.follow = needsOffsets(t.pre)
	t.cutter, t.reader = t.pre, nil
	if m, ok := t.model.(*bpe); ok && m.readsBytes() {
		if cutter, ok := unspelled(t.pre); ok {
			t.cutter, t.reader = cutter, m
		}
	}
	s := &t.special
	for _, role := range []*SpecialToken{&s.BOS, &s.EOS, &s.UNK, &s.PAD, &s.SEP, &s.CLS, &s.MASK} {
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
