package oniguruma

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// answers are what Oniguruma makes of a pattern: for each text the ends in characters of its matches
// that are not empty, and the text with U+E000 for every match. Valid is false when it refuses the
// pattern.
type answers struct {
	Pattern  string
	Valid    bool
	Texts    []string
	Matches  [][]int
	Replaced []string
}

// agrees compares the matches on text i with what Oniguruma found.
func (want answers) agrees(t testing.TB, re *Regexp, i int) bool {
	t.Helper()
	text := want.Texts[i]
	got := []int{}
	var replaced strings.Builder
	at := 0
	err := re.Each(text, func(start, end int) {
		if start < end {
			got = append(got, utf8.RuneCountInString(text[:start]), utf8.RuneCountInString(text[:end]))
		}
		replaced.WriteString(text[at:start] + "\ue000")
		at = end
	})
	replaced.WriteString(text[at:])
	if err != nil || !slices.Equal(got, want.Matches[i]) || replaced.String() != want.Replaced[i] {
		t.Errorf("%q on %q, automaton %v: %v %q, want %v %q (%v)", want.Pattern, text, re.auto != nil, got, replaced.String(), want.Matches[i], want.Replaced[i], err)
		return false
	}
	return true
}

// compare checks one pattern, and says whether this package has all that the pattern uses.
func compare(t *testing.T, want answers) (supported bool) {
	t.Helper()
	re, err := Compile(want.Pattern)
	switch {
	case errors.Is(err, ErrUnsupported):
		return false
	case (err == nil) != want.Valid:
		t.Errorf("Compile(%q): %v; Oniguruma: valid %v", want.Pattern, err, want.Valid)
		return true
	case err != nil && !errors.Is(err, ErrSyntax):
		t.Errorf("Compile(%q): %v is not ErrSyntax", want.Pattern, err)
	case err != nil:
		return true
	}
	slow := &Regexp{expr: re.expr, prog: re.prog}
	for i := range want.Texts {
		if !want.agrees(t, re, i) || !want.agrees(t, slow, i) {
			break
		}
	}
	return true
}

func compareFile(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(z)
	in.Buffer(nil, 1<<28)
	patterns, supported := 0, 0
	for in.Scan() {
		var a answers
		if err := json.Unmarshal(in.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		patterns++
		if compare(t, a) {
			supported++
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d patterns, %d without what is not supported", patterns, supported)
	if patterns == 0 || supported < patterns*9/10 {
		t.Errorf("only %d of %d patterns are supported", supported, patterns)
	}
}

func TestLikeOniguruma(t *testing.T) { compareFile(t, "testdata/patterns.json.gz") }

// TestReference compares with what tests/py/parity/test_patterns.py wrote.
func TestReference(t *testing.T) {
	path := os.Getenv("ONIGURUMA_REFERENCE")
	if path == "" {
		t.Skip("ONIGURUMA_REFERENCE names no file; make parity runs this test")
	}
	compareFile(t, path)
}
