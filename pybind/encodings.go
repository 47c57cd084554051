// Encodings: texts to tokens, which cross as one tensor of numbers.
package pybind

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
)

// encodeOptions is the JSON that TokenizerEncode takes. With Pairs there are two texts for each input.
type encodeOptions struct {
	tokenizer.Options
	Pairs bool
}

// readOptions are the last options read, since most calls have those of the call before.
type readOptions struct {
	text    string
	options encodeOptions
}

var lastOptions atomic.Pointer[readOptions]

func parseOptions(text string) (encodeOptions, error) {
	if last := lastOptions.Load(); last != nil && last.text == text {
		return last.options, nil
	}
	read := &readOptions{text: text}
	if err := decode(text, &read.options); err != nil {
		return encodeOptions{}, err
	}
	lastOptions.Store(read)
	return read.options, nil
}

// inputs puts a flat list of texts together; words, where there are any, are how many of the list each text has.
func (o encodeOptions) inputs(texts []string, words []int) ([]tokenizer.Input, error) {
	perInput := 1
	if o.Pairs {
		perInput = 2
	}
	if words == nil {
		if len(texts)%perInput != 0 {
			return nil, fmt.Errorf("%w: %d texts do not make pairs", errValue, len(texts))
		}
		out := make([]tokenizer.Input, len(texts)/perInput)
		for i := range out {
			out[i].Text = texts[i*perInput]
			if o.Pairs {
				out[i].Pair = &texts[i*perInput+1]
			}
		}
		return out, nil
	}
	cut := make([][]string, len(words))
	for i, n := range words {
		if n > len(texts) {
			return nil, fmt.Errorf("%w: %d words of %d that are left", errValue, n, len(texts))
		}
		cut[i], texts = texts[:n:n], texts[n:]
	}
	if len(cut)%perInput != 0 || len(texts) > 0 {
		return nil, fmt.Errorf("%w: the words do not make the texts that were said", errValue)
	}
	out := make([]tokenizer.Input, len(cut)/perInput)
	for i := range out {
		out[i].Words = cut[i*perInput]
		if o.Pairs {
			out[i].PairWords = cut[i*perInput+1]
		}
	}
	return out, nil
}

// parseWords reads how many words each text has: "-" says that texts are not cut into words.
func parseWords(words string) ([]int, error) {
	if words == "-" {
		return nil, nil
	}
	list, err := scanNumbers(words)
	if list == nil {
		list = []int{}
	}
	return list, err
}

// TokenizerEncode encodes packed texts with options (JSON). The result is the handle of an int64 tensor: the number of
// values before the first id; the number of tokens; the number of encodings; for each the number of its parts (itself and
// what overflows), and their lengths; then for all parts one after another the ids, and as many type ids, attention masks
// and masks of special tokens. With detailed come four more columns, begin and end of offsets, words, and which text of a pair; then the
// number of tokens that are not spelled as the vocabulary has them, for each its place and the bytes of its spelling, and
// these bytes, eight in a value. Where it looks, for texts that are long, cb is asked meanwhile whether to go on; -1 is
// returned when it raised.
func TokenizerEncode(h int64, options, words, texts string, detailed, looks bool, cb func(run, hook, tensor int64) int64) (handle int64, err error) {
	defer guard(&err)
	if !looks {
		return encodeTexts(h, options, words, texts, detailed)
	}
	handle, err = looking(cb, func(context.Context) (int64, error) {
		return encodeTexts(h, options, words, texts, detailed)
	}, func(made int64) { _ = tensor.Handle(made).Close() })
	if errors.Is(err, errRaised) {
		return ended, nil
	}
	return handle, err
}

