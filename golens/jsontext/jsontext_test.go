package jsontext

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Texts that are not JSON, and what is said of them. None of it comes from encoding/json, whose words change.
func TestFaultU1WhatIsWrongIsSaidInWordsOfOurOwn(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "found the end of the text at byte 0, expected a value",
		`{`:                             "found the end of the text at byte 1, expected a key or }",
		`{"a" 1}`:                       "found '1' at byte 5, expected a colon",
		`{"a":1,}`:                      "found '}' at byte 7, expected a key",
		`{"a":01}`:                      "found '1' at byte 6, expected a comma or }",
		`[1 2]`:                         "found '2' at byte 3, expected a comma or ]",
		`[1,]`:                          "found ']' at byte 3, expected a value",
		`{"a":tru}`:                     "found '}' at byte 8, expected true",
		`nul `:                          "found the character U+0020 at byte 3, expected null",
		`"a`:                            "found the end of the text at byte 2, expected the quote that ends a string",
		`"\x"`:                          `found 'x' at byte 2, expected one of " \ / b f n r t u behind a backslash`,
		`"\u12é4"`:                      `found 'é' at byte 5, expected four hexadecimal digits behind \u`,
		"\"\n\"":                        "found the character U+000A at byte 1, expected an escape in its place",
		"\xff":                          "found the byte 0xFF at byte 0, expected a value",
		`-`:                             "found the end of the text at byte 1, expected a digit",
		`1.e`:                           "found 'e' at byte 2, expected a digit",
		`1e+`:                           "found the end of the text at byte 3, expected a digit",
		`{} x`:                          "found 'x' at byte 3, expected nothing behind the value",
		`[}`:                            "found '}' at byte 1, expected a value or ]",
		`[[]}`:                          "found '}' at byte 3, expected a comma or ]",
		strings.Repeat("[", maxDepth+1): "found '[' at byte 10000, expected at most 10000 levels of nesting",
	} {
		for name, read := range map[string]func([]byte, any) error{"Unmarshal": Unmarshal, "UnmarshalNumbers": UnmarshalNumbers} {
			var to any
			err := read([]byte(text), &to)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || err.Error() != want {
				t.Errorf("%s %.40q: %v\nwant %s", name, text, err, want)
			}
		}
	}
}

func TestFaultU1AWrongTypeIsSaidInWordsOfOurOwn(t *testing.T) {
	var to struct {
		Prefix string
		Tagged bool `json:"add_prefix"`
		Count  uint
		Score  *float64
		Small  int8
		Map    map[string]int
		List   []string
	}
	for text, want := range map[string]string{
		`{"prefix":1}`:         "prefix: found a number, expected a string",
		`{"add_prefix":"yes"}`: "add_prefix: found a string, expected true or false",
		`{"count":-1}`:         "count: found -1, expected a whole number from 0 that fits 64 bits",
		`{"count":1.5}`:        "count: found 1.5, expected a whole number from 0 that fits 64 bits",
		`{"small":300}`:        "small: found 300, expected a whole number that fits 8 bits",
		`{"score":"1"}`:        "score: found a string, expected a number that fits 64 bits",
		`{"score":1e999}`:      "score: found 1e999, expected a number that fits 64 bits",
		`{"map":{"a":"b"}}`:    "map: found a string, expected a whole number that fits 64 bits",
		`{"map":[]}`:           "map: found a list, expected an object",
		`{"list":[1]}`:         "list: found a number, expected a string",
		`{"list":true}`:        "list: found true or false, expected a list",
		`{"prefix":{}}`:        "prefix: found an object, expected a string",
		`[1]`:                  "found a list, expected an object",
	} {
		err := Unmarshal([]byte(text), &to)
		var wrong *TypeError
		if !errors.As(err, &wrong) || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":                             `""`,
		`say "a\b"`:                    `"say \"a\\b\""`,
		"é中😀\U00016ea0":                "\"é中😀\U00016ea0\"", // the last is of Unicode 17
		"a\n\r\t\x00\x7f":              `"a\n\r\t\u0000\u007f"`,
		"\u00a0\u200b\u202e\u3000":     `"\u00a0\u200b\u202e\u3000"`,
		"\ue000\ufeff\U000e0001\ufffd": `"\ue000\ufeff\U000e0001` + "\ufffd\"",
		"\xff\xc3":                     `"\xff\xc3"`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("%+q: %s, want %s", text, got, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, text := range []string{`{"a":[1,-2.5e+3,"\u00e9\n",true,false,null,{}]}`, `[[],[{}]]`, ` 0 `, `{"a":1,}`, `01`, `"\"`, `[1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Check(data); (err == nil) != json.Valid(data) {
			t.Fatalf("%q: %v, but json.Valid says %v", data, err, json.Valid(data))
		}
	})
}
