// The special tokens that a model folder's files name: tokens with a role, and further ones.

package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// specialTokens are the tokens that have a role, and the further special ones. One that is an added
// token already keeps how it is matched.
func (c *folderConfig) specialTokens(t *Tokenizer) ([]AddedToken, error) {
	s := &t.special
	to := []*SpecialToken{&s.BOS, &s.EOS, &s.UNK, &s.SEP, &s.PAD, &s.CLS, &s.MASK}
	var out []AddedToken
	named := map[string]bool{}
	for i, key := range roleKeys {
		named[key] = true
		raw, ok := c.values[key]
		if def := c.defaults[key]; !ok && def != "" {
			raw, ok = quoted(def), true
		}
		if !ok || isNull(raw) {
			continue
		}
		tok, err := t.parseSpecial(key, raw)
		if err != nil {
			return nil, err
		}
		to[i].Text = tok.Content
		out = append(out, tok)
	}
	own, err := c.ownRoles(t, named)
	if err != nil {
		return nil, err
	}
	extra, err := c.extraSpecialTokens(t)
	return append(append(out, own...), extra...), err
}

// listedTokens are the tokens that the folder lists by id, in that order.
func (c *folderConfig) listedTokens() ([]AddedToken, error) {
	var out []AddedToken
	raw, ok := c.values["added_tokens_decoder"]
	if !ok {
		special := c.specialTexts()
		for text, id := range c.added {
			out = append(out, AddedToken{ID: id, Content: text, Special: special[text], Normalized: !special[text]})
		}
	} else {
		var byID map[string]AddedToken
		if err := jsontext.Unmarshal(raw, &byID); err != nil {
			return nil, fmt.Errorf("tokenizer: added_tokens_decoder: %w", err)
		}
		for key, t := range byID {
			id, err := strconv.Atoi(key)
			if err != nil {
				return nil, fmt.Errorf("tokenizer: added_tokens_decoder: id %s: expected a number", jsontext.Quote(key))
			}
			t.ID = id
			out = append(out, t)
		}
	}
	sort.Slice(out, func(i, k int) bool {
		return out[i].ID < out[k].ID || out[i].ID == out[k].ID && out[i].Content < out[k].Content
	})
	return out, nil
}

// specialTexts are the texts of the tokens that the folder's files call special.
func (c *folderConfig) specialTexts() map[string]bool {
	out := map[string]bool{}
	for _, key := range roleKeys {
		if _, ok := c.values[key]; ok {
			out[c.role(key)] = true
		}
	}
	for _, key := range extraKeys {
		var list []json.RawMessage
		if jsontext.Unmarshal(c.values[key], &list) != nil {
			continue
		}
		for _, raw := range list {
			if tok, err := parseToken(key, raw); err == nil {
				out[tok.Content] = true
			}
		}
	}
	return out
}

// roleKeys are the keys of the tokens with a role, extraKeys those of lists of further ones (the second by
// its older name).
var (
	roleKeys  = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}
	extraKeys = []string{"extra_special_tokens", "additional_special_tokens"}
)

// ownRoles are tokens with a role of a model's own, like image_token.
func (c *folderConfig) ownRoles(t *Tokenizer, named map[string]bool) ([]AddedToken, error) {
	var keys []string
	for key, raw := range c.values {
		if strings.HasSuffix(key, "_token") && !named[key] && len(raw) > 0 && raw[0] == '"' {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	var out []AddedToken
	for _, key := range keys {
		tok, err := t.parseSpecial(key, c.values[key])
		if err != nil {
			return nil, err
		}
		out = append(out, tok)
		t.special.OwnRoles = append(t.special.OwnRoles, RoleToken{key, tok.Content})
	}
	return out, nil
}

// extraSpecialTokens are extra_special_tokens (once additional_special_tokens): a list, or a map that
// gives roles.
func (c *folderConfig) extraSpecialTokens(t *Tokenizer) ([]AddedToken, error) {
	var out []AddedToken
	for _, key := range extraKeys {
		var list []json.RawMessage
		isList := jsontext.Unmarshal(c.values[key], &list) == nil
		roles := orderedFields(c.values[key])
		for _, role := range roles {
			list = append(list, role.value)
		}
		for i, raw := range list {
			tok, err := t.parseSpecial(fmt.Sprintf("%s[%d]", key, i), raw)
			if err != nil {
				return nil, err
			}
			out = append(out, tok)
			if isList {
				t.special.Extra = append(t.special.Extra, tok.Content)
			} else {
				t.special.OwnRoles = append(t.special.OwnRoles, RoleToken{roles[i].key, tok.Content})
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out, nil
}

type orderedField struct {
	key   string
	value json.RawMessage
}

// orderedFields are the members of an object as they come; none of what is no object.
func orderedFields(raw json.RawMessage) []orderedField {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	var out []orderedField
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err == nil && ok {
			err = dec.Decode(&value)
		}
		if err != nil || !ok {
			return nil
		}
		out = append(out, orderedField{name, value})
	}
	return out
}

// parseToken reads a token given as a string or as an object.
func parseToken(key string, raw json.RawMessage) (AddedToken, error) {
	var tok AddedToken
	if len(raw) > 0 && raw[0] == '"' {
		if err := jsontext.Unmarshal(raw, &tok.Content); err != nil {
			return tok, fmt.Errorf("tokenizer: %s: %w", key, err)
		}
	} else if err := jsontext.Unmarshal(raw, &tok); err != nil || tok.Content == "" {
		return tok, fmt.Errorf("tokenizer: %s is %s: expected a string or an object with \"content\"", key, raw)
	}
	return tok, nil
}

// parseSpecial reads a special token; one that is an added token already keeps how it is matched.
func (t *Tokenizer) parseSpecial(key string, raw json.RawMessage) (AddedToken, error) {
	tok, err := parseToken(key, raw)
	if err != nil {
		return tok, err
	}
	if id, ok := t.added.byText[tok.Content]; ok {
		tok = t.added.byID[id]
	}
	tok.Special = true
	return tok, nil
}
