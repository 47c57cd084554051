package tokenizer

import (
	"strings"
	"testing"
	"time"
)

// TestBeyondIsLinear has most tokens end behind their piece: the place of each must not be counted from the start.
func TestBeyondIsLinear(t *testing.T) {
	tok, err := FromBytes([]byte(`{"model":{"type":"BPE","byte_fallback":true,"continuing_subword_prefix":"##","merges":[],
		"vocab":{"<0xE6>":0,"<0xB1>":1,"<0x89>":2,"<0x23>":3}}}`))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e, err := tok.EncodeText(strings.Repeat("汉", 100_000), Options{})
	if err != nil || len(e.IDs) != 100_000*5-2 {
		t.Fatalf("%d tokens, %v", len(e.IDs), err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%d tokens took %v", len(e.IDs), took)
	}
}
