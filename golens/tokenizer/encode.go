// Encoding with everything that goes with it: pairs, batches, truncation, padding and masks.

package tokenizer

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options says how to encode. The zero value encodes the text alone.
type Options struct {
	// AddSpecial asks for the tokens that the post-processor puts around texts (BOS, CLS, SEP, EOS).
	AddSpecial bool
	// Truncation and Padding are nil for none. A tokenizer.json may store some: StoredTruncation and
	// StoredPadding have them, and they are applied only when they are put here. (Hugging Face's
	// tokenizers apply what they find in the file.)
	Truncation *Truncation
	Padding    *Padding
	// IDsOnly leaves Tokens, Offsets, WordIDs and Sequences out, which saves about half of the time.
	IDsOnly bool
	// SplitSpecial has special tokens that are written out in a text encoded like any other text.
	SplitSpecial bool
}

// Input is a text of a batch, or a pair of texts.
type Input struct {
	Text string
	// Pair is the second text, nil when there is none.
	Pair *string
	// Words and PairWords, when they are not nil, are the texts cut into words already; Text and Pair
	// are then not looked at. Offsets are counted within each word.
	Words, PairWords []string
}

// texts are the one or two texts, each as the stretches that are encoded by themselves.
func (in Input) texts() [][]string {
	texts := [][]string{{in.Text}}
	if in.Words != nil {
		texts[0] = in.Words
	}
	switch {
	case in.PairWords != nil:
		texts = append(texts, in.PairWords)
	case in.Pair != nil:
		texts = append(texts, []string{*in.Pair})
	}
	return texts
}

// EncodeText is Encode with options and in detail.
func (t *Tokenizer) EncodeText(text string, o Options) (Encoding, error) {
	return t.encodePadded(Input{Text: text}, o)
}

// EncodePair encodes two texts as one, joined as the post-processor joins pairs.
func (t *Tokenizer) EncodePair(text, pair string, o Options) (Encoding, error) {
	return t.encodePadded(Input{Text: text, Pair: &pair}, o)
}

func (t *Tokenizer) encodePadded(in Input, o Options) (Encoding, error) {
	if err := o.validate(); err != nil {
		return Encoding{}, err
	}
	e, err := t.encodeInput(in, o)
	if err == nil && o.Padding != nil {
		batch := []Encoding{e}
		o.Padding.apply(batch)
		e = batch[0]
	}
	return e, err
}

// EncodeBatch encodes many texts at once, on all processors, and pads them to one length when asked.
func (t *Tokenizer) EncodeBatch(batch []Input, o Options) ([]Encoding, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	out := make([]Encoding, len(batch))
	err := inParallel(len(batch), func(i int) (err error) {
		out[i], err = t.encodeInput(batch[i], o)
		return err
	})
	if err != nil {
		return nil, err
	}
	if o.Padding != nil {
		o.Padding.apply(out)
	}
	return out, nil
}

// DecodeBatch decodes many lists of ids, on all processors.
func (t *Tokenizer) DecodeBatch(batch [][]int, skipSpecial bool) ([]string, error) {
	out := make([]string, len(batch))
	err := inParallel(len(batch), func(i int) (err error) {
		out[i], err = t.Decode(batch[i], skipSpecial)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// StoredTruncation is the truncation that the tokenizer.json stores, nil for none.
func (t *Tokenizer) StoredTruncation() *Truncation { return copyOf(t.truncation) }

// StoredPadding is the padding that the tokenizer.json stores, nil for none.
func (t *Tokenizer) StoredPadding() *Padding { return copyOf(t.padding) }

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

func (o Options) validate() error {
	if o.Truncation != nil {
		if err := o.Truncation.validate(); err != nil {
			return err
		}
	}
	if o.Padding != nil {
		return o.Padding.validate()
	}
	return nil
}

func (t *Tokenizer) encodeInput(in Input, o Options) (Encoding, error) {
	d := detail{masks: true, texts: !o.IDsOnly}
	texts := in.texts()
	parts := make([]Encoding, len(texts))
	for i, words := range texts {
		var err error
		if parts[i], err = t.encodeWords(words, in.Words != nil, d, o.SplitSpecial); err != nil {
			return Encoding{}, err
		}
		parts[i].setText(i)
	}
	if o.Truncation != nil {
		added := 0
		if o.AddSpecial && t.post != nil {
			added = t.post.added(len(parts) == 2)
		}
		if err := o.Truncation.apply(parts, added); err != nil {
			return Encoding{}, err
		}
		if err := checkOverflow(parts); err != nil {
			return Encoding{}, err
		}
	}
	return t.finish(d, parts, o.AddSpecial), nil
}

// encodeWords is the tokens of a text that is given in stretches; numbered says that the stretches
// are what WordIDs count.
func (t *Tokenizer) encodeWords(words []string, numbered bool, d detail, splitSpecial bool) (Encoding, error) {
	if len(words) == 1 && !numbered {
		return t.encodeRaw(words[0], d, splitSpecial)
	}
	all := newEncoding(d, len(words))
	for i, word := range words {
		e, err := t.encodeRaw(word, d, splitSpecial)
		if err != nil {
			return Encoding{}, err
		}
		for k := range e.WordIDs {
			e.WordIDs[k] = i
		}
		all.appendTokens(e)
	}
	return all, nil
}

// finish runs the post-processor over one text or two, and joins what it gives.
func (t *Tokenizer) finish(d detail, parts []Encoding, addSpecial bool) Encoding {
	if t.post != nil {
		parts = t.post.process(d, parts, addSpecial)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return mergeAll(d, parts)
}

// inParallel calls f for 0 to n-1 from as many goroutines as there are processors. The error is that
// of the lowest index, so that it does not depend on who was faster.
func inParallel(n int, f func(i int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	work := func() {
		for !failed.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			if errs[i] = f(i); errs[i] != nil {
				failed.Store(true)
			}
		}
	}
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("text %d of the batch: %w", i, err)
		}
	}
	return nil
}
