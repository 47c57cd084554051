// The normalizer Precompiled: the replacement rules that a SentencePiece model carries, a double-array
// tree (Aoe 1989) from strings to places in a list of replacements.

package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

func init() {
	registerNormalizer("Precompiled", func(raw json.RawMessage) (normalizer, error) {
		var encoded string
		if err := decoderFields(raw, map[string]any{"precompiled_charsmap": &encoded}); err != nil {
			return nil, err
		}
		blob, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("precompiled_charsmap: %w", err)
		}
		return newPrecompiled(blob)
	})
}

// maxGrapheme is the length in bytes up to which a grapheme cluster is looked up as a whole.
const maxGrapheme = 5

type precompiled struct {
	units        []uint32
	replacements string // each ends with a zero byte
	// ascii says for each ASCII character whether a rule begins with it.
	ascii [utf8.RuneSelf]bool
}

// newPrecompiled reads the length of the tree in bytes, the tree, and the replacements.
func newPrecompiled(blob []byte) (*precompiled, error) {
	if len(blob) < 4 {
		return nil, errors.New("precompiled_charsmap: it ends before the length of its tree")
	}
	size := int64(binary.LittleEndian.Uint32(blob)) / 4
	rest := blob[4:]
	if size == 0 || 4*size > int64(len(rest)) {
		return nil, fmt.Errorf("precompiled_charsmap: a tree of %d bytes in %d", 4*size, len(rest))
	}
	p := &precompiled{units: make([]uint32, size), replacements: string(rest[4*size:])}
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if !utf8.ValidString(p.replacements) {
		return nil, errors.New("precompiled_charsmap: the replacements are not UTF-8")
	}
	for c := range p.ascii {
		_, p.ascii[c] = p.step(p.root(), byte(c))
	}
	return p, nil
}

func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

func (p *precompiled) root() uint32 { return unitOffset(p.units[0]) }

// step goes from the node at place by a byte; the unit it comes to is at index place ^ c.
func (p *precompiled) step(place uint32, c byte) (uint32, bool) {
	at := place ^ uint32(c)
	if c == 0 || at >= uint32(len(p.units)) || p.units[at]&(1<<31|0xFF) != uint32(c) {
		return 0, false
	}
	return at, true
}

// lookup is the replacement for the shortest string that s begins with and that has one.
func (p *precompiled) lookup(s string) (string, bool) {
	place := p.root()
	for i := range len(s) {
		at, ok := p.step(place, s[i])
		if !ok {
			return "", false
		}
		unit := p.units[at]
		place = at ^ unitOffset(unit)
		if unit>>8&1 == 0 || place >= uint32(len(p.units)) {
			continue
		}
		from := int(p.units[place] &^ (1 << 31))
		if from > len(p.replacements) || from < len(p.replacements) && !utf8.RuneStart(p.replacements[from]) {
			return "", false
		}
		text, _, _ := strings.Cut(p.replacements[from:], "\x00")
		return text, true
	}
	return "", false
}

func (p *precompiled) normalize(in piece) (piece, error) {
	if p.leavesASCII(in.text) {
		return in, nil
	}
	changes := make([]change, 0, len(in.text))
	modified := false
	eachGrapheme(in.text, func(start, end int) {
		g := in.text[start:end]
		if len(g) <= maxGrapheme {
			if with, ok := p.lookup(g); ok {
				modified = true
				changes = appendReplacement(changes, g, with)
				return
			}
		}
		for i, r := range g {
			if with, ok := p.lookup(g[i : i+utf8.RuneLen(r)]); ok {
				modified = true
				changes = appendReplacement(changes, string(r), with)
			} else {
				changes = append(changes, change{r, 0})
			}
		}
	})
	if !modified {
		return in, nil
	}
	return in.rewrite(changes), nil
}

// leavesASCII says whether text has only characters that no rule begins with.
func (p *precompiled) leavesASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf || p.ascii[text[i]] {
			return false
		}
	}
	return true
}

// appendReplacement puts the characters of with in the place of those of old. Those that are too many
// are inserted; where there are too few, the last one written, whichever it is, swallows the others.
func appendReplacement(changes []change, old, with string) []change {
	for _, r := range with {
		changes = append(changes, change{r, 0})
	}
	surplus := utf8.RuneCountInString(with) - utf8.RuneCountInString(old)
	for i := len(changes) - surplus; surplus > 0 && i < len(changes); i++ {
		changes[i].delta = 1
	}
	if surplus < 0 && len(changes) > 0 {
		changes[len(changes)-1].delta += surplus
	}
	return changes
}
