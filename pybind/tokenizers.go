// Tokenizers: text crosses as JSON, many texts at once, since a C string would end at the first NUL. Encodings
// cross as one tensor of numbers.
package pybind

import (
	"fmt"
	"io/fs"
	"strconv"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
)

type openTokenizer struct {
	*tokenizer.Tokenizer
	source string
}

var tokenizers = newTable[openTokenizer]("tokenizer")

// TokenizerOpen reads the tokenizer of a model folder, a tokenizer.json or a GGUF file.
func TokenizerOpen(path string) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	t, err := model.OpenTokenizer(path)
	if err == nil && t == nil {
		err = fmt.Errorf("%s has no tokenizer: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return 0, asValueError(err)
	}
	return tokenizers.add(openTokenizer{t, path}), nil
}

// TokenizerParse reads the text of a tokenizer.json.
func TokenizerParse(text string) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	t, err := tokenizer.FromBytes([]byte(text))
	if err != nil {
		return 0, asValueError(err)
	}
	return tokenizers.add(openTokenizer{t, ""}), nil
}

// TokenizerWithTokens makes a tokenizer with further added tokens (JSON list): JSON {"handle", "added"}.
func TokenizerWithTokens(h int64, tokens string) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	var list []tokenizer.AddedToken
	if err := decode(tokens, &list); err != nil {
		return "", err
	}
	next, added, err := t.WithTokens(list)
	if err != nil {
		return "", asValueError(err)
	}
	return encode(map[string]int64{"handle": tokenizers.add(openTokenizer{next, t.source}), "added": int64(added)})
}

// TokenizerWithTemplate makes a tokenizer that puts bos before each text and eos after it; "" for none.
func TokenizerWithTemplate(h int64, bos, eos string) (out int64, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return 0, err
	}
	next, err := t.WithTemplate(bos, eos)
	if err != nil {
		return 0, asValueError(err)
	}
	return tokenizers.add(openTokenizer{next, t.source}), nil
}

// TokenizerClose ends a tokenizer.
func TokenizerClose(h int64) (out int64, err error) {
	defer guard(&err)
	_, err = tokenizers.take(h)
	return 0, err
}

// encodeOptions is the JSON that TokenizerEncode takes. The texts are a flat list: with Pairs two for each input, and
// with Words so many for each text as it says.
type encodeOptions struct {
	tokenizer.Options
	Pairs bool
	Words []int
}

// inputs puts the flat list of texts together.
func (o encodeOptions) inputs(texts []string) ([]tokenizer.Input, error) {
	perInput := 1
	if o.Pairs {
		perInput = 2
	}
	if o.Words == nil {
		if len(texts)%perInput != 0 {
			return nil, fmt.Errorf("%w: %d texts do not make pairs", errValue, len(texts))
		}
		out := make([]tokenizer.Input, len(texts)/perInput)
		for i := range out {
			out[i].Text = texts[i*perInput]
			if o.Pairs {
				out[i].Pair = &texts[i*perInput+1]
			}
		}
		return out, nil
	}
	cut := make([][]string, len(o.Words))
	for i, n := range o.Words {
		if n < 0 || n > len(texts) {
			return nil, fmt.Errorf("%w: %d words of %d that are left", errValue, n, len(texts))
		}
		cut[i], texts = texts[:n:n], texts[n:]
	}
	if len(cut)%perInput != 0 || len(texts) > 0 {
		return nil, fmt.Errorf("%w: the words do not make the texts that were said", errValue)
	}
	out := make([]tokenizer.Input, len(cut)/perInput)
	for i := range out {
		out[i].Words = cut[i*perInput]
		if o.Pairs {
			out[i].PairWords = cut[i*perInput+1]
		}
	}
	return out, nil
}

func encodeAll(h int64, options, texts string, idsOnly bool) ([]tokenizer.Encoding, *openTokenizer, error) {
	t, err := tokenizers.get(h)
	if err != nil {
		return nil, nil, err
	}
	var o encodeOptions
	if err := decode(options, &o); err != nil {
		return nil, nil, err
	}
	var list []string
	if err := decode(texts, &list); err != nil {
		return nil, nil, err
	}
	inputs, err := o.inputs(list)
	if err != nil {
		return nil, nil, err
	}
	o.IDsOnly = idsOnly
	out, err := t.EncodeBatch(inputs, o.Options)
	if err != nil {
		return nil, nil, asValueError(err)
	}
	return out, &t, nil
}

