// Added tokens: those found in text as they stand, before any model sees it, special ones among them.

package tokenizer

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// AddedToken is a token that is matched whole in text.
type AddedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // matches only where no word character touches it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space after it
	Normalized bool   `json:"normalized"`  // is looked for in normalized text
	Special    bool   `json:"special"`     // Decode can leave it out
}

// addedTokens is the set of added tokens. It is filled while loading and read-only after freeze.
type addedTokens struct {
	byText  map[string]int32
	byID    map[int32]AddedToken
	special map[string]bool
	// normalizedText is the text that a normalized token is looked for as, where it is not its own.
	normalizedText map[int32]string
	raw, norm      *matcher
}

func newAddedTokens() *addedTokens {
	return &addedTokens{byText: map[string]int32{}, byID: map[int32]AddedToken{}, special: map[string]bool{}, normalizedText: map[int32]string{}}
}

// add puts tokens in. Ids are not taken from the tokens: one that the vocabulary knows has its id
// there, any other gets the next free one, which is also what Hugging Face's tokenizers do.
func (a *addedTokens) add(tokens []AddedToken, m model, n normalizer) error {
	_, err := a.addCounted(tokens, m, n)
	return err
}

// addCounted is add, and says how many tokens were new or changed.
func (a *addedTokens) addCounted(tokens []AddedToken, m model, n normalizer) (count int, err error) {
	next := int32(m.size())
	for id := range a.byID {
		next = max(next, id+1)
	}
	for _, t := range tokens {
		if t.Content == "" {
			continue
		}
		id, ok := a.byText[t.Content]
		if !ok {
			id, ok = m.tokenID(t.Content)
		}
		if !ok {
			id = next
			next++
		}
		t.ID = int(id)
		if old, ok := a.byID[id]; ok && old == t {
			continue
		}
		if t.Normalized && n != nil {
			p, err := n.normalize(newPiece(t.Content, false))
			if err != nil {
				return count, fmt.Errorf("added token %s: %w", jsontext.Quote(t.Content), err)
			}
			if p.text != t.Content {
				a.normalizedText[id] = p.text
			}
		}
		a.byText[t.Content] = id
		a.byID[id] = t
		if t.Special {
			a.special[t.Content] = true
		}
		count++
	}
	return count, nil
}

// freeze builds what finds the tokens in text.
func (a *addedTokens) freeze() error {
	a.raw, a.norm = nil, nil
	for _, id := range a.ids() {
		t := a.byID[id]
		text, set := t.Content, &a.raw
		if t.Normalized {
			set = &a.norm
			if s, ok := a.normalizedText[id]; ok {
				text = s
			}
		}
		if *set == nil {
			*set = &matcher{}
		}
		if err := (*set).insert(text, id); err != nil {
			return err
		}
	}
	return nil
}

func (a *addedTokens) ids() []int32 {
	ids := make([]int32, 0, len(a.byID))
	for id := range a.byID {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, k int) bool { return ids[i] < ids[k] })
	return ids
}

// text is the string of an added token as the decoder needs it: one that was spelled differently by
// the normalizer is given in that spelling.
func (a *addedTokens) text(id int32) (string, bool) {
	t, ok := a.byID[id]
	if !ok {
		return "", false
	}
	if s, ok := a.normalizedText[id]; ok {
		return s, true
	}
	return t.Content, true
}

// split cuts the added tokens out of a piece, or only those that are not special.
func (a *addedTokens) split(p piece, m *matcher, leaveSpecial bool, emit func(piece)) {
	if m == nil {
		emit(p.slice(0, len(p.text))) // which begins where its first character does, whatever was taken off
		return
	}
	text := p.text
	done := 0
	for at := 0; at < len(text); {
		start, end, id := m.find(text, at)
		if id == noToken {
			break
		}
		at = end
		t := a.byID[id]
		if leaveSpecial && a.special[t.Content] {
			continue
		}
		if t.SingleWord && (touchesWordBefore(text[:start]) || touchesWordAfter(text[end:])) {
			continue
		}
		if t.LStrip {
			start = max(len(strings.TrimRightFunc(text[:start], isSpace)), done)
		}
		if t.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], isSpace))
		}
		if start > end {
			continue // a token before this one took all of it as white space
		}
		if done < start {
			emit(p.slice(done, start))
		}
		q := p.slice(start, end)
		q.id = id
		emit(q)
		done = end
	}
	if done < len(text) {
		emit(p.slice(done, len(text)))
	}
}

func touchesWordBefore(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWordRune(r)
}

func touchesWordAfter(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWordRune(r)
}

// matcher finds the leftmost, and there the longest, of a set of strings: a tree of bytes.
type matcher struct {
	first [256]bool
	nodes []matcherNode
}

type matcherNode struct {
	next map[byte]int32
	id   int32
}

func (m *matcher) insert(s string, id int32) error {
	if s == "" {
		return fmt.Errorf("added token %d is empty once normalized", id)
	}
	if m.nodes == nil {
		m.nodes = []matcherNode{{next: map[byte]int32{}, id: noToken}}
	}
	m.first[s[0]] = true
	at := int32(0)
	for i := range len(s) {
		to, ok := m.nodes[at].next[s[i]]
		if !ok {
			to = int32(len(m.nodes))
			m.nodes = append(m.nodes, matcherNode{next: map[byte]int32{}, id: noToken})
			m.nodes[at].next[s[i]] = to
		}
		at = to
	}
	if m.nodes[at].id != noToken {
		return fmt.Errorf("added tokens %d and %d are both %s in text once normalized: which of them is meant is left to chance", m.nodes[at].id, id, jsontext.Quote(s))
	}
	m.nodes[at].id = id
	return nil
}

// find is the next match at or after byte from; id is noToken when there is none.
func (m *matcher) find(s string, from int) (start, end int, id int32) {
	for start = from; start < len(s); start++ {
		if !m.first[s[start]] {
			continue
		}
		id = noToken
		at := int32(0)
		for i := start; i < len(s); i++ {
			to, ok := m.nodes[at].next[s[i]]
			if !ok {
				break
			}
			at = to
			if m.nodes[at].id != noToken {
				id, end = m.nodes[at].id, i+1
			}
		}
		if id != noToken {
			return start, end, id
		}
	}
	return len(s), len(s), noToken
}
