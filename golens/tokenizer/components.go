// Components in the words of tokenizer.json. Tokenizers that are read from other files are put together of
// them, so that they can be written as a tokenizer.json too.

package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// component is a component as tokenizer.json has it; nil is none.
type component map[string]any

// sources are the components as they stand in a tokenizer.json, without the model; nil for none.
type sources struct{ normalizer, pre, post, decoder json.RawMessage }

// form is what there is around a model, but for the post-processor.
type form struct{ normalizer, pre, decoder component }

func (c component) raw() (json.RawMessage, error) {
	if c == nil {
		return nil, nil
	}
	raw, err := marshal(c)
	if err != nil {
		return nil, fmt.Errorf("component %v: %w", c["type"], err)
	}
	return raw, nil
}

// around puts a tokenizer together.
func (f form) around(m model) (*Tokenizer, error) {
	t := &Tokenizer{added: newAddedTokens(), model: m}
	for _, part := range []struct {
		from component
		to   *json.RawMessage
	}{{f.normalizer, &t.source.normalizer}, {f.pre, &t.source.pre}, {f.decoder, &t.source.decoder}} {
		raw, err := part.from.raw()
		if err != nil {
			return nil, err
		}
		*part.to = raw
	}
	return t, t.build()
}

// build makes the components of their sources.
func (t *Tokenizer) build() (err error) {
	if t.normalizer, err = optional(t.source.normalizer, parseNormalizer); err != nil {
		return err
	}
	if t.pre, err = optional(t.source.pre, parsePreTokenizer); err != nil {
		return err
	}
	if t.post, err = optional(t.source.post, parsePostProcessor); err != nil {
		return err
	}
	t.decoder, err = optional(t.source.decoder, parseDecoder)
	return err
}

// setPost replaces the post-processor by one that is not in the file.
func (t *Tokenizer) setPost(p template) { t.post, t.source.post = p, nil }

// members are the names of the parts of a Sequence, by what they are.
const (
	normalizersOf   = "normalizers"
	preTokenizersOf = "pretokenizers"
	decodersOf      = "decoders"
)

func sequence(member string, parts ...component) component {
	return component{"type": "Sequence", member: parts}
}

func ofType(kind string) component { return component{"type": kind} }

func replaceAll(from, to string) component {
	return component{"type": "Replace", "pattern": map[string]string{"String": from}, "content": to}
}

func replaceMatches(pattern, to string) component {
	return component{"type": "Replace", "pattern": map[string]string{"Regex": pattern}, "content": to}
}

func metaspaceOf(mark, scheme string, split bool) component {
	return component{"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme, "split": split}
}

func byteLevelOf(addPrefixSpace, useRegex bool) component {
	return component{"type": "ByteLevel", "add_prefix_space": addPrefixSpace, "trim_offsets": true, "use_regex": useRegex}
}

// byteLevelSplit cuts with split (with GPT-2's pattern when it is empty) and spells bytes.
func byteLevelSplit(split string, addPrefixSpace bool) component {
	if split == "" {
		return byteLevelOf(addPrefixSpace, true)
	}
	cut := component{"type": "Split", "pattern": map[string]string{"Regex": split}, "behavior": string(isolated), "invert": false}
	return sequence(preTokenizersOf, cut, byteLevelOf(addPrefixSpace, false))
}

// precompiledOf is the normalizer of a SentencePiece model's character map, nil for an empty one.
func precompiledOf(charsmap []byte) component {
	if len(charsmap) == 0 {
		return nil
	}
	return component{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(charsmap)}
}

// markedDecoder turns marks back into spaces, and tokens of bytes into text.
func markedDecoder(last ...component) component {
	parts := append([]component{replaceAll(spaceMark, " "), ofType("ByteFallback"), ofType("Fuse")}, last...)
	return sequence(decodersOf, parts...)
}

// describe is a template as tokenizer.json has it.
func (t template) describe() any {
	tokens := map[string]any{}
	list := func(parts []templatePart) []any {
		out := []any{}
		for _, p := range parts {
			ref := map[string]any{"id": "", "type_id": p.typeID}
			if p.text != noText {
				ref["id"] = string("AB"[p.text])
				out = append(out, map[string]any{"Sequence": ref})
				continue
			}
			name := p.names[0]
			ref["id"] = name
			tokens[name] = map[string]any{"id": name, "ids": p.ids, "tokens": p.names}
			out = append(out, map[string]any{"SpecialToken": ref})
		}
		return out
	}
	single, pair := list(t.single), list(t.pair)
	return map[string]any{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}
}
