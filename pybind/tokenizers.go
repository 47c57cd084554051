// Tokenizers: many texts cross at once (texts.go). Encodings cross as one tensor of numbers (encodings.go).
package pybind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
)

type openTokenizer struct {
	*tokenizer.Tokenizer
	source string
	added  int // how many tokens TokenizerWithTokens found new or changed
}

var tokenizers = newTable[openTokenizer]("tokenizer")

// TokenizerOpen reads the tokenizer of a model folder, a tokenizer.json or a GGUF file.
// cb is asked meanwhile whether to go on, as Run asks; -1 is returned when it raised.
func TokenizerOpen(path string, cb func(run, hook, tensor int64) int64) (h int64, err error) {
	defer guard(&err)
	return makeTokenizer(path, cb, func() (*tokenizer.Tokenizer, error) {
		t, err := model.OpenTokenizer(path)
		if err == nil && t == nil {
			err = fmt.Errorf("%s has no tokenizer: %w", path, fs.ErrNotExist)
		}
		return t, err
	})
}

// TokenizerParse reads the text of a tokenizer.json. cb is as in TokenizerOpen.
func TokenizerParse(text string, cb func(run, hook, tensor int64) int64) (h int64, err error) {
	defer guard(&err)
	return makeTokenizer("", cb, func() (*tokenizer.Tokenizer, error) { return tokenizer.FromBytes([]byte(text)) })
}

func makeTokenizer(source string, cb func(run, hook, tensor int64) int64, read func() (*tokenizer.Tokenizer, error)) (int64, error) {
	if err := enter(); err != nil {
		return 0, err
	}
	t, err := looking(cb, func(context.Context) (*tokenizer.Tokenizer, error) { return read() }, func(*tokenizer.Tokenizer) {})
	if err != nil && !errors.Is(err, errRaised) {
		err = asValueError(err)
	}
	return handed(tokenizers, openTokenizer{t, source, 0}, err)
}

// TokenizerWithTokens makes a tokenizer with further added tokens (JSON list). How many were new or changed,
// TokenizerInfo says.
func TokenizerWithTokens(h int64, tokens string) (out int64, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return 0, err
	}
	var list []tokenizer.AddedToken
	if err := decode(tokens, &list); err != nil {
		return 0, err
	}
	next, added, err := t.WithTokens(list)
	if err != nil {
		return 0, asValueError(err)
	}
	return tokenizers.add(openTokenizer{next, t.source, added}), nil
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
	return tokenizers.add(openTokenizer{next, t.source, 0}), nil
}

// TokenizerClose ends a tokenizer.
func TokenizerClose(h int64) (out int64, err error) {
	defer guard(&err)
	_, err = tokenizers.take(h)
	return 0, err
}

// TokenizerDecode decodes an int64 tensor of ids, of as many lists one after another as there are lengths, to texts.
func TokenizerDecode(h, ids int64, lengths string, skipSpecial bool) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	all, err := tensor.Import(tensor.Handle(ids))
	if err != nil {
		return "", err
	}
	defer all.Release()
	sizes, err := scanNumbers(lengths)
	if err != nil {
		return "", err
	}
	rest := all.Int64s()
	list := make([][]int, len(sizes))
	for i, n := range sizes {
		if n > len(rest) {
			return "", fmt.Errorf("%w: %d ids of %d that are left", errValue, n, len(rest))
		}
		list[i] = make([]int, n)
		for k, id := range rest[:n] {
			list[i][k] = int(id)
		}
		rest = rest[n:]
	}
	texts, err := t.DecodeBatch(list, skipSpecial)
	if err != nil {
		return "", asValueError(err)
	}
	return packTexts(texts), nil
}

// TokenizerJoin gives the text that tokens, as the vocabulary spells them, stand for.
func TokenizerJoin(h int64, tokens string) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	list, err := unpackTexts(tokens)
	if err != nil {
		return "", err
	}
	text, err := t.Join(list)
	if err != nil {
		return "", asValueError(err)
	}
	return packTexts([]string{text}), nil
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
		"truncation_side": nil, "clean_up": s.CleanUpSpaces, "add_eos_token": s.WantsEOS, "split_special_tokens": s.SplitSpecial, "post_processor": t.HasPostProcessor(),
		"special_count": t.SpecialTokenCount(false), "special_count_pair": t.SpecialTokenCount(true),
		"truncation": t.StoredTruncation(), "padding": t.StoredPadding(), "model": t.ModelKind(), "newly_added": t.added,
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
