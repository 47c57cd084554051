// The regular expressions that byte-level tokenizers cut text with, under the names that GGUF files
// give them in tokenizer.ggml.pre. The expressions are facts about the trained vocabularies; what the
// names mean is llama.cpp's to say, whose converter writes them.

package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
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

// ggufPre is what a value of tokenizer.ggml.pre stands for.
type ggufPre struct {
	split  string // the pattern; "" is GPT-2's, which ByteLevel has built in
	digits bool   // every digit is cut off first, so that the pattern never sees a space in front of one
	// whole has a word that is a token stay whole, whatever its merges say, and bos puts BOS in front of
	// texts where the file does not say.
	whole, bos bool
}

// Kinds of pre-tokenizers that go by several names.
var (
	preGPT2    = ggufPre{}
	preDigits  = ggufPre{digits: true}
	preLlama3  = ggufPre{split: splitLlama3, whole: true, bos: true}
	preChatGLM = ggufPre{split: splitLlama3}
	preQwen2   = ggufPre{split: splitQwen2}
	preGPT4o   = ggufPre{split: splitGPT4o}
)

// ggufPres are the kinds by name. A file that names none, or "default", is read as GPT-2's, as transformers
// does; llama.cpp cuts such text with a pattern of its own that no model was trained with.
var ggufPres = map[string]ggufPre{
	"": preGPT2, "default": preGPT2, "gpt-2": preGPT2, "gpt2": preGPT2, "phi-2": preGPT2, "mpt": preGPT2, "olmo": preGPT2, "jais": preGPT2,
	"trillion": preGPT2, "granite-docling": preGPT2, "exaone4": preGPT2, "gigachat": preGPT2, "a.x-4.0": preGPT2, "mellum": preGPT2,

	"smollm": preDigits, "starcoder": preDigits, "refact": preDigits, "command-r": preDigits, "codeshell": preDigits, "exaone": preDigits,
	"minerva-7b": preDigits, "mellum2": preDigits,

	"llama3": preLlama3, "llama-v3": preLlama3, "llama-bpe": preLlama3, "falcon3": preLlama3, "falcon-h1": preLlama3, "pixtral": preLlama3,
	"midm-2.0": preLlama3, "lfm2": preLlama3, "jina-v5-nano": preLlama3,

	"dbrx": preChatGLM, "smaug-bpe": preChatGLM, "chatglm-bpe": preChatGLM, "glm4": preChatGLM,

	"qwen2": preQwen2, "deepseek-r1-qwen": preQwen2, "kormo": preQwen2, "f2llmv2": preQwen2, "megrez": preQwen2, "stablelm2": preQwen2,
	"hunyuan": preQwen2, "solar-open": preQwen2, "grok-2": preQwen2,

	"qwen35": {split: splitQwen35},

	"tekken": {split: splitTekken, whole: true, bos: true},

	"gpt-4o": preGPT4o, "llama4": preGPT4o, "kanana2": preGPT4o, "talkie": preGPT4o, "minimax-m2": preGPT4o,
}

// ggufPreOf is what a value of tokenizer.ggml.pre stands for.
func ggufPreOf(name string) (ggufPre, error) {
	pre, ok := ggufPres[name]
	if !ok {
		known := slices.Sorted(maps.Keys(ggufPres))
		return ggufPre{}, fmt.Errorf("tokenizer: tokenizer.ggml.pre %s: %w (known: %s)", jsontext.Quote(name), ErrUnsupported, strings.Join(known[1:], ", "))
	}
	return pre, nil
}

// component is the pre-tokenizer.
func (p ggufPre) component() component {
	if p.digits {
		return sequence(preTokenizersOf, component{"type": "Digits", "individual_digits": true}, byteLevelSplit(p.split, false))
	}
	return byteLevelSplit(p.split, false)
}
