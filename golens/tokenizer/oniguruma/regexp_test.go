package oniguruma

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func find(t testing.TB, expr, text string) []string {
	t.Helper()
	re, err := Compile(expr)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if err := re.Each(text, func(start, end int) { out = append(out, text[start:end]) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRefused(t *testing.T) {
	for expr, want := range map[string]error{
		`(a`: ErrSyntax, `a)`: ErrSyntax, `[a`: ErrSyntax, `*a`: ErrSyntax, `[]`: ErrSyntax, `[b-a]`: ErrSyntax, `\`: ErrSyntax,
		`\p{Nothing}`: ErrSyntax, `[[:nothing:]]`: ErrSyntax, `[\w-a]`: ErrSyntax, `a{100001}`: ErrSyntax, "\xff": ErrSyntax,
		`(?<=(?=a))`: ErrSyntax, `^*`: ErrSyntax, `\x{11000000}`: ErrSyntax, `(?z)`: ErrSyntax,
		`(a)\1`: ErrUnsupported, `(?<n>a)\k<n>`: ErrUnsupported, `\X`: ErrUnsupported, `a\Kb`: ErrUnsupported, `(?~ab)`: ErrUnsupported,
		`(?(1)a|b)`: ErrUnsupported, `\g<0>`: ErrUnsupported, `(*FAIL)`: ErrUnsupported, `(?W)\w`: ErrUnsupported, `(?<=a*)b`: ErrUnsupported,
		`((a{1000}){1000}){1000}`: ErrUnsupported, strings.Repeat("(", 1000) + strings.Repeat(")", 1000): ErrUnsupported,
	} {
		if _, err := Compile(expr); !errors.Is(err, want) {
			t.Errorf("Compile(%.40q): %v, want %v", expr, err, want)
		}
	}
}

// TestLinear has texts on which a search that begins anew at every place, or that tries every way, takes
// quadratic time or worse.
// TestManyClasses has patterns with as many different characters as a file can hold: made, or refused at once.
func TestManyClasses(t *testing.T) {
	many := func(n int) string {
		var out strings.Builder
		for i := range n {
			out.WriteRune(rune(0x4E00 + i))
		}
		return out.String()
	}
	if _, err := Compile(many(500) + `\b`); err != nil {
		t.Errorf("500 characters and a boundary: %v", err)
	}
	for _, expr := range []string{many(20000), many(9000) + `\b\w`, many(30000) + `(?<=a)`} {
		start := time.Now()
		_, err := Compile(expr)
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%d bytes: %v", len(expr), err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%d bytes took %v", len(expr), took)
		}
	}
}

func TestLinear(t *testing.T) {
	const size = 1 << 18
	texts := map[string]string{
		"ab": strings.Repeat("ab", size/2), "spaces": strings.Repeat(" ", size), "newlines": strings.Repeat("\n", size),
		"cjk": strings.Repeat("中", size/3), "word": strings.Repeat("a", size), "digits": strings.Repeat("7", size),
	}
	for _, expr := range []string{gpt2, llama3, `a*b`, `(?:a|a)*c`, `\s+$`, `(?:a*)*c`, `\w+(?=\d{3}x)|b`, `(?>a|ab)*c`, `[ab]*(?=[ab]c)|c`} {
		for name, text := range texts {
			re, err := Compile(expr)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if err := re.Each(text, func(_, _ int) {}); err != nil {
				t.Errorf("%s on %s: %v", expr, name, err)
			}
			if spent := time.Since(start); spent > 20*time.Second {
				t.Fatalf("%s on %s: %v", expr, name, spent)
			}
		}
	}
}

// TestFullCache has a pattern with more states than may be kept, walked by several goroutines.
func TestFullCache(t *testing.T) {
	re, err := Compile(`(?:a|b)*a(?:a|b){14}c`)
	if err != nil {
		t.Fatal(err)
	}
	first := re.auto.current.Load()
	var text strings.Builder
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1 << 17 {
		text.WriteByte("ab"[rng.IntN(2)])
	}
	text.WriteString("abbbbbbbbbbbbbbc")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			found := 0
			if err := re.Each(text.String(), func(start, end int) { found = end - start }); err != nil || found != text.Len() {
				t.Errorf("%d of %d bytes: %v", found, text.Len(), err)
			}
		})
	}
	group.Wait()
	if re.auto.current.Load() == first {
		t.Error("the states were never too many")
	}
	if size := re.auto.current.Load().size; size > maxCache {
		t.Errorf("%d bytes of states", size)
	}
}

// FuzzEngines compares the automaton with the backtracker.
func FuzzEngines(f *testing.F) {
	for _, expr := range []string{gpt2, llama3, `(?i)[ß]s*|\b.`, `(?:a|b?)*?c`, `[^\W&&[^a]]++`, `(?<=^|\s)x{2,3}?`} {
		f.Add(expr, "She'll sell ßS xx\n\n  123 中a")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 60 || len(text) > 200 {
			return
		}
		re, err := Compile(expr)
		if err != nil {
			if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("Compile(%q): %v", expr, err)
			}
			return
		}
		slow := &Regexp{expr: re.expr, prog: re.prog}
		var got, want []int
		errGot := re.Each(text, func(start, end int) { got = append(got, start, end) })
		errWant := slow.Each(text, func(start, end int) { want = append(want, start, end) })
		if errGot != nil || errWant != nil || !equalInts(got, want) {
			t.Errorf("%q on %q: automaton %v (%v), backtracker %v (%v)", expr, text, got, errGot, want, errWant)
		}
	})
}

func equalInts(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestInvalidText(t *testing.T) {
	if got := find(t, `\p{L}+|.`, "a\xffb\xe4\xb8"); strings.Join(got, "|") != "a|\xff|b|\xe4|\xb8" {
		t.Errorf("%q", got)
	}
}
