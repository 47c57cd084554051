package config

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestFaultF12NumbersThatAreNotFiniteAreReadAsPythonReadsThem(t *testing.T) {
	got, err := ParseObject([]byte(`{"a": NaN, "b": [Infinity, -Infinity, -1], "NaN": "NaN \" Infinity", "c": 1e999, "d": 9007199254740993, "a2": "-"}`))
	if err != nil {
		t.Fatal(err)
	}
	if a := got["a"].(float64); !math.IsNaN(a) {
		t.Errorf("NaN is %v", a)
	}
	if b := got["b"].([]any); b[0] != math.Inf(1) || b[1] != math.Inf(-1) || b[2] != -1 {
		t.Errorf("infinities are %v", b)
	}
	if got["NaN"] != `NaN " Infinity` || got["c"] != math.Inf(1) || got["d"] != 9007199254740993 {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsNoObjectIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"": "the end of the text", "{": "the end of the text", "{} x": "nothing behind", "[1]": "a list", "null": "null", "5": "a number", `"a"`: "a string",
		"\xff{}": "UTF-8", "{'a': 1}": "not JSON", `{"a": NaNs}`: "not JSON",
	} {
		if _, err := ParseObject([]byte(text)); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "Go value") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFaultF12ConfigurationsWithSuchNumbersAreWritten(t *testing.T) {
	c := New(8, 4, 1, 8)
	c.Extra["note"] = math.NaN()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back := New(8, 4, 1, 8)
	if err := json.Unmarshal(text, back); err != nil {
		t.Fatal(err)
	}
	if note, ok := back.Extra["note"].(float64); !ok || !math.IsNaN(note) {
		t.Errorf("the note is %v", back.Extra["note"])
	}
}

// FuzzParseObject: what has no such number in it is read as encoding/json reads it; nothing that is read cannot be written.
func FuzzParseObject(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5,null,{"b":"c"}]}`, `{"a":NaN,"b":-Infinity}`, `{"a":"\"NaN"}`, `[NaN]`, `{"NaN`, `{"a":1e999}`, "\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseObject(data)
		text := string(data)
		if !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
			var plain map[string]any
			if wrong := json.Unmarshal(data, &plain); err == nil && wrong != nil && !strings.Contains(wrong.Error(), "number") {
				t.Fatalf("%q is read, and is not JSON: %v", data, wrong)
			}
		}
		if err != nil {
			return
		}
		c := New(8, 4, 1, 8)
		c.Extra = got
		if _, err := json.Marshal(c); err != nil {
			t.Fatalf("%q is read and cannot be written: %v", data, err)
		}
	})
}
