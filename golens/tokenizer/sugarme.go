// The interfaces of github.com/sugarme/tokenizer, so that Go programs written to them can use these
// exact components. Nothing else in the package depends on this file.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	sugarme "github.com/sugarme/tokenizer"
	sugarnorm "github.com/sugarme/tokenizer/normalizer"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

var (
	_ sugarme.Model         = SugarmeModel{}
	_ sugarme.PreTokenizer  = SugarmePreTokenizer{}
	_ sugarme.Decoder       = SugarmeDecoder{}
	_ sugarme.PostProcessor = SugarmePostProcessor{}
	_ sugarnorm.Normalizer  = SugarmeNormalizer{}
	_ sugarme.Model         = sugarmeVocabulary{}
	_ sugarme.PreTokenizer  = sugarmeText{}
)

// Sugarme is a tokenizer of github.com/sugarme/tokenizer that gives the same ids and tokens as t, of texts and pairs,
// with added tokens in them or not, and decodes to the same text. What it cannot carry exactly is t's own to say:
// offsets where a text is not UTF-8 and numbers of words (EncodeText); which tokens are special, so that its Decode never
// leaves one out, and added tokens that the normalizer spells differently (Decode). A truncation or padding that is
// stored with t is not set.
func (t *Tokenizer) Sugarme() *sugarme.Tokenizer {
	theirs := sugarme.NewTokenizer(sugarmeVocabulary{t.SugarmeModel()})
	theirs.WithPreTokenizer(sugarmeText{t})
	if t.decoder != nil {
		theirs.WithDecoder(t.SugarmeDecoder())
	}
	if t.post != nil {
		theirs.WithPostProcessor(t.SugarmePostProcessor())
	}
	return theirs
}

// Sugarme is the encoding as github.com/sugarme/tokenizer has it, exactly; offsets are of characters.
func (e Encoding) Sugarme() *sugarme.Encoding {
	out := sugarme.DefaultEncoding()
	out.Ids, out.Tokens, out.TypeIds = e.IDs, e.Tokens, e.TypeIDs
	out.AttentionMask, out.SpecialTokenMask, out.Words = e.AttentionMask, e.SpecialTokensMask, e.WordIDs
	for _, o := range e.Offsets {
		out.Offsets = append(out.Offsets, []int{o[0], o[1]})
	}
	for i, sequence := range e.Sequences {
		if sequence >= 0 {
			out.SequenceRanges[sequence] = append(out.SequenceRanges[sequence], i) // a Range is all of its numbers
		}
	}
	for _, part := range e.Overflowing {
		out.Overflowing = append(out.Overflowing, *part.Sugarme())
	}
	return out
}

// sugarmeVocabulary is the model with the added tokens in it, which sugarme's own search for them need not find.
type sugarmeVocabulary struct{ SugarmeModel }

// TokenToId finds the id of a token.
func (m sugarmeVocabulary) TokenToId(token string) (int, bool) { return m.t.TokenToID(token) }

// IdToToken finds the token of an id.
func (m sugarmeVocabulary) IdToToken(id int) (string, bool) { return m.t.IDToToken(id) }

// GetVocab is a new map of all tokens.
func (m sugarmeVocabulary) GetVocab() map[string]int { return m.t.Vocab() }

// GetVocabSize is the number of all tokens.
func (m sugarmeVocabulary) GetVocabSize() int { return m.t.VocabSize() }

// sugarmeText does all that comes in front of the post-processor: what sugarme asks of a pre-tokenizer may have tokens
// already.
type sugarmeText struct{ t *Tokenizer }

// PreTokenize gives the text as one split with its tokens.
func (p sugarmeText) PreTokenize(text *sugarme.PreTokenizedString) (*sugarme.PreTokenizedString, error) {
	var failed error
	out := text.Split(func(_ int, n *sugarnorm.NormalizedString) []sugarme.SplitIdx {
		source := n.GetNormalized()
		e, err := p.t.encodeRaw(source, detail{texts: true}, false)
		if err != nil || len(e.IDs) == 0 {
			failed = err
			return nil
		}
		bytes := []int{}
		for i := range source {
			bytes = append(bytes, i)
		}
		bytes = append(bytes, len(source))
		tokens := make([]sugarme.Token, len(e.IDs))
		for i, id := range e.IDs {
			tokens[i] = sugarme.NewToken(id, e.Tokens[i], []int{bytes[e.Offsets[i][0]], bytes[e.Offsets[i][1]]})
		}
		return []sugarme.SplitIdx{{Normalized: n, Tokens: tokens}}
	})
	return out, failed
}

