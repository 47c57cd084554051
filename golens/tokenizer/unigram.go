// The Unigram model (Kudo 2018, "Subword Regularization"): of all ways to cut a word into tokens, the
// one whose scores (log probabilities) have the greatest sum.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() { registerModel("Unigram", newUnigramFromJSON) }

// unknownPenalty is how much worse an unknown character scores than the worst token.
const unknownPenalty = 10

// unigram is immutable but for its cache.
type unigram struct {
	ids      map[string]int32 // of a token that is there twice, the later one
	texts    []string
	scores   []float64
	tree     *trie
	unk      int32 // noToken when there is none
	unkScore float64
	bytes    [256]int32 // ids of <0x00> ... <0xFF>
	fallback bool       // a character that no token covers becomes bytes
	cache    wordCache
}

type scoredToken struct {
	text  string
	score float64
}

func newUnigramFromJSON(raw json.RawMessage) (model, error) {
	fields, err := jsonFields(raw)
	if err != nil {
		return nil, err
	}
	if isNull(fields["vocab"]) {
		return nil, errors.New(`expected "vocab"`)
	}
	vocab, err := scanScores(fields["vocab"])
	if err != nil {
		return nil, err
	}
	unk, fallback := noToken, false
	if !isNull(fields["unk_id"]) {
		var id uint32
		if err := jsontext.Unmarshal(fields["unk_id"], &id); err != nil {
			return nil, fmt.Errorf("unk_id: %w", err)
		}
		unk = int(id)
	}
	if !isNull(fields["byte_fallback"]) {
		if err := jsontext.Unmarshal(fields["byte_fallback"], &fallback); err != nil {
			return nil, fmt.Errorf("byte_fallback: %w", err)
		}
	}
	return newUnigram(vocab, unk, fallback)
}

// scanScores reads [["token", score], ...].
func scanScores(raw json.RawMessage) ([]scoredToken, error) {
	c := &jsonCursor{b: raw}
	if c.next() != '[' {
		return nil, fmt.Errorf("vocab: found %.40s: expected a list", c.skip())
	}
	c.at++
	out := make([]scoredToken, 0, len(raw)/32)
	for c.next() != ']' {
		if c.next() != '[' {
			return nil, fmt.Errorf("vocab: token %d is %.40s: expected a token and its score", len(out), c.skip())
		}
		c.at++
		text, err := c.text()
		if err != nil {
			return nil, fmt.Errorf("vocab: token %d: %w", len(out), err)
		}
		value := ""
		if c.next() != ']' {
			value = string(c.skip())
		}
		score, err := parseLikeSerde(value)
		if err != nil || c.next() != ']' {
			return nil, fmt.Errorf("vocab: token %s has score %.40s: expected one number", jsontext.Quote(text), value)
		}
		c.at++
		out = append(out, scoredToken{text, score})
	}
	return out, nil
}

func newUnigram(vocab []scoredToken, unk int, fallback bool) (*unigram, error) {
	if len(vocab) > maxTokenID {
		return nil, fmt.Errorf("%d tokens: expected at most %d", len(vocab), maxTokenID)
	}
	if unk < noToken || unk >= len(vocab) {
		return nil, fmt.Errorf("unk_id is %d: expected 0 to %d", unk, len(vocab)-1)
	}
	m := &unigram{ids: make(map[string]int32, len(vocab)), unk: int32(unk), fallback: fallback}
	least := math.Inf(1)
	for id, t := range vocab {
		m.ids[t.text] = int32(id)
		m.texts = append(m.texts, t.text)
		m.scores = append(m.scores, t.score)
		if t.score < least {
			least = t.score
		}
	}
	m.unkScore = least - unknownPenalty
	m.tree = newTrie(m.ids)
	for b := range m.bytes {
		id, ok := m.ids[fmt.Sprintf("<0x%02X>", b)]
		if !ok {
			id = noToken
		}
		m.bytes[b] = id
	}
	return m, nil
}

