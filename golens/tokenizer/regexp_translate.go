// Oniguruma's regular expressions, as tokenizer.json writes them, in regexp2's syntax. What cannot
// be said in it, or was never checked to mean the same, is an error: a pattern that means something
// slightly different would give wrong tokens in silence.

package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// regexpClasses are the \p{..} classes for which knownRune keeps both engines in agreement.
var regexpClasses = map[string]bool{"L": true, "Lu": true, "Ll": true, "Lt": true, "Lm": true, "Lo": true, "M": true, "N": true, "P": true, "S": true}

type regexpTranslator struct {
	in   string
	pos  int
	out  strings.Builder
	fold []bool // for each open group, whether case is ignored in it
	// opened holds where each open group began in out; atom is where the last whole atom began.
	opened []int
	atom   int
}

func translateRegexp(expr string) (string, error) {
	if !utf8.ValidString(expr) {
		return "", fmt.Errorf("not UTF-8: %w", ErrUnsupported)
	}
	t := &regexpTranslator{in: expr, fold: []bool{false}, atom: -1}
	for t.pos < len(t.in) {
		if err := t.next(); err != nil {
			return "", fmt.Errorf("at byte %d: %w", t.pos, err)
		}
	}
	if len(t.opened) > 0 {
		return "", fmt.Errorf("missing closing parenthesis: %w", ErrUnsupported)
	}
	return t.out.String(), nil
}

func (t *regexpTranslator) ignoreCase() bool { return t.fold[len(t.fold)-1] }

func (t *regexpTranslator) next() error {
	r, n := utf8.DecodeRuneInString(t.in[t.pos:])
	switch r {
	case '(':
		return t.openGroup()
	case ')':
		return t.closeGroup()
	case '[':
		return t.class()
	case '*', '+', '?', '{':
		return t.quantifier()
	case '|':
		t.out.WriteByte('|')
		t.pos++
		t.atom = -1
		return nil
	case '^', '$':
		return fmt.Errorf("anchor %q: %w", r, ErrUnsupported)
	}
	t.atom = t.out.Len()
	if r == '\\' {
		return t.escape(false)
	}
	t.pos += n
	if r == '.' {
		t.out.WriteByte('.')
		return nil
	}
	return t.literal(r, false)
}

var groupKinds = []string{"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"}

func (t *regexpTranslator) openGroup() error {
	rest := t.in[t.pos:]
	kind, fold := "(", t.ignoreCase()
	if strings.HasPrefix(rest, "(?") {
		kind = ""
		for _, k := range groupKinds {
			if strings.HasPrefix(rest, k) {
				kind = k
			}
		}
		if kind == "" {
			return fmt.Errorf("group %q: %w", rest[:min(len(rest), 4)], ErrUnsupported)
		}
	}
	t.pos += len(kind)
	t.opened = append(t.opened, t.out.Len())
	if kind == "(?i:" {
		kind, fold = "(?:", true // case is folded by writing out both cases, see literal
	}
	t.out.WriteString(kind)
	t.fold = append(t.fold, fold)
	t.atom = -1
	return nil
}

func (t *regexpTranslator) closeGroup() error {
	if len(t.opened) == 0 {
		return fmt.Errorf("unmatched ')': %w", ErrUnsupported)
	}
	t.atom = t.opened[len(t.opened)-1]
	t.opened = t.opened[:len(t.opened)-1]
	t.fold = t.fold[:len(t.fold)-1]
	t.out.WriteByte(')')
	t.pos++
	return nil
}

// quantifier copies a repetition. A '+' after it makes it possessive in Oniguruma, an atomic group
// here; after a counted one Oniguruma reads a second repetition instead, which nobody means.
func (t *regexpTranslator) quantifier() error {
	if t.atom < 0 {
		return fmt.Errorf("%q repeats nothing: %w", t.in[t.pos], ErrUnsupported)
	}
	q := t.in[t.pos : t.pos+1]
	if q == "{" {
		end := strings.IndexByte(t.in[t.pos:], '}')
		if end < 0 || strings.Trim(t.in[t.pos+1:t.pos+end], "0123456789,") != "" || end == 1 || t.in[t.pos+1] == ',' {
			return fmt.Errorf("repetition %q: %w", t.in[t.pos:], ErrUnsupported)
		}
		q = t.in[t.pos : t.pos+end+1]
	}
	t.pos += len(q)
	t.out.WriteString(q)
	switch {
	case t.peek('?'):
		if q[0] == '{' {
			return fmt.Errorf("lazy counted repetition: %w", ErrUnsupported)
		}
		t.out.WriteByte('?')
		t.pos++
	case t.peek('+'):
		if q[0] == '{' {
			return fmt.Errorf("repeated counted repetition: %w", ErrUnsupported)
		}
		s := t.out.String()
		t.out.Reset()
		t.out.WriteString(s[:t.atom] + "(?>" + s[t.atom:] + ")")
		t.pos++
	}
	if t.pos < len(t.in) && strings.IndexByte("*+?{", t.in[t.pos]) >= 0 {
		return fmt.Errorf("repeated repetition: %w", ErrUnsupported)
	}
	t.atom = -1
	return nil
}

