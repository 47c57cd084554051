// The backtracker, for programs with look-arounds of several characters or atomic groups.

package oniguruma

import (
	"fmt"
	"unicode/utf8"
)

// place is a place of the program at a place of the text.
type place struct {
	pc int32
	at int
}

// choice is a place to go on at when what was preferred fails, and how long the path to it is.
type choice struct {
	place
	path int
}

// backtracker runs any program. It remembers where it has been: all that failed would fail again, in
// this search and in the next, so that all the matches of a text take time in proportion to it
// (look-arounds and atomic groups that match aside).
type backtracker struct {
	prog  *program
	text  string
	stack []choice
	been  []uint64 // a bit for each place
	path  []place  // the places of been that did not fail so far
	// tried are all places of been whose failure does not last: when \G is looked for, or the end of a
	// look-behind.
	tried   []place
	passing bool
	steps   int
}

// maxSteps bounds a search, for patterns whose look-arounds run over and over.
const maxSteps = 1 << 30

// maxPlaces bounds the memory of a search: 256 MiB of bits.
const maxPlaces = 1 << 31

func (b *backtracker) bit(p place) (word, bit uint64) {
	i := uint64(p.at)*uint64(len(b.prog.insts)) + uint64(p.pc)
	return i / 64, 1 << (i % 64)
}

func (b *backtracker) visit(p place) bool {
	word, bit := b.bit(p)
	if b.been[word]&bit != 0 {
		return false
	}
	b.been[word] |= bit
	b.path = append(b.path, p)
	if b.passing {
		b.tried = append(b.tried, p)
	}
	return true
}

// forget takes back visits.
func (b *backtracker) forget(places []place) {
	for _, p := range places {
		word, bit := b.bit(p)
		b.been[word] &^= bit
	}
}

func (p *program) newBacktracker(text string) (*backtracker, error) {
	places := uint64(len(text)+1) * uint64(len(p.insts))
	if places > maxPlaces {
		return nil, fmt.Errorf("text of %d bytes: %w: too long for a pattern of this kind", len(text), ErrTooLong)
	}
	return &backtracker{prog: p, text: text, been: make([]uint64, places/64+1), passing: p.starts}, nil
}

// search finds the first match from start on, in a search that began at origin.
func (b *backtracker) search(start, origin int) (from, end int, err error) {
	b.steps = 0
	defer func() {
		b.forget(b.path)
		b.forget(b.tried)
		b.path, b.tried = b.path[:0], b.tried[:0]
	}()
	for start <= len(b.text) {
		end, ok := b.run(b.prog.start, start, origin, nowhere)
		if b.steps > maxSteps {
			return 0, 0, fmt.Errorf("text of %d bytes: %w: more than %d steps", len(b.text), ErrTooLong, maxSteps)
		}
		if ok {
			return start, end, nil
		}
		_, n := utf8.DecodeRuneInString(b.text[start:])
		start += max(n, 1)
	}
	return -1, -1, nil
}

// nowhere is the place to arrive at outside of look-behinds.
const nowhere = -1

// run matches the program at pc; origin is where the search began, arrive where a look-behind ends.
func (b *backtracker) run(pc int32, at, origin, arrive int) (end int, ok bool) {
	base, path := len(b.stack), len(b.path)
	b.stack = append(b.stack, choice{place{pc, at}, len(b.path)})
	p := b.prog
	for len(b.stack) > base {
		top := b.stack[len(b.stack)-1]
		b.stack = b.stack[:len(b.stack)-1]
		b.path = b.path[:top.path] // what came after it failed
		here := top.place
		for b.visit(here) {
			if b.steps++; b.steps > maxSteps {
				break
			}
			in := &p.insts[here.pc]
			next := in.x
			goOn := true
			switch in.op {
			case opMatch:
				b.stack = b.stack[:base]
				return here.at, true
			case opArrive:
				if here.at == arrive {
					b.stack = b.stack[:base]
					return here.at, true
				}
				goOn = false
			case opChar:
				symbol, n := p.alpha.next(b.text, here.at)
				goOn = n > 0 && p.takes[in.arg][symbol]
				here.at += n
			case opSplit:
				b.stack = append(b.stack, choice{place{in.y, here.at}, len(b.path)})
			case opTest:
				symbol, _ := p.alpha.next(b.text, here.at)
				goOn = p.testHolds(in.arg, p.alpha.previous(b.text, here.at), symbol)
			case opLast:
				goOn = b.text[here.at:] == "" || b.text[here.at:] == "\n"
			case opStart:
				goOn = here.at == origin
			case opAtomic:
				var took int
				took, goOn = b.sub(in.arg, here.at, origin, nowhere)
				if goOn && took > here.at {
					next = in.y
				}
				if goOn {
					here.at = took
				}
			case opLook:
				l := &p.looks[in.arg]
				goOn = b.looks(l, here.at, origin) != l.negated
			}
			if !goOn {
				break
			}
			here.pc = next
		}
		if b.steps > maxSteps {
			break
		}
	}
	b.stack, b.path = b.stack[:base], b.path[:path]
	return 0, false
}

// sub runs a program of its own. What it visited on its way to a match did not fail, so that is
// forgotten; and so is all when the place to arrive at may be another one the next time.
func (b *backtracker) sub(pc int32, at, origin, arrive int) (end int, ok bool) {
	path, tried, passing := len(b.path), len(b.tried), b.passing
	b.passing = passing || arrive != nowhere
	end, ok = b.run(pc, at, origin, arrive)
	b.forget(b.path[path:])
	b.path = b.path[:path]
	if arrive != nowhere {
		b.forget(b.tried[tried:])
		b.tried = b.tried[:tried]
	}
	b.passing = passing
	return end, ok
}

func (b *backtracker) looks(l *look, at, origin int) bool {
	if !l.behind {
		_, ok := b.sub(l.sub, at, origin, nowhere)
		return ok
	}
	start := at
	for n := 0; n <= l.hi; n++ {
		if n >= l.lo {
			arrive := nowhere
			if l.lo != l.hi {
				arrive = at
			}
			if _, ok := b.sub(l.sub, start, origin, arrive); ok {
				return true
			}
		}
		if start == 0 {
			return false
		}
		_, size := utf8.DecodeLastRuneInString(b.text[:start])
		start -= size
	}
	return false
}
