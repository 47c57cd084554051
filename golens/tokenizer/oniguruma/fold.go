// Folding of case, of several characters together too, by the table in folding.txt.gz.

package oniguruma

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

//go:embed folding.txt.gz
var foldingText []byte

// folding is how characters equal each other where case is ignored.
type folding struct {
	group map[rune][]rune // the characters that equal one, itself among them
	long  map[rune][]rune // the characters that equal it together
	// single is the inverse of long, by the string of first members of the groups.
	single map[string][]rune
}

var foldTable = sync.OnceValues(func() (*folding, error) {
	text, err := unzip(foldingText)
	if err != nil {
		return nil, err
	}
	f := &folding{group: map[rune][]rune{}, long: map[rune][]rune{}, single: map[string][]rune{}}
	for line := range strings.SplitSeq(text, "\n") {
		one, several, isLong := strings.Cut(line, "=")
		if !isLong {
			several = line
		}
		members, err := readCodes(several)
		if err != nil {
			return nil, err
		}
		if !isLong {
			for _, r := range members {
				f.group[r] = members
			}
			continue
		}
		from, err := readCodes(one)
		if err != nil || len(from) != 1 {
			return nil, fmt.Errorf("embedded table: %s is no folding", jsontext.Quote(line))
		}
		f.long[from[0]] = members
	}
	for r, members := range f.long {
		key := f.key(members)
		f.single[key] = append(f.single[key], r)
	}
	return f, nil
})

func readCodes(text string) ([]rune, error) {
	var out []rune
	for _, word := range fields(text) {
		code, err := strconv.ParseInt(word, 16, 32)
		if err != nil {
			return nil, fmt.Errorf("embedded table: %w", err)
		}
		out = append(out, rune(code))
	}
	return out, nil
}

func (f *folding) key(text []rune) string {
	var out strings.Builder
	for _, r := range text {
		if g := f.group[r]; g != nil {
			r = g[0]
		}
		out.WriteRune(r)
	}
	return out.String()
}

// equals is the set of the single characters that equal r.
func (f *folding) equals(r rune) set {
	out := []span{{r, r}}
	for _, e := range f.group[r] {
		out = append(out, span{e, e})
	}
	return newSet(out)
}

// closure adds to a set all single characters that equal one of it.
func (f *folding) closure(s set) set {
	out := append([]span(nil), s...)
	for r, members := range f.group {
		if s.has(r) {
			for _, m := range members {
				out = append(out, span{m, m})
			}
		}
	}
	return newSet(out)
}

// sequence is a list of characters, each with all that equal it.
func (f *folding) sequence(text []rune) *node {
	out := &node{kind: kindList}
	for _, r := range text {
		out.subs = append(out.subs, &node{kind: kindSet, set: f.equals(r)})
	}
	return out
}

// class is a class where case is ignored: its closure, or one of the sequences that a member equals.
// Oniguruma adds the sequences only to a class that is not negated.
func (f *folding) class(s set, negated bool) *node {
	closed := f.closure(s)
	if negated {
		return &node{kind: kindSet, set: closed.negate()}
	}
	out := &node{kind: kindAlt, subs: []*node{{kind: kindSet, set: closed}}}
	for length := 2; length <= 3; length++ { // the shorter come first there
		seen := map[string]bool{}
		for _, r := range sortedKeys(f.long) {
			members := f.long[r]
			if len(members) == length && closed.has(r) && !seen[f.key(members)] {
				seen[f.key(members)] = true
				out.subs = append(out.subs, f.sequence(members))
			}
		}
	}
	if len(out.subs) == 1 {
		return out.subs[0]
	}
	return out
}

// text is a string where case is ignored. From the left, three or two characters that together equal
// a single one are taken as that; behind a look-behind only single characters equal each other.
func (f *folding) text(text []rune, behind bool) *node {
	out := &node{kind: kindList}
	for at := 0; at < len(text); {
		n := 1
		var item *node
		if !behind {
			item, n = f.several(text[at:])
		}
		if item == nil {
			n = 1
			item = &node{kind: kindSet, set: f.equals(text[at])}
			if members := f.long[text[at]]; members != nil && !behind {
				item = &node{kind: kindAlt, subs: []*node{item, f.sequence(members)}}
			}
		}
		out.subs = append(out.subs, item)
		at += n
	}
	return out
}

// several is what the first characters of text are when they equal a single one together.
func (f *folding) several(text []rune) (*node, int) {
	for n := min(3, len(text)); n >= 2; n-- {
		singles := f.single[f.key(text[:n])]
		if singles == nil {
			continue
		}
		var ranges []span
		for _, r := range singles {
			ranges = append(ranges, span{r, r})
		}
		one := &node{kind: kindSet, set: newSet(ranges)}
		return &node{kind: kindAlt, subs: []*node{one, f.sequence(text[:n])}}, n
	}
	return nil, 0
}
