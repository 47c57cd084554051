// GGUF metadata of vocabularies that are not byte-level BPE: SentencePiece's ("llama", "gemma4", "t5")
// and BERT's ("bert").

package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ggufBackends build the tokenizer for a value of tokenizer.ggml.model.
var ggufBackends = map[string]func(GGUFMeta) (*Tokenizer, error){
	"gpt2":   ggufByteLevel,
	"llama":  ggufLlama,
	"gemma4": ggufGemma4,
	"t5":     ggufT5,
	"bert":   ggufBert,
}

func (m GGUFMeta) scores() (map[string]float64, error) {
	if len(m.Scores) != len(m.Tokens) {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.scores has %d entries for %d tokens", len(m.Scores), len(m.Tokens))
	}
	out := make(map[string]float64, len(m.Tokens))
	for i, s := range m.Tokens {
		out[s] = float64(m.Scores[i])
	}
	return out, nil
}

// sentencePieceBPE takes the merges of the file, or those that the scores imply.
func (m GGUFMeta) sentencePieceBPE(unk string) (*bpe, error) {
	if m.Merges == nil {
		scores, err := m.scores()
		if err != nil {
			return nil, err
		}
		return bpeFromTokens(m.Tokens, scores, unk, true)
	}
	merges, err := parseMerges(m.Merges)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.merges: %w", err)
	}
	vocab := make(map[string]int32, len(m.Tokens))
	for id, s := range m.Tokens {
		vocab[s] = int32(id)
	}
	return newBPE(bpeConfig{vocab: vocab, merges: merges, unk: unk, fuseUnk: true, byteFallback: true})
}

// ggufLlama is SentencePiece BPE. The form depends on the model's architecture, which transformers
// goes by as well: no key of the file tells the forms apart.
func ggufLlama(m GGUFMeta) (*Tokenizer, error) {
	switch m.Architecture {
	case "gemma", "gemma2", "gemma3":
		return ggufGemma(m)
	}
	model, err := m.sentencePieceBPE("")
	if err != nil {
		return nil, err
	}
	scheme := prefixFirst
	switch {
	case m.AddSpacePrefix != nil && !*m.AddSpacePrefix:
		scheme = prefixNever
	case m.Architecture == "phi3":
		scheme = prefixAlways
	}
	t, err := markedForm(nil, false, scheme).around(model)
	if err != nil {
		return nil, err
	}
	return t, t.addKnown("<unk>", "<s>", "</s>")
}

// ggufGemma: tokens of spaces are respelled in marks, and the order of the tokens ranks the merges.
func ggufGemma(m GGUFMeta) (*Tokenizer, error) {
	tokens := make([]string, len(m.Tokens))
	scores := make(map[string]float64, len(m.Tokens))
	for i, s := range m.Tokens {
		if strings.Contains(s, " ") && strings.TrimFunc(s, isSpace) == "" {
			s = strings.Repeat(spaceMark, len([]rune(s)))
		}
		tokens[i] = s
		scores[s] = -float64(i)
	}
	m.Tokens = tokens
	if m.Merges != nil {
		return ggufGemma4(m)
	}
	model, err := bpeFromTokens(tokens, scores, "<unk>", true)
	if err != nil {
		return nil, err
	}
	return gemmaForm(model)
}

func ggufGemma4(m GGUFMeta) (*Tokenizer, error) {
	model, err := m.sentencePieceBPE("<unk>")
	if err != nil {
		return nil, err
	}
	return gemmaForm(model)
}

// gemmaForm finishes a tokenizer as GemmaTokenizer does.
func gemmaForm(m model) (*Tokenizer, error) {
	space := map[string]string{"String": " "}
	t, err := form{
		normalizer: replaceAll(" ", spaceMark),
		pre:        component{"type": "Split", "pattern": space, "behavior": string(mergedWithPrevious), "invert": false},
		decoder:    markedDecoder(),
	}.around(m)
	if err != nil {
		return nil, err
	}
	return t, t.addKnown("<unk>", "<bos>", "<eos>", "<pad>", "<mask>")
}

// addKnown makes special added tokens of those that the vocabulary has.
func (t *Tokenizer) addKnown(texts ...string) error {
	var tokens []AddedToken
	for _, s := range texts {
		if _, ok := t.model.tokenID(s); ok {
			tokens = append(tokens, AddedToken{Content: s, Special: true})
		}
	}
	return t.added.add(tokens, t.model, t.normalizer)
}

// isPaddingToken says whether s is [PAD and a number].
func isPaddingToken(s string) bool {
	digits, ok := strings.CutPrefix(s, "[PAD")
	digits, closed := strings.CutSuffix(digits, "]")
	return ok && closed && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// ggufT5 is Unigram. The file has placeholders for T5's sentinels, and no rules of normalization.
func ggufT5(m GGUFMeta) (*Tokenizer, error) {
	if len(m.Scores) != len(m.Tokens) {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.scores has %d entries for %d tokens", len(m.Scores), len(m.Tokens))
	}
	vocab := make([]scoredToken, len(m.Tokens))
	sentinels := 0
	for i, s := range m.Tokens {
		if sentinels < extraIDs && isPaddingToken(s) {
			sentinels++
			s = fmt.Sprintf("<extra_id_%d>", extraIDs-sentinels)
		}
		vocab[i] = scoredToken{s, float64(m.Scores[i])}
	}
	model, err := newUnigram(vocab, 2, false)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: GGUF vocabulary: %w", err)
	}
	t, err := unigramForm(nil).around(model)
	if err != nil {
		return nil, err
	}
	known := []string{"</s>", "<unk>", "<pad>"}
	for i := range extraIDs {
		known = append(known, fmt.Sprintf("<extra_id_%d>", i))
	}
	if err := t.addKnown(known...); err != nil {
		return nil, err
	}
	return t, t.setTextTemplate("", "</s>", nil, 0)
}

// ggufBert is WordPiece. The file marks the tokens that begin a word, BERT's own vocabulary those that
// do not. transformers does not read such files; case is ignored, as llama.cpp does.
func ggufBert(m GGUFMeta) (*Tokenizer, error) {
	vocab := make(map[string]int32, len(m.Tokens))
	for id, s := range m.Tokens {
		word, begins := strings.CutPrefix(s, spaceMark)
		bracketed := strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]")
		switch {
		case begins:
			s = word
		case !bracketed:
			s = "##" + s
		}
		vocab[s] = int32(id)
	}
	roles := classDefaults["BertTokenizer"]
	t, err := bertForm(vocab, func(role string) string { return roles[role] }, bertOptions{lower: true, chinese: true})
	if err != nil {
		return nil, err
	}
	return t, t.addKnown(slices.Sorted(maps.Values(roles))...)
}
