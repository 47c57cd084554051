// What is checked and joined in the tree once it is parsed: texts, look-behinds.

package oniguruma

import "fmt"

// joinTexts makes one text of texts that follow each other in a list, as Oniguruma does: several
// characters together can equal one where case is ignored.
func joinTexts(n *node) {
	for _, s := range n.subs {
		if s.kind != kindText {
			joinTexts(s)
		}
	}
	if n.kind != kindList {
		return
	}
	var out []*node
	for _, s := range n.subs {
		if last := len(out) - 1; last >= 0 && s.kind == kindText && out[last].kind == kindText && s.fold == out[last].fold {
			joined := append(append([]rune(nil), out[last].text...), s.text...)
			out[last] = &node{kind: kindText, fold: s.fold, text: joined}
			continue
		}
		out = append(out, s)
	}
	n.subs = out
}

// maxBehind is how far back a look-behind of several lengths may look.
const maxBehind = 255

// checkBehinds refuses what Oniguruma does not allow in a look-behind, and what is not done here.
func checkBehinds(n *node, named bool) error {
	for _, s := range n.subs {
		if err := checkBehinds(s, named); err != nil {
			return err
		}
	}
	if n.kind != kindBehind {
		return nil
	}
	if err := checkBehind(n.subs[0], n.negated, named); err != nil {
		return err
	}
	lo, hi := n.subs[0].lengths()
	if lo != hi && (hi == unbounded || hi > maxBehind) {
		return fmt.Errorf("look-behind of more than %d characters: %w", maxBehind, ErrUnsupported)
	}
	if !fixed(n.subs[0]) && !plain(n.subs[0]) {
		return fmt.Errorf("anchor or atomic group in a look-behind of several lengths: %w", ErrUnsupported)
	}
	if hi > 65535 {
		return fmt.Errorf("look-behind of %d characters: %w", hi, ErrSyntax)
	}
	return nil
}

func checkBehind(n *node, negated, named bool) error {
	bad := ""
	switch n.kind {
	case kindAhead:
		bad = "look-ahead"
	case kindBehind:
		if n.negated && !negated {
			bad = "negative look-behind"
		}
	case kindGroup:
		if n.capture && negated && (n.named || !named) {
			bad = "numbered group"
		}
	case kindTest, kindLastLine:
		if n.endOnly {
			bad = "end of text"
		}
	}
	if bad != "" {
		return fmt.Errorf("%s in a look-behind: %w", bad, ErrSyntax)
	}
	for _, s := range n.subs {
		if err := checkBehind(s, negated, named); err != nil {
			return err
		}
	}
	return nil
}

// fixed says whether a look-behind has one length, or alternatives that each have one.
func fixed(n *node) bool {
	if n.kind == kindAlt {
		for _, s := range n.subs {
			if lo, hi := s.lengths(); lo != hi {
				return false
			}
		}
		return true
	}
	lo, hi := n.lengths()
	return lo == hi
}

// plain says whether n is made of characters alone. Behind a place, where it matters from where a
// match is tried, Oniguruma takes other constructs in ways of its own.
func plain(n *node) bool {
	switch n.kind {
	case kindEmpty, kindText, kindSet, kindList, kindAlt, kindRepeat, kindGroup:
	default:
		return false
	}
	for _, s := range n.subs {
		if !plain(s) {
			return false
		}
	}
	return true
}

// checkRounds refuses a counted repetition of what can be empty, unless being empty is its last resort:
// whether a round that took nothing is followed by another depends on how long Oniguruma's code is.
func checkRounds(n *node) error {
	for _, s := range n.subs {
		if err := checkRounds(s); err != nil {
			return err
		}
	}
	if n.kind != kindRepeat || n.max < 2 {
		return nil
	}
	if lo, _ := n.subs[0].lengths(); lo == 0 && !emptyLast(n.subs[0]) {
		return fmt.Errorf("repetition {%d,%d} of what can be empty: %w", n.min, n.max, ErrUnsupported)
	}
	return nil
}

// emptyLast says whether all matches of n that take characters are tried before one that takes none.
func emptyLast(n *node) bool {
	switch n.kind {
	case kindAtomic:
		return true
	case kindRepeat:
		if n.lazy && n.min == 0 {
			return false
		}
	case kindAlt:
		for _, s := range n.subs[:len(n.subs)-1] {
			if lo, _ := s.lengths(); lo == 0 {
				return false
			}
		}
	}
	for _, s := range n.subs {
		if lo, _ := s.lengths(); lo == 0 && !emptyLast(s) {
			return false
		}
	}
	return true
}
