// Package oniguruma finds the matches of regular expressions as Oniguruma 6.9.10 finds them in UTF-8
// text: the syntax of tokenizer.json, with its properties of characters (Unicode 16) and its folding
// of case.
//
// A pattern is parsed to a tree (parse.go, bracket.go, escape.go), in which every class is a set of
// code points. Characters that no set of the pattern tells apart become one symbol (alphabet.go), and
// the tree becomes a program over symbols (program.go). Most programs run as an automaton that reads
// every character once (automaton.go); look-arounds of several characters and atomic groups need a
// backtracker (backtrack.go).
package oniguruma

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

var (
	// ErrSyntax is what Oniguruma refuses as well.
	ErrSyntax = errors.New("invalid regular expression")
	// ErrUnsupported is what Oniguruma has and this package does not.
	ErrUnsupported = errors.New("not supported")
	// ErrTooLong is a search that would take too much memory or time.
	ErrTooLong = errors.New("search given up")
)

// Regexp is a compiled pattern. It may be used by any number of goroutines.
type Regexp struct {
	expr string
	prog *program
	auto *automaton // nil if the pattern needs the backtracker
}

// Compile reads a pattern in Oniguruma's own syntax. The error names what is wrong, and is ErrSyntax
// or ErrUnsupported.
func Compile(expr string) (*Regexp, error) {
	if _, err := foldTable(); err != nil {
		return nil, err
	}
	root, err := parse(expr)
	if err != nil {
		return nil, err
	}
	prog, err := compile(root)
	if err != nil {
		return nil, err
	}
	re := &Regexp{expr: expr, prog: prog}
	if prog.simple {
		re.auto = newAutomaton(prog)
	}
	return re, nil
}

func (re *Regexp) String() string { return re.expr }

// Each calls f with the ends, in bytes, of every match, from left to right. An empty match right after
// another match does not count.
func (re *Regexp) Each(text string, f func(start, end int)) error {
	s := search{re: re, text: text}
	from, last := 0, -1
	for from <= len(text) {
		start, end, err := s.find(from)
		if err != nil {
			return fmt.Errorf("regular expression %s: %w", jsontext.Quote(re.expr), err)
		}
		if start < 0 {
			return nil
		}
		if start == end && end == last {
			_, n := utf8.DecodeRuneInString(text[from:])
			from += max(n, 1)
			continue
		}
		from, last = end, end
		f(start, end)
	}
	return nil
}

// search is the search for all matches in a text.
type search struct {
	re   *Regexp
	text string
	back *backtracker // made when it is first needed
}

// find is the first match from a place on, -1 if there is none.
func (s *search) find(from int) (start, end int, err error) {
	if s.re.auto == nil {
		return s.findBack(from, from)
	}
	looked := 0
	for start = from; start <= len(s.text); {
		end, to := s.re.auto.run(s.text, start)
		if end >= 0 {
			return start, end, nil
		}
		// Attempts that read far and fail, one at every place, would take quadratic time.
		if looked += to - start; looked > 4096+16*(start-from) {
			return s.findBack(start, from)
		}
		n := 1
		if start < len(s.text) && s.text[start] >= utf8.RuneSelf {
			_, n = utf8.DecodeRuneInString(s.text[start:])
		}
		start += n
	}
	return -1, -1, nil
}

func (s *search) findBack(start, origin int) (from, end int, err error) {
	if s.back == nil {
		if s.back, err = s.re.prog.newBacktracker(s.text); err != nil {
			return 0, 0, err
		}
	}
	return s.back.search(start, origin)
}
