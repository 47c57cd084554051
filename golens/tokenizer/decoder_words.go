// The decoders of models that cut text into words: WordPiece, BPEDecoder (end-of-word suffixes) and
// CTC (speech models).

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

func init() {
	registerDecoder("WordPiece", func(raw json.RawMessage) (decoder, error) {
		var d wordPieceDecoder
		err := decoderFields(raw, map[string]any{"prefix": &d.prefix, "cleanup": &d.cleanup})
		return d, err
	})
	registerDecoder("BPEDecoder", func(raw json.RawMessage) (decoder, error) {
		var suffix string
		err := decoderFields(raw, map[string]any{"suffix": &suffix})
		return suffixDecoder(suffix), err
	})
	registerDecoder("CTC", func(raw json.RawMessage) (decoder, error) {
		var d ctcDecoder
		err := decoderFields(raw, map[string]any{"pad_token": &d.pad, "word_delimiter_token": &d.delimiter, "cleanup": &d.cleanup})
		return d, err
	})
}

// decoderFields reads members none of which may be missing.
func decoderFields(raw json.RawMessage, to map[string]any) error {
	fields, err := jsonFields(raw)
	if err != nil {
		return err
	}
	for key, value := range to {
		if isNull(fields[key]) {
			return fmt.Errorf("expected %s", jsontext.Quote(key))
		}
		if err := jsontext.Unmarshal(fields[key], value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// cleanupSteps undo, one after the other, what splitting at punctuation did to English.
var cleanupSteps = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

func cleanup(s string) string {
	if !strings.Contains(s, " ") {
		return s
	}
	for _, step := range cleanupSteps {
		s = strings.ReplaceAll(s, step[0], step[1])
	}
	return s
}

// wordPieceDecoder puts a space before every token that begins a word.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decodeChain(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		if i > 0 {
			if rest, ok := strings.CutPrefix(t, d.prefix); ok {
				t = rest
			} else {
				t = " " + t
			}
		}
		if d.cleanup {
			t = cleanup(t)
		}
		out[i] = t
	}
	return out, nil
}

// suffixDecoder makes a space of the suffix that marks the end of a word.
type suffixDecoder string

func (d suffixDecoder) decodeChain(tokens []string) ([]string, error) {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		with := " "
		if i == len(tokens)-1 {
			with = ""
		}
		out[i] = strings.ReplaceAll(t, string(d), with)
	}
	return out, nil
}

// ctcDecoder drops repetitions and padding (Graves et al. 2006, connectionist temporal classification).
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) decodeChain(tokens []string) ([]string, error) {
	var out []string
	for i, t := range tokens {
		if i > 0 && t == tokens[i-1] {
			continue
		}
		t = strings.ReplaceAll(t, d.pad, "")
		if d.cleanup {
			t = strings.ReplaceAll(cleanup(t), d.delimiter, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return out, nil
}
