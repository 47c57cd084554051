package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzEncode(f *testing.F) {
	var toks []*Tokenizer
	for _, name := range []string{"gpt2", "smollm", "llama3", "qwen2", "added", "llama2", "llama2_first", "bert", "bert_cased", "words", "words_punctuation", "words_scripts", "gemma", "roberta", "t5", "t5_nfkc", "unigram_bytes"} {
		toks = append(toks, load(f, name))
	}
	for _, s := range []string{"", "Hello world", "\xff\xfe\x00", " \n\r\n  a", "e\u0301\u0345한국", "<|im_start|>the <mask>", "'S'ſ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		valid := lossy(text)
		if !utf8.ValidString(valid) {
			t.Fatalf("lossy(%q) is not UTF-8", text)
		}
		for i, tok := range toks {
			ids, err := tok.Encode(text, true)
			if err != nil {
				t.Fatal(err)
			}
			same, offsets, err := tok.EncodeOffsets(text, true)
			if err != nil || !equalIDs(ids, same) || len(offsets) != len(ids) {
				t.Fatalf("%d: %q: %v and %v with %d offsets, %v", i, text, ids, same, len(offsets), err)
			}
			n := utf8.RuneCountInString(valid)
			for _, o := range offsets {
				if o[0] < 0 || o[0] > o[1] || o[1] > n {
					t.Fatalf("%d: %q: offset %v in %d characters", i, text, o, n)
				}
			}
			full, err := tok.EncodeText(text, Options{AddSpecial: true})
			if err != nil || !equalIDs(ids, full.IDs) || len(full.Tokens) != len(ids) || len(full.SpecialTokensMask) != len(ids) {
				t.Fatalf("%d: %q: %v and in detail %v, %v", i, text, ids, full.IDs, err)
			}
			plain, err := tok.Encode(text, false)
			if err != nil {
				t.Fatal(err)
			}
			back, err := tok.Decode(plain, false)
			if err != nil {
				t.Fatal(err)
			}
			if i < 3 && back != valid { // byte-level without a normalizer is lossless
				t.Fatalf("%d: %q came back as %q", i, valid, back)
			}
		}
	})
}

// smallFiles are a tokenizer.json for each family of components.
var smallFiles = []string{
	`{"version":"1.0","added_tokens":[{"id":3,"content":"<s>","special":true,"lstrip":true}],` +
		`"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]},` +
		`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s)|\\p{N}{1,3}+|[^\\s]?"},"behavior":"Isolated"},{"type":"ByteLevel"}]},` +
		`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[3],"tokens":["<s>"]}}},` +
		`"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]],"unk_token":null}}`,
	`{"model":{"vocab":{"a":0},"merges":["a a"],"continuing_subword_prefix":"##"}}`,
	`{"truncation":{"direction":"Left","max_length":4,"strategy":"OnlyFirst","stride":1},"padding":{"strategy":{"Fixed":9},"direction":"Left","pad_to_multiple_of":4,"pad_id":1,"pad_type_id":0,"pad_token":"p"},` +
		`"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},` +
		`"post_processor":{"type":"BertProcessing","sep":["[SEP]",1],"cls":["[CLS]",2]},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},` +
		`"model":{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{"u":0,"a":1,"##b":2,"ab":3,"12":4,"s":5}}}`,
	`{"normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":"CAAAAAD8AAABAAAAYQA="},{"type":"Nmt"},{"type":"NFKC"},{"type":"Strip","strip_left":true,"strip_right":true}]},` +
		`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"},{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true}]},` +
		`"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"RobertaProcessing","sep":["s",1],"cls":["c",2],"trim_offsets":true}]},` +
		`"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Metaspace","replacement":"_"}]},` +
		`"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["u",0],["_a",-1.5],["b",-2e0],["ab",-1],["<0x31>",0],["<0x32>",0]]}}`,
	`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"StripAccents"},{"type":"Lowercase"},{"type":"ByteLevel"}]},` +
		`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"Punctuation","behavior":"MergedWithNext"},{"type":"CharDelimiterSplit","delimiter":"b"},{"type":"FixedLength","length":2}]},` +
		`"decoder":{"type":"Sequence","decoders":[{"type":"CTC","pad_token":"p","word_delimiter_token":"|","cleanup":true},{"type":"BPEDecoder","suffix":"a"}]},` +
		`"model":{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"a":1}}}`,
}