func (m *unigram) tokenID(s string) (int32, bool) {
	id, ok := m.ids[s]
	return id, ok
}

func (m *unigram) tokenText(id int32) (string, bool) {
	if id < 0 || int(id) >= len(m.texts) {
		return "", false
	}
	return m.texts[id], true
}

func (m *unigram) vocabulary() map[string]int32 { return m.ids }

func (m *unigram) size() int { return len(m.texts) }

func (m *unigram) kind() string { return "Unigram" }

// surfaceText is the text itself for what the model does not know.
func (m *unigram) surfaceText(tok token, word string) string {
	if tok.id == m.unk {
		return word[tok.start:tok.end]
	}
	return m.texts[tok.id]
}

func (m *unigram) tokenize(word string, dst []token) ([]token, error) {
	if word == "" {
		return dst, nil
	}
	if found, ok := m.cache.get(word); ok {
		return append(dst, found...), nil
	}
	path, err := m.bestPath(word)
	if err != nil {
		return nil, err
	}
	mark := len(dst)
	dst = m.appendTokens(word, *path, dst)
	m.cache.put(word, dst[mark:])
	if cap(*path) < 1<<14 {
		pathPool.Put(path)
	}
	return dst, nil
}

// pathEnd is the best way to cut a word up to some byte: its score, and its last token, which begins
// at start (-1 when no token ends here).
type pathEnd struct {
	score float64
	start int32
	id    int32
}

var pathPool = sync.Pool{New: func() any { return new([]pathEnd) }}

// bestPath has an entry for the end of each byte of word.
func (m *unigram) bestPath(word string) (*[]pathEnd, error) {
	buf := pathPool.Get().(*[]pathEnd)
	best := (*buf)[:0]
	for range len(word) + 1 {
		best = append(best, pathEnd{start: -1})
	}
	*buf = best
	offer := func(end int, score float64, start int, id int32) {
		if e := &best[end]; e.start < 0 || score > e.score {
			*e = pathEnd{score, int32(start), id}
		}
	}
	for start := 0; start < len(word); {
		_, size := utf8.DecodeRuneInString(word[start:])
		soFar := best[start].score
		single := false
		at := m.tree.root[word[start]]
		for i := start + 1; at != 0; i++ {
			if id := m.tree.nodes[at].id; id != noToken {
				offer(i, m.scores[id]+soFar, start, id)
				single = single || i == start+size
			}
			if i == len(word) {
				break
			}
			at = m.tree.child(at, word[i])
		}
		if !single {
			if m.unk == noToken {
				return nil, fmt.Errorf("tokenizer: %s is not in the vocabulary, which has no unknown token either", jsontext.Quote(word[start:start+size]))
			}
			offer(start+size, m.unkScore+soFar, start, m.unk)
		}
		start += size
	}
	return buf, nil
}

// appendTokens reads the path back to front. Unknown characters side by side become one token, or bytes.
func (m *unigram) appendTokens(word string, path []pathEnd, dst []token) []token {
	mark := len(dst)
	for end := len(word); end > 0; {
		start := int(path[end].start)
		id := path[end].id
		if id == m.unk {
			for start > 0 && path[start].id == m.unk {
				start = int(path[start].start)
			}
			// What the unknown characters make together may be a token after all.
			if known, ok := m.ids[word[start:end]]; ok {
				id = known
			} else if m.fallback && m.allBytes(word[start:end]) {
				for i := end - 1; i >= start; i-- {
					dst = append(dst, token{m.bytes[word[i]], int32(start), int32(end)})
				}
				end = start
				continue
			}
		}
		dst = append(dst, token{id, int32(start), int32(end)})
		end = start
	}
	for i, k := mark, len(dst)-1; i < k; i, k = i+1, k-1 {
		dst[i], dst[k] = dst[k], dst[i]
	}
	return dst
}

func (m *unigram) allBytes(s string) bool {
	for i := range len(s) {
		if m.bytes[s[i]] == noToken {
			return false
		}
	}
	return true
}