// TokenizerEncode encodes texts (JSON list) with options (JSON). The result is the handle of an int64 tensor: the
// number of values before the first id; the number of encodings; for each the number of its parts (itself and what
// overflows), and their lengths; then for all parts one after another the ids, and as many type ids, attention masks and
// masks of special tokens.
func TokenizerEncode(h int64, options, texts string) (handle int64, err error) {
	defer guard(&err)
	encodings, _, err := encodeAll(h, options, texts, true)
	if err != nil {
		return 0, err
	}
	return exportEncodings(encodings, false)
}

// TokenizerEncodeInDetail is TokenizerEncode with four more columns: begin and end of offsets, words, and which text of
// a pair. JSON {"handle", "surface": {index: text}}, with the tokens that are not spelled as the vocabulary has them.
func TokenizerEncodeInDetail(h int64, options, texts string) (out string, err error) {
	defer guard(&err)
	encodings, t, err := encodeAll(h, options, texts, false)
	if err != nil {
		return "", err
	}
	surface := map[string]string{}
	at := 0
	eachPart(encodings, func(e *tokenizer.Encoding) {
		for i, id := range e.IDs {
			if known, ok := t.IDToToken(id); !ok || known != e.Tokens[i] {
				surface[strconv.Itoa(at+i)] = e.Tokens[i]
			}
		}
		at += len(e.IDs)
	})
	handle, err := exportEncodings(encodings, true)
	if err != nil {
		return "", err
	}
	return encode(map[string]any{"handle": handle, "surface": surface})
}

func eachPart(encodings []tokenizer.Encoding, f func(*tokenizer.Encoding)) {
	for i := range encodings {
		f(&encodings[i])
		for k := range encodings[i].Overflowing {
			f(&encodings[i].Overflowing[k])
		}
	}
}

func exportEncodings(encodings []tokenizer.Encoding, detailed bool) (int64, error) {
	head, total := 2+len(encodings), 0
	eachPart(encodings, func(e *tokenizer.Encoding) {
		head++
		total += len(e.IDs)
	})
	columns := 4
	if detailed {
		columns = 8
	}
	t, err := tensor.New(tensor.Int64, head+columns*total)
	if err != nil {
		return 0, err
	}
	defer t.Release()
	out := t.Int64s()[:0]
	out = append(out, int64(head), int64(len(encodings)))
	for i := range encodings {
		out = append(out, int64(1+len(encodings[i].Overflowing)), int64(len(encodings[i].IDs)))
		for _, over := range encodings[i].Overflowing {
			out = append(out, int64(len(over.IDs)))
		}
	}
	column := func(of func(*tokenizer.Encoding) []int) {
		eachPart(encodings, func(e *tokenizer.Encoding) {
			for _, v := range of(e) {
				out = append(out, int64(v))
			}
		})
	}
	column(func(e *tokenizer.Encoding) []int { return e.IDs })
	column(func(e *tokenizer.Encoding) []int { return e.TypeIDs })
	column(func(e *tokenizer.Encoding) []int { return e.AttentionMask })
	column(func(e *tokenizer.Encoding) []int { return e.SpecialTokensMask })
	if detailed {
		for side := range 2 {
			eachPart(encodings, func(e *tokenizer.Encoding) {
				for _, o := range e.Offsets {
					out = append(out, int64(o[side]))
				}
			})
		}
		column(func(e *tokenizer.Encoding) []int { return e.WordIDs })
		column(func(e *tokenizer.Encoding) []int { return e.Sequences })
	}
	handle, err := t.Export()
	return int64(handle), err
}

// TokenizerDecode decodes ids (JSON list of lists) to texts (JSON list).
func TokenizerDecode(h int64, ids string, skipSpecial bool) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	list, err := scanIDs(ids)
	if err != nil {
		return "", err
	}
	texts, err := t.DecodeBatch(list, skipSpecial)
	if err != nil {
		return "", asValueError(err)
	}
	return encode(texts)
}

