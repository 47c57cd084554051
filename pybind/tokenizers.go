// Tokenizers: text crosses as JSON, many texts at once, since a C string would end at the first NUL.
package pybind

import (
	"fmt"
	"io/fs"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
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
		return 0, err
	}
	return tokenizers.add(openTokenizer{t, path}), nil
}

// TokenizerClose ends a tokenizer.
func TokenizerClose(h int64) (out int64, err error) {
	defer guard(&err)
	_, err = tokenizers.take(h)
	return 0, err
}

// TokenizerInfo gives special tokens, sizes and defaults as JSON.
func TokenizerInfo(h int64) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	s := t.Special()
	text := func(token tokenizer.SpecialToken) any {
		if token.ID < 0 {
			return nil
		}
		return token.Text
	}
	known := map[int]bool{s.BOS.ID: true, s.EOS.ID: true, s.UNK.ID: true, s.PAD.ID: true}
	extra := []string{}
	for _, id := range s.IDs {
		if token, ok := t.IDToToken(id); ok && !known[id] {
			extra = append(extra, token)
		}
	}
	info := map[string]any{
		"bos_token": text(s.BOS), "eos_token": text(s.EOS), "unk_token": text(s.UNK), "pad_token": text(s.PAD),
		"sep_token": nil, "cls_token": nil, "mask_token": nil, "extra_special_tokens": extra,
		"vocab_size": t.ModelVocabSize(), "size": t.VocabSize(),
		"padding_side": s.PaddingSide, "truncation_side": nil, "model_max_length": nil, "chat_template": nil, "source": t.source,
	}
	if s.ModelMaxLength > 0 {
		info["model_max_length"] = s.ModelMaxLength
	}
	if s.ChatTemplate != "" {
		info["chat_template"] = s.ChatTemplate
	}
	return encode(info)
}

// TokenizerEncode encodes texts (JSON list) to ids (JSON list of lists).
func TokenizerEncode(h int64, texts string, addSpecial bool) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	var list []string
	if err := decode(texts, &list); err != nil {
		return "", err
	}
	all := make([][]int, len(list))
	for i, text := range list {
		if all[i], err = t.Encode(text, addSpecial); err != nil {
			return "", err
		}
		if all[i] == nil {
			all[i] = []int{}
		}
	}
	return encode(all)
}

// TokenizerDecode decodes ids (JSON list of lists) to texts (JSON list).
func TokenizerDecode(h int64, ids string, skipSpecial bool) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	var list [][]int
	if err := decode(ids, &list); err != nil {
		return "", err
	}
	texts := make([]string, len(list))
	for i, row := range list {
		if texts[i], err = t.Decode(row, skipSpecial); err != nil {
			return "", err
		}
	}
	return encode(texts)
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

// TokenizerVocab gives every token with its id as JSON.
func TokenizerVocab(h int64) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	return encode(t.Vocab())
}