// SugarmeModel is the tokenizer's model. The interface carries it exactly. Added tokens are not part
// of it: give AddedTokens to sugarme's own tokenizer, whose search for them is not exact.
type SugarmeModel struct{ t *Tokenizer }

// SugarmePreTokenizer cuts text as the tokenizer does. The cuts are exact; sugarme's offsets are not
// for text outside the Basic Multilingual Plane, which its NormalizedString miscounts.
type SugarmePreTokenizer struct{ t *Tokenizer }

// SugarmeNormalizer normalizes text as the tokenizer does. The text is exact; sugarme takes the
// alignment as a whole, so offsets into normalized text point at the whole source.
type SugarmeNormalizer struct{ t *Tokenizer }

// SugarmeDecoder joins token strings to text. The interface has no way to return an error; tokens
// that cannot be decoded come back as they are.
type SugarmeDecoder struct{ t *Tokenizer }

// SugarmePostProcessor joins texts and adds special tokens. The interface carries it exactly, but for
// word numbers, which sugarme does not hand over.
type SugarmePostProcessor struct{ t *Tokenizer }

// SugarmeModel and its siblings below give the tokenizer's components behind sugarme's interfaces.
func (t *Tokenizer) SugarmeModel() SugarmeModel                 { return SugarmeModel{t} }
func (t *Tokenizer) SugarmePreTokenizer() SugarmePreTokenizer   { return SugarmePreTokenizer{t} }
func (t *Tokenizer) SugarmeNormalizer() SugarmeNormalizer       { return SugarmeNormalizer{t} }
func (t *Tokenizer) SugarmeDecoder() SugarmeDecoder             { return SugarmeDecoder{t} }
func (t *Tokenizer) SugarmePostProcessor() SugarmePostProcessor { return SugarmePostProcessor{t} }

// Tokenize gives the tokens of one word, as the pre-tokenizer cut and spelled it.
func (m SugarmeModel) Tokenize(word string) ([]sugarme.Token, error) {
	toks, err := m.t.model.tokenize(word, nil)
	if err != nil {
		return nil, err
	}
	out := make([]sugarme.Token, len(toks))
	for i, tok := range toks {
		text, _ := m.t.model.tokenText(tok.id)
		out[i] = sugarme.NewToken(int(tok.id), text, []int{int(tok.start), int(tok.end)})
	}
	return out, nil
}

// TokenToId finds the id of a token of the model.
func (m SugarmeModel) TokenToId(token string) (int, bool) {
	id, ok := m.t.model.tokenID(token)
	return int(id), ok
}

// IdToToken finds the token of an id of the model.
func (m SugarmeModel) IdToToken(id int) (string, bool) {
	if id < 0 || id >= maxTokenID {
		return "", false
	}
	return m.t.model.tokenText(int32(id))
}

// GetVocab is a new map of the model's tokens.
func (m SugarmeModel) GetVocab() map[string]int {
	out := make(map[string]int, m.GetVocabSize())
	for s, id := range m.t.model.vocabulary() {
		out[s] = int(id)
	}
	return out
}

// GetVocabSize is the number of the model's tokens.
func (m SugarmeModel) GetVocabSize() int { return len(m.t.model.vocabulary()) }

// Save writes the vocabulary as vocab.json into dir; prefix goes in front of the name.
func (m SugarmeModel) Save(dir string, prefix ...string) error {
	name := "vocab.json"
	if len(prefix) > 0 && prefix[0] != "" {
		name = prefix[0] + "-" + name
	}
	raw, err := json.Marshal(m.GetVocab())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), raw, 0o644)
	}
	if err != nil {
		return fmt.Errorf("tokenizer: saving the vocabulary: %w", err)
	}
	return nil
}

