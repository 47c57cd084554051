package tokenizer

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzedOptions reads options off bytes; those that run out count as 0.
func fuzzedOptions(knobs []byte) Options {
	next := func(n int) int {
		if len(knobs) == 0 {
			return 0
		}
		k := int(knobs[0])
		knobs = knobs[1:]
		return k % n
	}
	o := Options{AddSpecial: next(2) == 1, SplitSpecial: next(2) == 1, IDsOnly: next(4) == 1}
	if next(3) > 0 {
		o.Truncation = &Truncation{
			MaxLength: next(24), Stride: next(6), Strategy: []string{"", LongestFirst, OnlyFirst, OnlySecond}[next(4)],
			Side: []string{"", "left", "right"}[next(3)], KeepOverflow: next(2) == 1,
		}
	}
	if next(3) > 0 {
		o.Padding = &Padding{Length: next(40), MultipleOf: next(9), Side: []string{"", "left", "right"}[next(3)], ID: next(5), TypeID: next(3), Token: "p"}
	}
	return o
}

// checkColumns says what is wrong with an encoding whose columns should be of one length.
func checkColumns(t *testing.T, e *Encoding, idsOnly bool, longest int) {
	t.Helper()
	n := len(e.IDs)
	if len(e.TypeIDs) != n || len(e.AttentionMask) != n || len(e.SpecialTokensMask) != n {
		t.Fatalf("%d ids, %d type ids, %d and %d in masks", n, len(e.TypeIDs), len(e.AttentionMask), len(e.SpecialTokensMask))
	}
	if !idsOnly && (len(e.Tokens) != n || len(e.Offsets) != n || len(e.WordIDs) != n || len(e.Sequences) != n) {
		t.Fatalf("%d ids, %d tokens, %d offsets, %d words, %d sequences", n, len(e.Tokens), len(e.Offsets), len(e.WordIDs), len(e.Sequences))
	}
	for i, o := range e.Offsets {
		if o[0] < 0 || o[0] > o[1] || o[1] > longest {
			t.Fatalf("token %d has offsets %v in texts of up to %d characters", i, o, longest)
		}
	}
	for k := range e.Overflowing {
		checkColumns(t, &e.Overflowing[k], idsOnly, longest)
	}
}

// FuzzOptions encodes texts, pairs and words under any truncation and padding, on tokenizers with added tokens of
// every flag and templates of every kind.
func FuzzOptions(f *testing.F) {
	var toks []*Tokenizer
	for _, name := range []string{"added", "bert", "bert_cased", "roberta", "llama2", "t5", "gemma", "words"} {
		tok, _, err := load(f, name).WithTokens([]AddedToken{
			{Content: "the", SingleWord: true}, {Content: "<x>", LStrip: true, Special: true},
			{Content: " é", Normalized: true, RStrip: true}, {Content: "\x00", LStrip: true, RStrip: true},
		})
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, tok)
	}
	f.Add("the water <x> is  é the\x00", "a pair", []byte{1, 0, 0, 1, 7, 2, 1, 1, 1, 1, 9, 8, 1})
	f.Add("", "<x><x>", []byte{1, 1, 0, 1, 3, 0, 3, 2, 1})
	f.Add("\xff\xf0\x9f", "the the", []byte{0, 0, 1, 2, 5, 1, 2, 0, 0, 2, 0, 3, 2})
	f.Fuzz(func(t *testing.T, text, pair string, knobs []byte) {
		o := fuzzedOptions(knobs)
		longest := max(utf8.RuneCountInString(lossy(text)), utf8.RuneCountInString(lossy(pair)))
		inputs := []Input{{Text: text}, {Text: text, Pair: &pair}, {Words: strings.Fields(text), PairWords: strings.Fields(pair)}}
		for i, tok := range toks {
			for _, in := range inputs {
				batch, err := tok.EncodeBatch([]Input{in, {Text: pair}}, o)
				if errors.Is(err, ErrTruncation) {
					continue // lengths that leave no room
				}
				if err != nil {
					t.Fatalf("%d: %v", i, err)
				}
				for k := range batch {
					checkColumns(t, &batch[k], o.IDsOnly, longest)
					if c := o.Truncation; c != nil && o.Padding == nil && len(batch[k].IDs) > c.MaxLength {
						t.Fatalf("%d: %d tokens of at most %d", i, len(batch[k].IDs), c.MaxLength)
					}
					if o.Padding != nil && len(batch[k].IDs) != len(batch[0].IDs) && o.Padding.Length == 0 {
						t.Fatalf("%d: padded to %d and %d tokens", i, len(batch[0].IDs), len(batch[k].IDs))
					}
				}
			}
		}
	})
}

func TestOverflowIsBounded(t *testing.T) {
	tok := load(t, "bert")
	long := strings.Repeat("the water ", 20000)
	o := Options{Truncation: &Truncation{MaxLength: 4, KeepOverflow: true}}
	if _, err := tok.EncodePair(long, long, o); !errors.Is(err, ErrTruncation) || !strings.Contains(err.Error(), "pairs of parts") {
		t.Errorf("a pair that overflows without end: %v", err)
	}
	o.Truncation.KeepOverflow = false
	if e, err := tok.EncodePair(long, long, o); err != nil || len(e.IDs) != 4 {
		t.Errorf("without what overflows: %d tokens, %v", len(e.IDs), err)
	}
}
