// Package pyjson lets encoding/json read what Python's json module writes: NaN and the infinities are numbers there. They
// are kept as strings that no file has. It imports nothing of the engine.
package pyjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// notFinite are the numbers that JSON has no word for: Python's words, and how they are kept in a text that
// encoding/json can read and write. U+FDD0 is no character.
var notFinite = []struct {
	word, kept string
	value      float64
}{
	{"NaN", "\ufdd0NaN", math.NaN()},
	{"Infinity", "\ufdd0Infinity", math.Inf(1)},
	{"-Infinity", "\ufdd0-Infinity", math.Inf(-1)},
}

// Quote writes Python's words for numbers that are not finite as strings that Number knows.
func Quote(data []byte) []byte {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data
	}
	var out []byte
	quoted := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(data):
			out = append(out, c)
			i++
		case !quoted && (c == 'N' || c == 'I' || c == '-'):
			if n := wordAt(data[i:]); n >= 0 {
				out = append(append(append(out, '"'), notFinite[n].kept...), '"')
				i += len(notFinite[n].word) - 1
				continue
			}
		}
		out = append(out, data[i])
	}
	return out
}

// wordAt is the index of the word that a text begins with, -1 for none.
func wordAt(data []byte) int {
	for i, n := range notFinite {
		if bytes.HasPrefix(data, []byte(n.word)) {
			return i
		}
	}
	return -1
}

// Number gives the number that a kept string stands for; false for any other string.
func Number(text string) (float64, bool) {
	for _, n := range notFinite {
		if text == n.kept {
			return n.value, true
		}
	}
	return 0, false
}

// Kept is the string that stands for a number that is not finite.
func Kept(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return notFinite[1].kept
	case math.IsInf(f, -1):
		return notFinite[2].kept
	}
	return notFinite[0].kept
}

// Show writes a value as Python's json does, for a reader of errors: cut where it is long.
func Show(value any) string {
	const most = 80
	text := fmt.Sprint(value)
	if raw, err := json.Marshal(kept(value)); err == nil {
		text = string(raw)
		for _, n := range notFinite {
			text = strings.ReplaceAll(text, `"`+n.kept+`"`, n.word)
		}
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

// kept copies a value with numbers that are not finite as strings.
func kept(value any) any {
	switch v := value.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Kept(v)
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = kept(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = kept(v[key])
		}
		return out
	}
	return value
}