func encodeTexts(h int64, options, words, texts string, detailed bool) (int64, error) {
	t, err := tokenizers.get(h)
	if err != nil {
		return 0, err
	}
	o, err := parseOptions(options)
	if err != nil {
		return 0, err
	}
	counts, err := parseWords(words)
	if err != nil {
		return 0, err
	}
	list, err := unpackTexts(texts)
	if err != nil {
		return 0, err
	}
	inputs, err := o.inputs(list, counts)
	if err != nil {
		return 0, err
	}
	o.IDsOnly = !detailed
	encodings, err := t.EncodeBatch(inputs, o.Options)
	if err != nil {
		return 0, asValueError(err)
	}
	return exportEncodings(encodings, t.surfaces(encodings, detailed), detailed)
}

func eachPart(encodings []tokenizer.Encoding, f func(*tokenizer.Encoding)) {
	for i := range encodings {
		f(&encodings[i])
		for k := range encodings[i].Overflowing {
			f(&encodings[i].Overflowing[k])
		}
	}
}

// surfaces are the tokens that are not spelled as the vocabulary has them.
type surfaces struct {
	places []int64 // the number of the token and the bytes of its spelling
	text   []byte
}

func (t openTokenizer) surfaces(encodings []tokenizer.Encoding, detailed bool) *surfaces {
	if !detailed {
		return nil
	}
	s := &surfaces{}
	at := 0
	eachPart(encodings, func(e *tokenizer.Encoding) {
		for i, id := range e.IDs {
			if known, ok := t.IDToToken(id); !ok || known != e.Tokens[i] {
				s.places = append(s.places, int64(at+i), int64(len(e.Tokens[i])))
				s.text = append(s.text, e.Tokens[i]...)
			}
		}
		at += len(e.IDs)
	})
	for len(s.text)%8 != 0 {
		s.text = append(s.text, 0)
	}
	return s
}

func (s *surfaces) size() int {
	if s == nil {
		return 0
	}
	return 1 + len(s.places) + len(s.text)/8
}

func (s *surfaces) appendTo(out []int64) []int64 {
	if s == nil {
		return out
	}
	out = append(out, int64(len(s.places)/2))
	out = append(out, s.places...)
	for i := 0; i < len(s.text); i += 8 {
		out = append(out, int64(binary.NativeEndian.Uint64(s.text[i:])))
	}
	return out
}

func exportEncodings(encodings []tokenizer.Encoding, s *surfaces, detailed bool) (int64, error) {
	head, total := 3+len(encodings), 0
	eachPart(encodings, func(e *tokenizer.Encoding) {
		head++
		total += len(e.IDs)
	})
	columns := 4
	if detailed {
		columns = 8
	}
	t, err := tensor.New(tensor.Int64, head+columns*total+s.size())
	if err != nil {
		return 0, err
	}
	defer t.Release()
	out := t.Int64s()[:0]
	out = append(out, int64(head), int64(total), int64(len(encodings)))
	for i := range encodings {
		out = append(out, int64(1+len(encodings[i].Overflowing)), int64(len(encodings[i].IDs)))
		for _, over := range encodings[i].Overflowing {
			out = append(out, int64(len(over.IDs)))
		}
	}
	column := func(of func(*tokenizer.Encoding) []int) {
		eachPart(encodings, func(e *tokenizer.Encoding) {
			for _, v := range of(e) {
				out = append(out, int64(v))
			}
		})
	}
	column(func(e *tokenizer.Encoding) []int { return e.IDs })
	column(func(e *tokenizer.Encoding) []int { return e.TypeIDs })
	column(func(e *tokenizer.Encoding) []int { return e.AttentionMask })
	column(func(e *tokenizer.Encoding) []int { return e.SpecialTokensMask })
	if detailed {
		for side := range 2 {
			eachPart(encodings, func(e *tokenizer.Encoding) {
				for _, o := range e.Offsets {
					out = append(out, int64(o[side]))
				}
			})
		}
		column(func(e *tokenizer.Encoding) []int { return e.WordIDs })
		column(func(e *tokenizer.Encoding) []int { return e.Sequences })
	}
	s.appendTo(out)
	handle, err := t.Export()
	return int64(handle), err
}
