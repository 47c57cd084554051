// Writing a tokenizer.json, whatever the tokenizer was read from.

package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// JSON is the text of a tokenizer.json from which the tokenizer can be read again, by Hugging Face's
// tokenizers too. Truncation and padding are nil for none; what the tokenizer was read with does not count.
func (t *Tokenizer) JSON(truncation *Truncation, padding *Padding) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(`{"version":"1.0"`)
	added := t.AddedTokens()
	if added == nil {
		added = []AddedToken{}
	}
	post, err := t.postSource()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: writing the post-processor: %w", err)
	}
	for _, member := range []struct {
		name  string
		value any
	}{
		{"truncation", describeTruncation(truncation)},
		{"padding", describePadding(padding)},
		{"added_tokens", added},
		{"normalizer", t.source.normalizer},
		{"pre_tokenizer", t.source.pre},
		{"post_processor", post},
		{"decoder", t.source.decoder},
	} {
		text, err := marshal(member.value)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: writing %s: %w", member.name, err)
		}
		fmt.Fprintf(&out, `,"%s":%s`, member.name, text)
	}
	out.WriteString(`,"model":`)
	t.model.write(&out)
	out.WriteByte('}')
	return out.Bytes(), nil
}

// postSource is the post-processor as it was read, or as what was put in its place.
func (t *Tokenizer) postSource() (json.RawMessage, error) {
	if made, ok := t.post.(template); ok && t.source.post == nil {
		return marshal(made.describe())
	}
	return t.source.post, nil
}

func describeTruncation(c *Truncation) any {
	if c == nil {
		return nil
	}
	strategy := map[string]string{"": "LongestFirst", LongestFirst: "LongestFirst", OnlyFirst: "OnlyFirst", OnlySecond: "OnlySecond"}
	return map[string]any{
		"direction": sideName(c.Side), "max_length": c.MaxLength, "strategy": strategy[c.Strategy], "stride": c.Stride,
	}
}

func describePadding(p *Padding) any {
	if p == nil {
		return nil
	}
	var strategy any = "BatchLongest"
	if p.Length > 0 {
		strategy = map[string]any{"Fixed": p.Length}
	}
	var multiple any
	if p.MultipleOf > 0 {
		multiple = p.MultipleOf
	}
	return map[string]any{
		"strategy": strategy, "direction": sideName(p.Side), "pad_to_multiple_of": multiple,
		"pad_id": p.ID, "pad_type_id": p.TypeID, "pad_token": p.Token,
	}
}

func sideName(side string) string {
	if side == "left" {
		return "Left"
	}
	return "Right"
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// quoted is a text as a JSON string.
func quoted(s string) []byte {
	text, err := marshal(s)
	if err != nil {
		return []byte(`""`) // encoding/json writes any string
	}
	return text
}

func orNull(s string) []byte {
	if s == "" {
		return []byte("null")
	}
	return quoted(s)
}

// writeVocab writes the tokens in the order of their ids.
func writeVocab(to *bytes.Buffer, vocab map[string]int32) {
	tokens := make([]string, 0, len(vocab))
	for s := range vocab {
		tokens = append(tokens, s)
	}
	slices.SortFunc(tokens, func(a, b string) int {
		if by := int(vocab[a]) - int(vocab[b]); by != 0 {
			return by
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	to.WriteByte('{')
	for i, s := range tokens {
		if i > 0 {
			to.WriteByte(',')
		}
		to.Write(quoted(s))
		to.WriteByte(':')
		to.WriteString(strconv.Itoa(int(vocab[s])))
	}
	to.WriteByte('}')
}

func (m *bpe) write(to *bytes.Buffer) {
	fmt.Fprintf(to, `{"type":"BPE","dropout":null,"unk_token":%s,"continuing_subword_prefix":%s,"end_of_word_suffix":%s`,
		orNull(m.unk), orNull(m.prefix), orNull(m.suffix))
	fmt.Fprintf(to, `,"fuse_unk":%t,"byte_fallback":%t,"ignore_merges":%t,"vocab":`, m.fuseUnk, m.byteFallback, m.ignoreMerges)
	writeVocab(to, m.vocab)
	to.WriteString(`,"merges":[`)
	for i, pair := range m.rankedMerges() {
		if i > 0 {
			to.WriteByte(',')
		}
		fmt.Fprintf(to, "[%s,%s]", quoted(pair[0]), quoted(pair[1]))
	}
	to.WriteString("]}")
}

// rankedMerges are the merges in the order of their ranks.
func (m *bpe) rankedMerges() mergeList {
	type ranked struct {
		rank int32
		pair [2]string
	}
	var all []ranked
	m.merges.each(func(a, b int32, to merged) {
		all = append(all, ranked{to.rank, [2]string{m.texts[a], m.texts[b]}})
	})
	slices.SortFunc(all, func(a, b ranked) int { return int(a.rank) - int(b.rank) })
	out := make(mergeList, len(all))
	for i, r := range all {
		out[i] = r.pair
	}
	return out
}

func (m *unigram) write(to *bytes.Buffer) {
	to.WriteString(`{"type":"Unigram","unk_id":`)
	if m.unk == noToken {
		to.WriteString("null")
	} else {
		to.WriteString(strconv.Itoa(int(m.unk)))
	}
	to.WriteString(`,"vocab":[`)
	for id, s := range m.texts {
		if id > 0 {
			to.WriteByte(',')
		}
		fmt.Fprintf(to, "[%s,%s]", quoted(s), scoreText(m.scores[id]))
	}
	fmt.Fprintf(to, `],"byte_fallback":%t}`, m.fallback)
}

func (m *wordPiece) write(to *bytes.Buffer) {
	fmt.Fprintf(to, `{"type":"WordPiece","unk_token":%s,"continuing_subword_prefix":%s,"max_input_chars_per_word":%d,"vocab":`,
		quoted(m.unk), quoted(m.prefix), m.maxChars)
	writeVocab(to, m.vocab)
	to.WriteByte('}')
}

func (m *wordLevel) write(to *bytes.Buffer) {
	to.WriteString(`{"type":"WordLevel","vocab":`)
	writeVocab(to, m.vocab)
	fmt.Fprintf(to, `,"unk_token":%s}`, quoted(m.unk))
}

// scoreText is digits of a score that are read back as the same number, where there are such: readers of
// tokenizer.json do not take the nearest number to what they read (see parseLikeSerde).
func scoreText(f float64) string {
	shortest := strconv.FormatFloat(f, 'e', -1, 64)
	for _, candidate := range []float64{f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1)), math.Nextafter(f, math.Inf(-1))} {
		for _, digits := range []int{-1, 16, 17, 18} {
			text := strconv.FormatFloat(candidate, 'e', digits, 64)
			if back, err := parseLikeSerde(text); err == nil && back == f {
				return text
			}
		}
	}
	return shortest
}
