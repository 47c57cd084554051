package tokenizer

import (
	"reflect"
	"testing"
)

// What Hugging Face's tokenizers make of the same file.
func TestBytesOfASuffix(t *testing.T) {
	tok, err := FromBytes([]byte(`{"version":"1.0","added_tokens":[],"normalizer":null,"post_processor":null,"decoder":null,
		"pre_tokenizer":{"type":"WhitespaceSplit"},
		"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":"#",
		"fuse_unk":false,"byte_fallback":true,"ignore_merges":false,
		"vocab":{"a":0,"b#":1,"<0x23>":2,"<0x61>":3,"<0xC3>":4,"<0xA9>":5},"merges":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]struct {
		ids     []int
		offsets [][2]int
	}{
		"ab":     {[]int{0, 1}, [][2]int{{0, 1}, {1, 2}}},
		"aa":     {[]int{0, 3, 2}, [][2]int{{0, 1}, {1, 2}, {2, 3}}},
		"é a ab": {[]int{4, 5, 2, 3, 2, 0, 1}, [][2]int{{0, 1}, {0, 1}, {1, 2}, {2, 3}, {0, 1}, {4, 5}, {5, 6}}},
	} {
		ids, offsets, err := tok.EncodeOffsets(text, true)
		if err != nil || !equalIDs(ids, want.ids) || !reflect.DeepEqual(offsets, want.offsets) {
			t.Errorf("%q: %v %v, %v\nwant %v %v", text, ids, offsets, err, want.ids, want.offsets)
		}
	}
}

// What a normalizer takes off the beginning is not part of the first word: no mark is put there.
func TestFirstWordBehindWhatWasTakenOff(t *testing.T) {
	tok, err := FromBytes([]byte(`{"version":"1.0","normalizer":{"type":"Strip","strip_left":true,"strip_right":false},
		"added_tokens":[{"id":4,"content":"<s>","special":true,"normalized":false,"single_word":false,"lstrip":false,"rstrip":false}],
		"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":false},
		"model":{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"ab":1,"_ab":2,"_":3,"<s>":4}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int{"ab": {2}, " ab": {1}, "  ab<s>ab": {1, 4, 1}, "<s> ab": {4, 1}} {
		if ids, err := tok.Encode(text, true); err != nil || !equalIDs(ids, want) {
			t.Errorf("%q: %v, %v, want %v", text, ids, err, want)
		}
	}
}
