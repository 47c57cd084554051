// The special tokens that a model folder's files name: tokens with a role, and further ones.

package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// specialTokens are the tokens that have a role, and the further special ones. One that is an added
// token already keeps how it is matched.
func (c *folderConfig) specialTokens(t *Tokenizer) ([]AddedToken, error) {
	s := &t.special
	roles := []struct {
		key string
		to  *SpecialToken
	}{
		{"bos_token", &s.BOS}, {"eos_token", &s.EOS}, {"unk_token", &s.UNK}, {"sep_token", &s.SEP}, {"pad_token", &s.PAD}, {"cls_token", &s.CLS},
		{"mask_token", &s.MASK},
	}
	var out []AddedToken
	named := map[string]bool{}
	for _, role := range roles {
		named[role.key] = true
		raw, ok := c.values[role.key]
		if def := c.defaults[role.key]; !ok && def != "" {
			raw, ok = json.RawMessage(`"`+def+`"`), true // plain ASCII, all of them
		}
		if !ok || isNull(raw) {
			continue
		}
		tok, err := t.parseSpecial(role.key, raw)
		if err != nil {
			return nil, err
		}
		if role.to != nil {
			role.to.Text = tok.Content
		}
		out = append(out, tok)
	}
	own, err := c.ownRoles(t, named)
	if err != nil {
		return nil, err
	}
	extra, err := c.extraSpecialTokens(t)
	return append(append(out, own...), extra...), err
}

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
	for _, key := range []string{"extra_special_tokens", "additional_special_tokens"} {
		var list []json.RawMessage
		isList := json.Unmarshal(c.values[key], &list) == nil
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

// parseSpecial reads a token given as a string or as an object.
func (t *Tokenizer) parseSpecial(key string, raw json.RawMessage) (AddedToken, error) {
	var tok AddedToken
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &tok.Content); err != nil {
			return tok, fmt.Errorf("tokenizer: %s: %w", key, err)
		}
	} else if err := json.Unmarshal(raw, &tok); err != nil || tok.Content == "" {
		return tok, fmt.Errorf("tokenizer: %s is %s: expected a string or an object with \"content\"", key, raw)
	}
	if id, ok := t.added.byText[tok.Content]; ok {
		tok = t.added.byID[id]
	}
	tok.Special = true
	return tok, nil
}
