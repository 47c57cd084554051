// Reading tokenizer.json, the file of Hugging Face's tokenizers library.

package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// FromFile reads a tokenizer.json, or a SentencePiece model as SentencePiece reads it: they are told apart by how
// they begin.
func FromFile(path string) (*Tokenizer, error) {
	raw, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	read := FromBytes
	if len(raw) > 0 && !beginsAsJSON(raw) {
		read = fromModelFile
	}
	t, err := read(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// beginsAsJSON says whether a file begins as JSON does. A SentencePiece model may begin with a line feed and a
// brace too: the tag and the length of its first piece.
func beginsAsJSON(raw []byte) bool {
	const space = " \t\r\n"
	rest := bytes.TrimLeft(raw, space)
	if len(rest) == 0 || bytes.IndexByte([]byte(`{["0123456789-tfn`), rest[0]) < 0 {
		return false
	}
	rest = bytes.TrimLeft(rest[1:], space)
	return raw[0] != '\n' || len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
}

// fromModelFile reads a SentencePiece model that stands alone.
func fromModelFile(raw []byte) (*Tokenizer, error) {
	c := &folderConfig{values: map[string]json.RawMessage{}}
	t, err := c.fromSentencePiece(raw)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if err := c.apply(t, false); err != nil {
		return nil, err
	}
	if err := t.settle(); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

// FromBytes reads the text of a tokenizer.json.
func FromBytes(raw []byte) (*Tokenizer, error) {
	t, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if err := t.settle(); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

// parse builds a tokenizer that settle has still to finish.
func parse(raw []byte) (*Tokenizer, error) {
	if err := checkJSON(raw); err != nil {
		return nil, fmt.Errorf("tokenizer: not a tokenizer.json: %w", err)
	}
	file, err := jsonFields(raw)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: not a tokenizer.json: %w", err)
	}
	if v := string(file["version"]); v != "" && v != `"1.0"` {
		return nil, fmt.Errorf("tokenizer: version %s: %w (expected 1.0)", v, ErrUnsupported)
	}
	if isNull(file["model"]) {
		return nil, errors.New(`tokenizer: not a tokenizer.json: it has no "model"`)
	}
	var added []AddedToken
	if !isNull(file["added_tokens"]) {
		if err := jsontext.Unmarshal(file["added_tokens"], &added); err != nil {
			return nil, fmt.Errorf("tokenizer: added_tokens: %w", err)
		}
	}
	t := &Tokenizer{added: newAddedTokens()}
	if t.model, err = parseModel(file["model"]); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	for name, to := range map[string]*json.RawMessage{
		"normalizer": &t.source.normalizer, "pre_tokenizer": &t.source.pre, "post_processor": &t.source.post, "decoder": &t.source.decoder,
	} {
		if !isNull(file[name]) {
			*to = bytes.Clone(file[name]) // not with the whole file in memory behind it
		}
	}
	for _, step := range []func() error{
		t.build,
		func() (err error) { t.truncation, err = parseTruncation(file["truncation"]); return },
		func() (err error) { t.padding, err = parsePadding(file["padding"]); return },
		func() error { return t.added.add(added, t.model, t.normalizer) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	return t, nil
}

// mentionsByteLevel says whether text is spelled, or read back, byte by byte.
func (t *Tokenizer) mentionsByteLevel() bool {
	name := []byte(`"ByteLevel"`)
	for _, part := range []json.RawMessage{t.source.normalizer, t.source.pre, t.source.post, t.source.decoder} {
		if bytes.Contains(part, name) {
			return true
		}
	}
	return false
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// optional parses a component that may be null.
func optional[T any](raw json.RawMessage, parse func(json.RawMessage) (T, error)) (T, error) {
	if isNull(raw) {
		var none T
		return none, nil
	}
	return parse(raw)
}

// parseModel reads the model. Old files do not name its kind: what they have tells it.
func parseModel(raw json.RawMessage) (model, error) {
	fields, err := jsonFields(raw)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if !isNull(fields["type"]) {
		return buildComponent("model", models, raw)
	}
	for _, guess := range []struct{ member, kind string }{
		{"merges", "BPE"}, {"max_input_chars_per_word", "WordPiece"}, {"unk_token", "WordLevel"}, {"unk_id", "Unigram"},
	} {
		if !isNull(fields[guess.member]) {
			return wrapComponent("model", guess.kind, models[guess.kind], raw)
		}
	}
	return nil, errors.New(`model: expected a "type"`)
}

// buildComponent builds the component of the kind that raw names.
func buildComponent[T any](role string, kinds map[string]func(json.RawMessage) (T, error), raw json.RawMessage) (T, error) {
	var none T
	fields, err := jsonFields(raw)
	if err != nil {
		return none, fmt.Errorf("%s: %w", role, err)
	}
	var kind string
	if err := jsontext.Unmarshal(fields["type"], &kind); err != nil {
		return none, fmt.Errorf("%s: expected a \"type\" that is a string: %w", role, err)
	}
	build, ok := kinds[kind]
	if !ok {
		var known []string
		for k := range kinds {
			known = append(known, k)
		}
		sort.Strings(known)
		return none, fmt.Errorf("%s %s: %w (known: %s)", role, jsontext.Quote(kind), ErrUnsupported, strings.Join(known, ", "))
	}
	return wrapComponent(role, kind, build, raw)
}

func wrapComponent[T any](role, kind string, build func(json.RawMessage) (T, error), raw json.RawMessage) (T, error) {
	c, err := build(raw)
	if err != nil {
		return c, fmt.Errorf("%s %s: %w", role, kind, err)
	}
	return c, nil
}

// flattened is the parts with those that are sequences themselves taken apart: a bound on what all steps make of
// a text must not be one for each of many nested ones.
func flattened[S ~[]T, T any](parts []T) S {
	var out S
	for _, part := range parts {
		if inner, ok := any(part).(S); ok {
			out = append(out, inner...)
		} else {
			out = append(out, part)
		}
	}
	return out
}

// buildSequence builds the parts of a Sequence.
func buildSequence[T any](raws []json.RawMessage, parse func(json.RawMessage) (T, error), join func([]T) T) (T, error) {
	parts := make([]T, len(raws))
	for i, raw := range raws {
		var err error
		if parts[i], err = parse(raw); err != nil {
			var none T
			return none, err
		}
	}
	return join(parts), nil
}
