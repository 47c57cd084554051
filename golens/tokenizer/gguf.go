// Building a tokenizer from the metadata of a GGUF file. The result is what transformers makes of the
// same metadata.

package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// GGUFMeta is a GGUF file's tokenizer metadata (the keys tokenizer.ggml.*).
type GGUFMeta struct {
	Model      string   // model: gpt2 (byte-level BPE), llama, gemma4 (SentencePiece BPE), t5 (Unigram) or bert (WordPiece)
	Pre        string   // pre, "" when absent
	Tokens     []string // tokens
	Merges     []string // merges, each "left right"
	TokenTypes []int32  // token_type, nil when absent
	// Scores are scores, one for each token; SentencePiece models need them.
	Scores []float32
	// Architecture is general.architecture, which decides about some details of "llama" vocabularies.
	Architecture string
	// BOS, EOS, UNK and PAD are bos_token_id, eos_token_id, unknown_token_id and padding_token_id, -1
	// when absent.
	BOS, EOS, UNK, PAD int
	// AddBOS and AddEOS are add_bos_token and add_eos_token, nil when absent.
	AddBOS, AddEOS *bool
	// AddSpacePrefix is add_space_prefix, nil when absent. It is for the model "llama", where absent means
	// true; byte-level BPE pays it no attention.
	AddSpacePrefix *bool
	ChatTemplate   string // tokenizer.chat_template
}

// Values of tokenizer.ggml.token_type that matter here.
const (
	ggufControl     = 3
	ggufUserDefined = 4
)

// FromGGUF builds a tokenizer. A model that is not known is an error, and so is, for byte-level BPE, a
// pre that is not known.
//
// In one thing the result differs from transformers on purpose: where the file has no token
// "<|endoftext|>" (Llama 3), transformers adds one, with an id that the model has no embedding for.
// Here that text is encoded like any other; so it is with the "<s>" and the like of SentencePiece models.
func FromGGUF(m GGUFMeta) (*Tokenizer, error) {
	build, ok := ggufBackends[m.Model]
	if !ok {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.model %s: %w (known: %s)", jsontext.Quote(m.Model), ErrUnsupported, strings.Join(slices.Sorted(maps.Keys(ggufBackends)), ", "))
	}
	if len(m.Tokens) == 0 {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.tokens is empty or missing")
	}
	if m.TokenTypes != nil && len(m.TokenTypes) != len(m.Tokens) {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.token_type has %d entries for %d tokens", len(m.TokenTypes), len(m.Tokens))
	}
	t, err := build(m)
	if err != nil {
		return nil, err
	}
	if err := t.addGGUFTokens(m); err != nil {
		return nil, err
	}
	addBOS, addEOS := m.AddBOS, m.AddEOS
	switch {
	case addBOS == nil && (m.Model == "llama" || m.Model == "gpt2" && ggufPres[m.Pre].bos): // files without the flag mean it
		addBOS = new(bool)
		*addBOS = true
	case m.Model == "gemma4": // the chat template writes it
		addBOS = nil
	}
	if t.post == nil || m.Model == "t5" && (addBOS != nil || addEOS != nil) {
		t.setTemplate(isTrue(addBOS), isTrue(addEOS))
	}
	t.special.ChatTemplate, t.special.WantsEOS = m.ChatTemplate, isTrue(m.AddEOS)
	if err := t.settle(); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func ggufByteLevel(m GGUFMeta) (*Tokenizer, error) {
	merges, err := parseMerges(m.Merges)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.merges: %w", err)
	}
	pre, err := ggufPreOf(m.Pre)
	if err != nil {
		return nil, err
	}
	bpe, err := newBPE(bpeConfig{vocab: ggufVocab(m.Tokens), merges: merges, ignore: pre.whole})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: GGUF vocabulary: %w", err)
	}
	return form{pre: pre.component(), decoder: byteLevelOf(true, true)}.around(bpe)
}

func isTrue(b *bool) bool { return b != nil && *b }

// ggufVocab numbers the tokens. A token that is not spelled in the byte-level alphabet, as some files
// have them, is spelled in it. Where a token is there twice the later one counts.
func ggufVocab(tokens []string) map[string]int32 {
	vocab := make(map[string]int32, len(tokens))
	for id, s := range tokens {
		if !inAlphabet(s) {
			s = spell(s)
		}
		vocab[s] = int32(id)
	}
	return vocab
}

// addGGUFTokens makes added tokens of the control tokens, of the user-defined ones and of those that
// have a role. A control token outside the byte-level alphabet is a mislabelled ordinary one.
func (t *Tokenizer) addGGUFTokens(m GGUFMeta) error {
	var control, user, roles []AddedToken
	for id, kind := range m.TokenTypes {
		s := m.Tokens[id]
		switch kind {
		case ggufControl:
			if m.Model != "gpt2" || inAlphabet(s) {
				control = append(control, AddedToken{Content: s, Special: true})
			}
		case ggufUserDefined:
			if _, ok := t.model.tokenID(s); ok || hasToken(control, s) {
				user = append(user, AddedToken{Content: s})
			}
		}
	}
	s := &t.special
	for _, role := range []struct {
		key string
		id  int
		to  *SpecialToken
	}{{"bos_token_id", m.BOS, &s.BOS}, {"eos_token_id", m.EOS, &s.EOS}, {"unknown_token_id", m.UNK, &s.UNK}, {"padding_token_id", m.PAD, &s.PAD}} {
		if role.id < 0 {
			continue
		}
		if role.id >= len(m.Tokens) {
			return fmt.Errorf("tokenizer: tokenizer.ggml.%s is %d: expected 0 to %d", role.key, role.id, len(m.Tokens)-1)
		}
		role.to.Text = m.Tokens[role.id]
		roles = append(roles, AddedToken{Content: role.to.Text, Special: true})
	}
	for _, tokens := range [][]AddedToken{control, user, roles} {
		if err := t.added.add(tokens, t.model, nil); err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
	}
	return nil
}

func hasToken(tokens []AddedToken, s string) bool {
	for _, t := range tokens {
		if t.Content == s {
			return true
		}
	}
	return false
}

// setTemplate replaces the post-processor by one that adds BOS and EOS where asked.
func (t *Tokenizer) setTemplate(addBOS, addEOS bool) {
	bos, eos := "", ""
	if addBOS {
		bos = t.special.BOS.Text
	}
	if addEOS {
		eos = t.special.EOS.Text
	}
	t.setPost(t.templateAround(bos, eos))
}

// templateAround puts one token before a text and one after it, and before and after both texts of a
// pair. What is "" or no token is left out.
func (t *Tokenizer) templateAround(before, after string) template {
	around := func(text int) []templatePart {
		var parts []templatePart
		add := func(s string) {
			if id, ok := t.TokenToID(s); ok && s != "" {
				parts = append(parts, templatePart{text: noText, ids: []int{id}, names: []string{s}, typeID: text})
			}
		}
		add(before)
		parts = append(parts, templatePart{text: text, typeID: text})
		add(after)
		return parts
	}
	return template{single: around(0), pair: append(around(0), around(1)...)}
}

// splitLines cuts a text file into lines, whichever line ends it has, without a last empty one.
func splitLines(s string) []string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	return lines
}
