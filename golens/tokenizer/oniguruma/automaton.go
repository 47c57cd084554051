// The automaton: states made when they are first needed, shared by goroutines, bounded in memory.

package oniguruma

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// state is a state of the automaton: the places of the program that the text read so far leads to, the
// more wanted first. What holds at a place depends on the next character, so tests and the end of the
// program are looked at only when that is known: matched says that before the character which led
// here a match ended.
type state struct {
	next    []atomic.Pointer[state] // by symbol, nil until it is needed
	matched bool
	dead    bool // nothing further can match
	prior   uint16
	places  []int32
	cache   *cache
}

// cache holds the states of an automaton. A full one is left to those who still walk in it.
type cache struct {
	states map[string]*state
	size   int
	starts []atomic.Pointer[state] // by the symbol before
}

// maxCache bounds the memory of the states, in bytes.
const maxCache = 8 << 20

// automaton finds matches in one walk over the text, with states that are made when they are first
// needed. Any number of goroutines may use it.
type automaton struct {
	prog    *program
	current atomic.Pointer[cache]

	mu    sync.Mutex // guards what makes states
	seen  []uint32
	kept  []uint32
	round uint32
	stack []int32
	found []int32
}

func newAutomaton(p *program) *automaton {
	a := &automaton{prog: p, seen: make([]uint32, len(p.insts)), kept: make([]uint32, len(p.insts))}
	a.current.Store(a.newCache())
	return a
}

func (a *automaton) newCache() *cache {
	return &cache{states: map[string]*state{}, starts: make([]atomic.Pointer[state], int(a.prog.alpha.edge)+1)}
}

// begin is the state at a place of the text where a match may begin.
func (a *automaton) begin(text string, at int) *state {
	prior := uint16(0)
	if a.prog.looksBack {
		prior = a.prog.prior[a.prog.alpha.previous(text, at)]
	}
	c := a.current.Load()
	if s := c.starts[prior].Load(); s != nil {
		return s
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.intern(c, []int32{a.prog.start}, prior, false)
	if s.cache == c {
		c.starts[prior].Store(s)
	}
	return s
}

// run is where the match that begins at a place ends, -1 if there is none, and how far it had to look.
func (a *automaton) run(text string, at int) (end, looked int) {
	alpha := a.prog.alpha
	s := a.begin(text, at)
	end = -1
	for at < len(text) {
		var symbol uint16
		n := 1
		if b := text[at]; b < utf8.RuneSelf {
			symbol = alpha.ascii[b]
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(text[at:])
			symbol = alpha.symbol(r)
		}
		to := s.next[symbol].Load()
		if to == nil {
			to = a.step(s, symbol)
		}
		if to.matched {
			end = at
		}
		if to.dead {
			return end, at
		}
		s = to
		at += n
	}
	to := s.next[alpha.edge].Load()
	if to == nil {
		to = a.step(s, alpha.edge)
	}
	if to.matched {
		end = at
	}
	return end, at
}

// step makes the state that a symbol leads to.
func (a *automaton) step(s *state, symbol uint16) *state {
	a.mu.Lock()
	defer a.mu.Unlock()
	if to := s.next[symbol].Load(); to != nil {
		return to
	}
	matched := a.follow(s, symbol)
	prior := uint16(0)
	if a.prog.looksBack {
		prior = a.prog.prior[symbol]
	}
	to := a.intern(s.cache, a.found, prior, matched)
	if to.cache == s.cache {
		s.next[symbol].Store(to)
	}
	return to
}

// follow finds the places behind a symbol, in order, up to a match: what is less wanted than that is
// never tried.
func (a *automaton) follow(s *state, symbol uint16) (matched bool) {
	p := a.prog
	a.round++
	a.found = a.found[:0]
	a.stack = a.stack[:0]
	for i := len(s.places) - 1; i >= 0; i-- {
		a.stack = append(a.stack, s.places[i])
	}
	for len(a.stack) > 0 {
		pc := a.stack[len(a.stack)-1]
		a.stack = a.stack[:len(a.stack)-1]
		if a.seen[pc] == a.round {
			continue
		}
		a.seen[pc] = a.round
		switch in := &p.insts[pc]; in.op {
		case opMatch:
			return true
		case opChar:
			if symbol != p.alpha.edge && p.takes[in.arg][symbol] && a.kept[in.x] != a.round {
				a.kept[in.x] = a.round
				a.found = append(a.found, in.x)
			}
		case opSplit:
			a.stack = append(a.stack, in.y, in.x)
		case opTest:
			if p.testHolds(in.arg, s.prior, symbol) {
				a.stack = append(a.stack, in.x)
			}
		}
	}
	return false
}

// intern is the state with these places; it may be in another cache than asked for when that is full.
func (a *automaton) intern(c *cache, places []int32, prior uint16, matched bool) *state {
	key := make([]byte, 0, 4*len(places)+3)
	for _, pc := range places {
		key = binary.LittleEndian.AppendUint32(key, uint32(pc))
	}
	flag := byte(0)
	if matched {
		flag = 1
	}
	key = append(binary.LittleEndian.AppendUint16(key, prior), flag)
	if s := c.states[string(key)]; s != nil {
		return s
	}
	symbols := int(a.prog.alpha.edge) + 1
	size := 8*symbols + 9*len(places) + 200
	if c.size+size > maxCache {
		if c == a.current.Load() {
			a.current.Store(a.newCache())
		}
		return a.intern(a.current.Load(), places, prior, matched)
	}
	c.size += size
	s := &state{matched: matched, dead: len(places) == 0, prior: prior, cache: c}
	if !s.dead {
		s.places = append([]int32(nil), places...)
		s.next = make([]atomic.Pointer[state], symbols)
	}
	c.states[string(key)] = s
	return s
}
