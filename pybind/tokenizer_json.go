// Tokenizers written as tokenizer.json.
package pybind

import "github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"

// TokenizerJSON is the text of a tokenizer.json of the tokenizer, with the truncation and the padding that limits (JSON
// {"Truncation", "Padding"}, null for none) says.
func TokenizerJSON(h int64, limits string) (out string, err error) {
	defer guard(&err)
	t, err := tokenizers.get(h)
	if err != nil {
		return "", err
	}
	var o tokenizer.Options
	if err := decode(limits, &o); err != nil {
		return "", err
	}
	text, err := t.JSON(o.Truncation, o.Padding)
	if err != nil {
		return "", asValueError(err)
	}
	return string(text), nil
}