// TokenizerJoin gives the text that tokens (JSON list, as the vocabulary spells them) stand for.
func TokenizerJoin(h int64, tokens string) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	var list []string
	if err := decode(tokens, &list); err != nil {
		return "", err
	}
	text, err := t.Join(list)
	if err != nil {
		return "", asValueError(err)
	}
	return encode(text)
}

// scanIDs reads a JSON list of lists of numbers; encoding/json takes several times as long.
func scanIDs(text string) ([][]int, error) {
	bad := fmt.Errorf("%w: ids are no list of lists of numbers", errValue)
	if len(text) < 2 || text[0] != '[' {
		return nil, bad
	}
	var out [][]int
	depth := 1
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '[' && depth == 1:
			out = append(out, []int{})
			depth++
		case c == ']' && depth > 0:
			depth--
		case c == ' ' || c == ',':
		case depth == 2 && (c == '-' || c >= '0' && c <= '9'):
			start := i
			for i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				i++
			}
			n, err := strconv.Atoi(text[start : i+1])
			if err != nil {
				return nil, bad
			}
			out[len(out)-1] = append(out[len(out)-1], n)
		default:
			return nil, bad
		}
	}
	if depth != 0 {
		return nil, bad
	}
	return out, nil
}

// TokenizerInfo gives special tokens, sizes and defaults as JSON.
func TokenizerInfo(h int64) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	s := t.Special()
	info := map[string]any{
		"vocab_size": t.ModelVocabSize(), "size": t.VocabSize(), "added_tokens": t.AddedTokens(),
		"padding_side": s.PaddingSide, "model_max_length": nil, "chat_template": nil, "source": t.source,
		"truncation_side": nil, "clean_up": s.CleanUpSpaces, "add_eos_token": s.WantsEOS, "post_processor": t.HasPostProcessor(),
		"special_count": t.SpecialTokenCount(false), "special_count_pair": t.SpecialTokenCount(true),
		"truncation": t.StoredTruncation(), "padding": t.StoredPadding(), "model": t.ModelKind(),
	}
	for _, role := range []struct {
		name  string
		token tokenizer.SpecialToken
	}{{"bos", s.BOS}, {"eos", s.EOS}, {"unk", s.UNK}, {"pad", s.PAD}, {"sep", s.SEP}, {"cls", s.CLS}, {"mask", s.MASK}} {
		info[role.name+"_token"] = nil
		if role.token.ID >= 0 {
			info[role.name+"_token"] = role.token.Text
		}
	}
	info["extra_special_tokens"], info["own_roles"] = s.Extra, s.OwnRoles
	if s.ModelMaxLength > 0 {
		info["model_max_length"] = s.ModelMaxLength
	}
	if len(s.InputNames) > 0 {
		info["input_names"] = s.InputNames
	}
	if s.TruncationSide != "" {
		info["truncation_side"] = s.TruncationSide
	}
	if s.ChatTemplate != "" {
		info["chat_template"] = s.ChatTemplate
	}
	if len(s.ChatTemplates) > 0 {
		info["chat_templates"] = s.ChatTemplates
	}
	return encode(info)
}

// TokenizerTokenToID finds a token's id, -1 when the vocabulary lacks it.
func TokenizerTokenToID(h int64, token string) (id int64, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return 0, err
	}
	if id, ok := t.TokenToID(token); ok {
		return int64(id), nil
	}
	return -1, nil
}

// TokenizerIDToToken is a token's spelling in the vocabulary.
func TokenizerIDToToken(h, id int64) (token string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	token, ok := t.IDToToken(int(id))
	if !ok {
		return "", fmt.Errorf("%w: no token has id %d", op.ErrIndex, id)
	}
	return token, nil
}

// TokenizerSpellings gives the tokens by id as a JSON list, null where no token has an id.
func TokenizerSpellings(h int64) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	var list []*string
	for _, id := range t.Vocab() {
		for id >= len(list) {
			list = append(list, make([]*string, id+1-len(list))...)
		}
	}
	for id := range list {
		if token, ok := t.IDToToken(id); ok {
			list[id] = &token
		}
	}
	return encode(list)
}

// TokenizerVocab gives every token with its id as JSON, with or without those added beside the model's.
func TokenizerVocab(h int64, added bool) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	if !added {
		return encode(t.ModelVocab())
	}
	return encode(t.Vocab())
}
