package tokenizer

import "testing"

// TestEncodingsLikeHuggingFace compares everything in the encodings of texts, and of batches of texts and pairs with
// truncation and padding, for every stored tokenizer.
func TestEncodingsLikeHuggingFace(t *testing.T) {
	var stored struct {
		Texts   []string
		Answers map[string][]fullAnswer
		Batches map[string][]batchAnswer
	}
	readJSON(t, readGzip(t, "encodings.json.gz"), &stored)
	for _, name := range storedKinds(t) {
		t.Run(name, func(t *testing.T) {
			tok := load(t, name)
			answers := stored.Answers[name]
			if len(answers) != len(stored.Texts) || len(answers) < 20 || len(stored.Batches[name]) < 2 {
				t.Fatalf("%d answers and %d batches for %d texts", len(answers), len(stored.Batches[name]), len(stored.Texts))
			}
			for i, text := range stored.Texts {
				e, err := tok.EncodeText(text, Options{AddSpecial: true})
				if got := asAnswer(e); err != nil || !sameAnswer(got, answers[i]) {
					t.Errorf("%q: %+v, %v\nwant %+v", text, got, err, answers[i])
				}
			}
			for _, batch := range stored.Batches[name] {
				checkBatch(t, tok, batch)
			}
		})
	}
}