func (t *regexpTranslator) peek(c byte) bool { return t.pos < len(t.in) && t.in[t.pos] == c }

// escape translates what follows a backslash, inside a class or outside.
func (t *regexpTranslator) escape(inClass bool) error {
	if t.pos+1 >= len(t.in) {
		return fmt.Errorf("trailing backslash: %w", ErrUnsupported)
	}
	r, n := utf8.DecodeRuneInString(t.in[t.pos+1:])
	switch {
	case r == 'p' || r == 'P':
		end := strings.IndexByte(t.in[t.pos:], '}')
		if end < 4 || t.in[t.pos+2] != '{' || !regexpClasses[t.in[t.pos+3:t.pos+end]] {
			return fmt.Errorf("class %q: %w", t.in[t.pos:min(len(t.in), t.pos+max(end+1, 3))], ErrUnsupported)
		}
		t.out.WriteString(t.in[t.pos : t.pos+end+1])
		t.pos += end + 1
		return nil
	case strings.ContainsRune("sSdrntfv", r):
		t.out.WriteByte('\\')
		t.out.WriteRune(r)
	case r < utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r) || r == ' '):
		t.pos += 1 + n
		return t.literal(r, inClass)
	default:
		return fmt.Errorf(`escape "\%c": %w`, r, ErrUnsupported)
	}
	t.pos += 1 + n
	return nil
}

// foldings are the characters beside its two cases that an ASCII letter equals when case is ignored.
var foldings = map[rune]string{'s': "\u017F", 'k': "\u212A"}

// literal writes one character; where case is ignored, all that equal it.
func (t *regexpTranslator) literal(r rune, inClass bool) error {
	if t.ignoreCase() && unicode.IsLetter(r) {
		if r >= utf8.RuneSelf {
			return fmt.Errorf("letter %q where case is ignored: %w", r, ErrUnsupported)
		}
		both := string(unicode.ToLower(r)) + string(unicode.ToUpper(r)) + foldings[unicode.ToLower(r)]
		if !inClass {
			both = "[" + both + "]"
		}
		t.out.WriteString(both)
		return nil
	}
	if strings.ContainsRune(`\.+*?()|[]{}^$#-`, r) {
		t.out.WriteByte('\\')
	}
	t.out.WriteRune(r)
	return nil
}

// class translates a bracketed class. Oniguruma's nested classes and intersections are refused.
func (t *regexpTranslator) class() error {
	t.atom = t.out.Len()
	t.out.WriteByte('[')
	t.pos++
	if t.peek('^') {
		t.out.WriteByte('^')
		t.pos++
	}
	for first := true; ; first = false {
		if t.pos >= len(t.in) {
			return fmt.Errorf("missing ]: %w", ErrUnsupported)
		}
		r, n := utf8.DecodeRuneInString(t.in[t.pos:])
		switch {
		case r == ']' && !first:
			t.out.WriteByte(']')
			t.pos++
			return nil
		case r == ']' || r == '[' || strings.HasPrefix(t.in[t.pos:], "&&"):
			return fmt.Errorf("%q inside a class: %w", t.in[t.pos:t.pos+n], ErrUnsupported)
		case r == '\\':
			if err := t.escape(true); err != nil {
				return err
			}
		case r == '-' && !first && !strings.HasPrefix(t.in[t.pos+1:], "]"):
			if t.ignoreCase() {
				return fmt.Errorf("range where case is ignored: %w", ErrUnsupported)
			}
			t.out.WriteByte('-')
			t.pos++
		default:
			t.pos += n
			if err := t.literal(r, true); err != nil {
				return err
			}
		}
	}
}