// PreTokenize cuts and spells every split that has no tokens yet.
func (p SugarmePreTokenizer) PreTokenize(text *sugarme.PreTokenizedString) (*sugarme.PreTokenizedString, error) {
	if p.t.pre == nil {
		return text, nil
	}
	var failed error
	out := text.Split(func(_ int, n *sugarnorm.NormalizedString) []sugarme.SplitIdx {
		var splits []sugarme.SplitIdx
		err := p.t.pre.preTokenize(newPiece(lossy(n.GetNormalized()), true), func(q piece) {
			if q.text == "" {
				return
			}
			from, to := q.source(0, len(q.text))
			part := n.Slice(sugarnorm.NewRange(from, to, sugarnorm.NormalizedTarget))
			if part == nil {
				failed = fmt.Errorf("tokenizer: sugarme cannot cut %s at bytes %d to %d", jsontext.Quote(n.GetNormalized()), from, to)
				return
			}
			splits = append(splits, sugarme.SplitIdx{Normalized: respell(part, q.text)})
		})
		if err != nil {
			failed = err
			return []sugarme.SplitIdx{{Normalized: n}}
		}
		return splits
	})
	return out, failed
}

// respell replaces the text of n, keeping its place in the source.
func respell(n *sugarnorm.NormalizedString, text string) *sugarnorm.NormalizedString {
	old := len([]rune(n.GetNormalized()))
	var changes []sugarnorm.ChangeMap
	for i, r := range []rune(text) {
		c := sugarnorm.ChangeMap{RuneVal: string(r)}
		if i >= old {
			c.Changes = 1
		}
		changes = append(changes, c)
	}
	if extra := old - len(changes); extra > 0 && len(changes) > 0 {
		changes[len(changes)-1].Changes = -extra
	}
	return n.Transform(changes, 0)
}

// Normalize rewrites the text.
func (s SugarmeNormalizer) Normalize(n *sugarnorm.NormalizedString) (*sugarnorm.NormalizedString, error) {
	if s.t.normalizer == nil {
		return n, nil
	}
	p, err := s.t.normalizer.normalize(newPiece(lossy(n.GetNormalized()), false))
	if err != nil {
		return nil, err
	}
	if p.text == n.GetNormalized() {
		return n, nil
	}
	return respell(n, p.text), nil
}

// Decode joins tokens to text.
func (d SugarmeDecoder) Decode(tokens []string) string {
	text := ""
	for _, part := range d.DecodeChain(tokens) {
		text += part
	}
	return text
}

// DecodeChain rewrites tokens to the parts of a text.
func (d SugarmeDecoder) DecodeChain(tokens []string) []string {
	if d.t.decoder == nil {
		return tokens
	}
	parts, err := d.t.decoder.decodeChain(tokens)
	if err != nil {
		return tokens
	}
	return parts
}

// AddedTokens is the number of tokens that Process adds.
func (p SugarmePostProcessor) AddedTokens(isPair bool) int {
	if p.t.post == nil {
		return 0
	}
	return p.t.post.added(isPair)
}

// Process joins the texts and adds special tokens.
func (p SugarmePostProcessor) Process(e, pair *sugarme.Encoding, addSpecial bool) *sugarme.Encoding {
	if p.t.post == nil {
		return sugarme.DefaultProcess(e, pair, addSpecial)
	}
	parts := []Encoding{fromSugarme(e, 0)}
	if pair != nil {
		parts = append(parts, fromSugarme(pair, 1))
	}
	return p.t.finish(detail{masks: true, texts: true}, parts, addSpecial).Sugarme()
}

func fromSugarme(from *sugarme.Encoding, typeID int) Encoding {
	e := newEncoding(detail{masks: true, texts: true}, len(from.Ids))
	for i, id := range from.Ids {
		e.IDs = append(e.IDs, id)
		e.Tokens = append(e.Tokens, from.Tokens[i])
		e.Offsets = append(e.Offsets, [2]int{from.Offsets[i][0], from.Offsets[i][1]})
		e.TypeIDs = append(e.TypeIDs, typeID)
		e.AttentionMask = append(e.AttentionMask, 1)
		e.SpecialTokensMask = append(e.SpecialTokensMask, 0)
		e.WordIDs = append(e.WordIDs, -1)
		e.Sequences = append(e.Sequences, typeID)
	}
	return e
}
