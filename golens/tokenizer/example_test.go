package tokenizer_test

import (
	"fmt"

	sugarme "github.com/sugarme/tokenizer"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
)

// small is a tokenizer.json of the byte-level kind with a handful of merges.
const small = `{"version":"1.0",
	"added_tokens":[{"id":0,"content":"<s>","special":true}],
	"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
	"post_processor":{"type":"TemplateProcessing",
		"single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
		"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
		"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}},
	"decoder":{"type":"ByteLevel"},
	"model":{"type":"BPE","vocab":{"<s>":0,"h":1,"i":2,"Ġ":3,"hi":4,"Ġhi":5},"merges":["h i","Ġ hi"]}}`

func Example() {
	t, err := tokenizer.FromBytes([]byte(small))
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, err := t.Encode("hi hi", true)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := t.Decode(ids, true)
	fmt.Println(ids, text, err)
	// Output: [0 4 5] hi hi <nil>
}

func ExampleTokenizer_EncodeText() {
	t, err := tokenizer.FromBytes([]byte(small))
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := t.EncodeText("hi hi", tokenizer.Options{
		AddSpecial: true,
		Padding:    &tokenizer.Padding{Length: 4, ID: 0, Token: "<s>"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Tokens, e.Offsets, e.AttentionMask)
	// Output: [<s> hi Ġhi <s>] [[0 0] [0 2] [2 5] [0 0]] [1 1 1 0]
}

func ExampleFromBytes_unsupported() {
	_, err := tokenizer.FromBytes([]byte(`{"model":{"type":"Words"}}`))
	fmt.Println(err)
	// Output: tokenizer: model "Words": not supported (known: BPE, Unigram, WordLevel, WordPiece)
}

// A program that is written to the interfaces of github.com/sugarme/tokenizer gets these components behind them.
func ExampleTokenizer_SugarmeModel() {
	t, err := tokenizer.FromBytes([]byte(small))
	if err != nil {
		fmt.Println(err)
		return
	}
	theirs := sugarme.NewTokenizer(t.SugarmeModel())
	theirs.WithPreTokenizer(t.SugarmePreTokenizer())
	theirs.WithDecoder(t.SugarmeDecoder())
	e, err := theirs.EncodeSingle("hi hi")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Ids, theirs.Decode(e.Ids, false))
	// Output: [4 5] hi hi
}
