package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// oddities are what FuzzMutatedJSON puts in the place of any value.
var oddities = []string{
	`null`, `true`, `0`, `-1`, `1`, `3.5`, `1e400`, `4294967296`, `18446744073709551616`, `""`, `"a"`, `"\u0000"`, `"▁"`, `" "`, `"\ud800"`, `[]`, `{}`,
	`[[]]`, `[""]`, `["a","b"]`, `{"type":""}`, `{"type":"Sequence"}`, `{"String":""}`, `{"Regex":"("}`, `{"Regex":"(a*)*b"}`, `{"Regex":"(?:a|aa)+$"}`,
	`{"Regex":"\\s+(?!\\S)|\\s+"}`, `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`,
	`{"type":"Sequence","normalizers":[],"pretokenizers":[],"processors":[],"decoders":[]}`,
	`{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`, `{"type":"FixedLength","length":18446744073709551615}`,
	`{"type":"Precompiled","precompiled_charsmap":"AAAAgA=="}`, `{"type":"Replace","pattern":{"Regex":""},"content":"x"}`,
	`{"SpecialToken":{"id":"[CLS]","type_id":4294967295}}`, `{"Sequence":{"id":"A","type_id":0}}`, `{"Fixed":4294967295}`, `"Left"`, `"OnlySecond"`,
}

// mutate changes one value somewhere in a JSON value: it goes away, or becomes another of the same document or an oddity.
func mutate(rng *rand.Rand, v any, others []any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 && rng.IntN(8) > 0 {
			keys := sortedKeys(v)
			key := keys[rng.IntN(len(keys))]
			if rng.IntN(12) == 0 {
				delete(v, key)
			} else {
				v[key] = mutate(rng, v[key], others)
			}
			return v
		}
	case []any:
		if len(v) > 0 && rng.IntN(8) > 0 {
			i := rng.IntN(len(v))
			switch rng.IntN(10) {
			case 0:
				return append(v[:i:i], v[i+1:]...)
			case 1:
				return append(v, v[i])
			}
			v[i] = mutate(rng, v[i], others)
			return v
		}
	}
	if rng.IntN(2) == 0 {
		return others[rng.IntN(len(others))]
	}
	return json.RawMessage(oddities[rng.IntN(len(oddities))])
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	for i := range keys { // few of them
		for k := i; k > 0 && keys[k] < keys[k-1]; k-- {
			keys[k], keys[k-1] = keys[k-1], keys[k]
		}
	}
	return keys
}

// values lists the containers and leaves of a document, for one to be put in the place of another. They are
// shared, and so must not be changed afterwards: each is kept as text.
func values(v any) []any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	out := []any{json.RawMessage(raw)}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			out = append(out, values(v[k])...)
		}
	case []any:
		for _, e := range v {
			out = append(out, values(e)...)
		}
	}
	return out
}

// FuzzMutatedJSON reads tokenizer.json files with values exchanged: an error, or a tokenizer that encodes, decodes
// and is written to a file that makes the same.
func FuzzMutatedJSON(f *testing.F) {
	for which := range smallFiles {
		for seed := range uint64(40) {
			f.Add(uint8(which), seed, "the ab <s>'S 12\u0301 中e\u0301ﬁ  \n\x00")
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, text string) {
		rng := rand.New(rand.NewPCG(seed, 1))
		decoder := json.NewDecoder(strings.NewReader(smallFiles[int(which)%len(smallFiles)]))
		decoder.UseNumber()
		var file any
		if err := decoder.Decode(&file); err != nil {
			t.Fatal(err)
		}
		others := values(file)
		for range 1 + rng.IntN(3) {
			file = mutate(rng, file, others)
		}
		raw, err := json.Marshal(file)
		if err != nil {
			return // an oddity that is no JSON of its own
		}
		tok, err := FromBytes(raw)
		if err != nil {
			return
		}
		ids, err := tok.Encode(text, true)
		if err != nil {
			return
		}
		if _, err := tok.Decode(ids, false); err != nil {
			t.Logf("decoding %v: %v", ids, err)
		}
		written, err := tok.JSON(nil, nil)
		if err != nil {
			t.Fatalf("%s\nis read and cannot be written: %v", raw, err)
		}
		again, err := FromBytes(written)
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nwhich is not read: %v", raw, written, err)
		}
		if same, err := again.Encode(text, true); err != nil || !equalIDs(ids, same) {
			t.Fatalf("%s\nis written as\n%s\nwhich encodes %q as %v instead of %v, %v", raw, written, text, same, ids, err)
		}
	})
}