// FuzzFromBytes reads broken files: an error or a tokenizer that works, and no panic.
func FuzzFromBytes(f *testing.F) {
	for _, s := range smallFiles {
		f.Add([]byte(s))
	}
	f.Add([]byte(strings.Replace(smallFiles[0], `{1,3}+`, `+`, 1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tok, err := FromBytes(raw)
		if err != nil {
			return
		}
		const text = "ab <s>'S 12\u0301 中e\u0301ﬁ"
		ids, err := tok.Encode(text, true)
		if err != nil {
			return
		}
		if _, err := tok.Decode(ids, true); err != nil && len(ids) > 0 && ids[0] >= 0 {
			t.Logf("decoding %v: %v", ids, err)
		}
		truncation, padding := tok.StoredTruncation(), tok.StoredPadding()
		if padding != nil && padding.Length+padding.MultipleOf > 1<<16 {
			padding = nil
		}
		if truncation != nil {
			truncation.KeepOverflow = true
		}
		pair, err := tok.EncodePair(text, "b a", Options{AddSpecial: true, Truncation: truncation, Padding: padding})
		if err == nil && (len(pair.Tokens) != len(pair.IDs) || len(pair.TypeIDs) != len(pair.IDs) || len(pair.Offsets) != len(pair.IDs)) {
			t.Errorf("%d ids, %d tokens, %d type ids, %d offsets", len(pair.IDs), len(pair.Tokens), len(pair.TypeIDs), len(pair.Offsets))
		}
	})
}

// TestSmallFilesWork makes sure that what the fuzzer starts from is read.
func TestSmallFilesWork(t *testing.T) {
	first := strings.Replace(smallFiles[0], `{1,3}+`, `+`, 1) // as it stands it is refused
	for _, s := range append([]string{first}, smallFiles[2:]...) {
		tok, err := FromBytes([]byte(s))
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if ids, err := tok.Encode("ab", true); err != nil || len(ids) == 0 {
			t.Errorf("%s: %v, %v", s, ids, err)
		}
	}
}

// FuzzSentencePiece reads broken .model files.
func FuzzSentencePiece(f *testing.F) {
	piece := func(text string, kind byte) string {
		body := "\x0a" + string(rune(len(text))) + text + "\x15\x00\x00\x80\xbf\x18" + string(rune(kind))
		return "\x0a" + string(rune(len(body))) + body
	}
	head := piece("<unk>", 2) + piece("<s>", 3) + piece("</s>", 3) + piece("a", 1) + piece("b", 1) + piece("ab", 4)
	f.Add([]byte(head + "\x12\x02\x18\x02"))
	f.Add([]byte(head))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, class := range []string{"", "LlamaTokenizer", "T5Tokenizer", "XLMRobertaTokenizer"} {
			c := &folderConfig{class: class, defaults: classDefaults[class]}
			tok, err := c.fromSentencePiece(raw)
			if err == nil {
				err = c.apply(tok, false)
			}
			if err == nil {
				err = tok.settle()
			}
			if err != nil {
				continue
			}
			if ids, err := tok.Encode("ab <s>中", true); err == nil {
				_, _ = tok.Decode(ids, true)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	text := strings.Repeat("The quick brown fox doesn't jump over 13 lazy dogs; func main() { return x[i] + 1 }\n", 200)
	for _, name := range []string{"gpt2", "smollm", "llama3", "qwen2", "llama2", "bert", "words", "gemma", "roberta", "t5", "t5_nfkc", "unigram_bytes"} {
		b.Run(name, func(b *testing.B) {
			tok := load(b, name)
			tokens := 0
			for b.Loop() {
				ids, err := tok.Encode(text, false)
				if err != nil {
					b.Fatal(err)
				}
				tokens += len(ids)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(tokens), "ns/token")
		})
	}
}
