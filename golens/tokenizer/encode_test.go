package tokenizer

import (
	"reflect"
	"strings"
	"testing"
)

func TestBatches(t *testing.T) {
	tok := load(t, "bert")
	var batch []Input
	for i := range 100 {
		batch = append(batch, Input{Text: strings.Repeat("the water ", i)})
	}
	got, err := tok.EncodeBatch(batch, Options{AddSpecial: true, Padding: &Padding{ID: 0, Token: "[PAD]", MultipleOf: 8}})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got {
		alone, err := tok.Encode(batch[i].Text, true)
		if n := len(alone); err != nil || len(e.IDs)%8 != 0 || !equalIDs(e.IDs[:n], alone) || e.AttentionMask[n-1] != 1 || n < len(e.IDs) && e.AttentionMask[n] != 0 {
			t.Fatalf("text %d: %v, alone %v, %v", i, e.IDs, alone, err)
		}
	}
	ids := [][]int{got[3].IDs, {}, got[1].IDs}
	texts, err := tok.DecodeBatch(ids, true)
	if err != nil || !reflect.DeepEqual(texts, []string{"the water the water the water", "", "the water"}) {
		t.Errorf("%q, %v", texts, err)
	}
	if _, err := tok.DecodeBatch([][]int{{1}, {-1}}, true); err == nil || !strings.Contains(err.Error(), "text 1 of the batch") {
		t.Errorf("negative id: %v", err)
	}
	if none, err := tok.EncodeBatch(nil, Options{Padding: &Padding{}}); err != nil || len(none) != 0 {
		t.Errorf("no texts: %v, %v", none, err)
	}
	stored := tok.StoredTruncation()
	if stored == nil || stored.MaxLength != 40 || stored.Stride != 3 || tok.StoredPadding().MultipleOf != 8 || load(t, "gpt2").StoredPadding() != nil {
		t.Errorf("stored: %+v, %+v", stored, tok.StoredPadding())
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	tok := load(t, "bert")
	for says, o := range map[string]Options{
		"2 special tokens":  {AddSpecial: true, Truncation: &Truncation{MaxLength: 1}},
		"stride 3":          {Truncation: &Truncation{MaxLength: 3, Stride: 3}},
		"no second text":    {Truncation: &Truncation{MaxLength: 3, Strategy: OnlySecond}},
		"Sideways":          {Truncation: &Truncation{MaxLength: 3, Strategy: "Sideways"}},
		"side \"up\"":       {Truncation: &Truncation{MaxLength: 3, Side: "up"}},
		"no negative":       {Truncation: &Truncation{MaxLength: -1}},
		"padding side":      {Padding: &Padding{Side: "up"}},
		"padding to -1":     {Padding: &Padding{Length: -1}},
		"padding to 100000": {Padding: &Padding{Length: 1000000000}},
	} {
		if _, err := tok.EncodeText("the water the water the water", o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error saying %s", err, says)
		}
	}
	if e, err := tok.EncodeText("the water", Options{Truncation: &Truncation{KeepOverflow: true}}); err != nil || len(e.IDs) != 0 || len(e.Overflowing) != 1 {
		t.Errorf("to nothing: %+v, %v", e, err)
	}
}
