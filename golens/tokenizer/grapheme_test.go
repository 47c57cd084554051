package tokenizer

import (
	"reflect"
	"testing"
)

// The expected clusters follow from the rules of Unicode Standard Annex 29 that the names tell.
func TestGraphemes(t *testing.T) {
	for rule, c := range map[string]struct {
		text string
		want []string
	}{
		"GB3":           {"\r\n\n\r", []string{"\r\n", "\n", "\r"}},
		"GB4 and GB5":   {"a\n\u0301b", []string{"a", "\n", "\u0301", "b"}},
		"GB6 to GB8":    {"\u1100\u1161\u11a8가\u11a8각각\u1161", []string{"\u1100\u1161\u11a8", "가\u11a8", "각", "각", "\u1161"}},
		"GB9":           {"ae\u0301\u200db", []string{"a", "e\u0301\u200d", "b"}},
		"GB9a":          {"\u0e01\u0e33x", []string{"\u0e01\u0e33", "x"}},
		"GB9b":          {"\u0600ab\u0600\n", []string{"\u0600a", "b", "\u0600", "\n"}},
		"GB9c":          {"क्षि क\u094d\u200dष क\u0301ष", []string{"क्षि", " ", "क\u094d\u200dष", " ", "क\u0301", "ष"}},
		"GB11":          {"👩\u200d👧\u200d👦👩\u0308\u200d👧a\u200d👧", []string{"👩\u200d👧\u200d👦", "👩\u0308\u200d👧", "a\u200d", "👧"}},
		"GB12 and GB13": {"🇫🇷🇩🇪🇯", []string{"🇫🇷", "🇩🇪", "🇯"}},
		"GB999":         {"ab中é", []string{"a", "b", "中", "é"}},
	} {
		var got []string
		eachGrapheme(c.text, func(start, end int) { got = append(got, c.text[start:end]) })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", rule, got, c.want)
		}
	}
}
