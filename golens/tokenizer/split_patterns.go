// The regular expressions that byte-level tokenizers cut text with, under the names that GGUF files
// give them in tokenizer.ggml.pre. The expressions are facts about the trained vocabularies; the
// assignment of names follows what transformers does when it reads a GGUF file.

package tokenizer

import (
	"fmt"
	"sort"
	"strings"
)

const (
	contractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	upperWord    = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	lowerWord    = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	spaces       = `\s*[\r\n]+|\s+(?!\S)|\s+`

	splitGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	splitLlama3 = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|` + spaces
	splitQwen2  = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|` + spaces
	splitQwen35 = contractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|` + spaces
	splitTekken = upperWord + `|` + lowerWord + `|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|` + spaces
	splitGPT4o  = upperWord + contractions + `?|` + lowerWord + contractions + `?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|` + spaces
)

// ggufSplits maps tokenizer.ggml.pre to its pattern; "" is GPT-2's, which ByteLevel has built in.
// SmolLM2 is among those: its own tokenizer.json also cuts digits apart, but its GGUF, as
// transformers reads it, does not, and this package gives what transformers gives for the same file.
var ggufSplits = map[string]string{
	"":        "",
	"default": "",
	"gpt-2":   "",
	"gpt2":    "",
	"smollm":  "",
	"phi-2":   "",
	"mpt":     "",
	"olmo":    "",

	"llama3":       splitLlama3,
	"llama-v3":     splitLlama3,
	"llama-bpe":    splitLlama3,
	"falcon3":      splitLlama3,
	"falcon-h1":    splitLlama3,
	"pixtral":      splitLlama3,
	"midm-2.0":     splitLlama3,
	"lfm2":         splitLlama3,
	"jina-v5-nano": splitLlama3,
	"dbrx":         splitLlama3,
	"smaug-bpe":    splitLlama3,

	"qwen2":            splitQwen2,
	"deepseek-r1-qwen": splitQwen2,
	"kormo":            splitQwen2,
	"f2llmv2":          splitQwen2,
	"megrez":           splitQwen2,

	"qwen35": splitQwen35,

	"tekken": splitTekken,

	"gpt-4o":     splitGPT4o,
	"llama4":     splitGPT4o,
	"kanana2":    splitGPT4o,
	"talkie":     splitGPT4o,
	"minimax-m2": splitGPT4o,
}

// ggufPreTokenizer is the pre-tokenizer for a value of tokenizer.ggml.pre.
func ggufPreTokenizer(pre string) (component, error) {
	split, ok := ggufSplits[pre]
	if !ok {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.pre %q: %w (known: %s)", pre, ErrUnsupported, strings.Join(knownPres(), ", "))
	}
	return byteLevelSplit(split, false), nil
}

func knownPres() []string {
	var names []string
	for name := range ggufSplits {
		if name != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}
