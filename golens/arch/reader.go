// This file reads a config.json map key by key. Each key that a family reads is thereby known; keys that change no
// number are listed here. Of the others, those that transformers reads are an error, because ignoring them might change
// the numbers silently; those that it never looks at are ignored, with a warning.

package arch

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// ErrUnknownKey is wrapped by the error for a config key that a family does not know, ErrUnsupported by the one for a
// known key at a value that the engine cannot compute.
var (
	ErrUnknownKey  = errors.New("unknown config key")
	ErrValue       = errors.New("bad config value")
	ErrUnsupported = errors.New("unsupported config value")
)

// harmless are keys that never change the numbers of a forward pass in evaluation mode: identity, bookkeeping,
// storage, training, dropout, generation, other heads.
var harmless = []string{
	"_name_or_path", "name_or_path", "architectures", "model_type", "transformers_version", "auto_map",
	"tokenizer_class", "is_decoder", "is_encoder_decoder", "use_cache", "cache_implementation", "torchscript",
	"torch_dtype", "dtype", "return_dict", "return_dict_in_generate", "output_attentions", "output_hidden_states",
	"output_scores", "use_return_dict", "chunk_size_feed_forward", "gradient_checkpointing", "_attn_implementation",
	"_attn_implementation_autoset", "_attn_implementation_internal", "attn_implementation", "_experts_implementation",
	"_experts_implementation_internal", "use_bfloat16", "tf_legacy_loss", "tokenizer_file", "prefix",
	"base_model_tp_plan", "base_model_pp_plan", "_commit_hash", "transformers.js_config", "unsloth_version",
	"unsloth_fixed", "initializer_range", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
	"unk_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id",
	"attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "hidden_dropout", "hidden_dropout_prob",
	"summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
	"problem_type", "num_labels", "id2label", "label2id", "classifier_dropout", "finetuning_task",
	"task_specific_params", "max_length", "min_length", "do_sample", "temperature", "top_k", "top_p", "typical_p",
	"num_beams", "num_beam_groups", "diversity_penalty", "early_stopping", "length_penalty", "repetition_penalty",
	"no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
	"exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "remove_invalid_values",
	"predict_special_tokens", "is_llama_config", "max_sequence_length", "n_special", "_num_labels", "output_past",
	"initializer_factor", "init_std", "tie_last_hidden_states",
}

// neutral are keys that would change the numbers of a family that reads them, with the values at which they do not.
// (Null, which is to transformers the same as absence, is always accepted.)
var neutral = map[string][]any{
	"add_cross_attention": {false}, "tie_encoder_decoder": {false}, "pruned_heads": {map[string]any{}, []any{}},
	"pretraining_tp": {1}, "rope_interleaved": {false}, "attention_bias": {false}, "mlp_bias": {false},
	"use_sliding_window": {false}, "use_mrope": {false}, "qk_layernorm": {false}, "use_qk_norm": {false},
	"logit_scale": {1}, "partial_rotary_factor": {1}, "is_causal": {true},
	"quantization_config": {}, "cross_attention_hidden_size": {}, "sliding_window": {}, "attn_logit_softcapping": {},
	"final_logit_softcapping": {}, "rope_scaling": {}, "rope_parameters": {},
}

// reader hands out typed values of a config, remembers the keys that were asked for, and keeps the first error.
type reader struct {
	family, architecture string
	checkpoint           Checkpoint
	values               map[string]any
	known                map[string]bool
	ignored              []string // settings within a key that nothing reads
	err                  error
}

func newReader(family, architecture string, values map[string]any, c Checkpoint) *reader {
	plain := make(map[string]any, len(values))
	for key, value := range values {
		plain[key] = config.PlainNumbers(value)
	}
	return &reader{family: family, architecture: architecture, checkpoint: c, values: plain, known: map[string]bool{}}
}

// valueError marks an error about a key's value, whatever else it wraps.
type valueError struct{ error }

// Unwrap implements the errors package's way to several causes.
func (e *valueError) Unwrap() []error { return []error{e.error, ErrValue} }

// fail keeps the first error about a key's value. Values of a config are shown as its file has them.
func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		for i, arg := range args {
			switch v := arg.(type) {
			case nil, map[string]any, []any:
				args[i] = pyjson.Show(arg)
			case string:
				args[i] = quotable(v)
			}
		}
		r.err = &valueError{fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...))}
	}
}

// quotable is a string as an argument of an error: in quotes and cut where the verb is that of any value, so that "false" is
// told from false.
type quotable string

// Format implements fmt.Formatter.
func (s quotable) Format(f fmt.State, verb rune) {
	if verb == 'v' {
		fmt.Fprint(f, pyjson.Show(string(s)))
		return
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), string(s))
}

// raw gives a key's value; an absent key and a null one are told apart.
func (r *reader) raw(key string) (any, bool) {
	r.known[key] = true
	v, ok := r.values[key]
	return v, ok
}

// first gives the first of several names of one setting that is present and not null.
func (r *reader) first(keys ...string) (string, any) {
	name, value := keys[0], any(nil)
	for _, key := range keys {
		if v, ok := r.raw(key); ok && v != nil && value == nil {
			name, value = key, v
		}
	}
	return name, value
}

// size reads a positive integer that has several names, the first being the usual one.
func (r *reader) size(standard int, keys ...string) int {
	key, value := r.first(keys...)
	if value == nil {
		return standard
	}
	n, ok := asInt(value)
	if !ok || n < 1 || n > math.MaxInt32 {
		r.fail(key, "got %v, expected a positive integer below 2^31", value)
		return standard
	}
	return n
}

// length reads a number of positions, which no tensor needs to have.
func (r *reader) length(standard int, key string) int {
	value, _ := r.raw(key)
	if value == nil {
		return standard
	}
	n, ok := asInt(value)
	if !ok || n < 1 {
		r.fail(key, "got %v, expected a positive integer of 2^53 at most", value)
		return standard
	}
	return n
}

// layers reads the number of layers, each of which has tensors of its own.
func (r *reader) layers(standard int, keys ...string) int {
	n := r.count(standard, keys...)
	if most := r.checkpoint.mostLayers(); n > most {
		key, _ := r.first(keys...)
		r.fail(key, "got %d, but the checkpoint has only %d tensors", n, most)
		return 0
	}
	return n
}

// head checks the size of a head, which comes from the named key: tables are made of that size.
func (r *reader) head(size int, key string) {
	if most := r.checkpoint.longestSide(); r.err == nil && size > most {
		r.fail(key, "got heads of %d, but no tensor of the checkpoint has a side longer than %d", size, most)
	}
}

// count reads an integer of 0 or more.
func (r *reader) count(standard int, keys ...string) int {
	key, value := r.first(keys...)
	if value == nil {
		return standard
	}
	n, ok := asInt(value)
	if !ok || n < 0 {
		r.fail(key, "got %v, expected an integer from 0 to 2^53", value)
		return standard
	}
	return n
}

// optional reads a positive integer below 2^31 for which null (0 here) means something else than absence.
func (r *reader) optional(key string, standard int) int {
	value, present := r.raw(key)
	switch {
	case !present:
		return standard
	case value == nil:
		return 0
	}
	n, ok := asInt(value)
	if !ok || n < 1 || n > math.MaxInt32 {
		r.fail(key, "got %v, expected a positive integer below 2^31, or null", value)
		return standard
	}
	return n
}

func (r *reader) float(key string, standard float64) float64 {
	value, _ := r.raw(key)
	if value == nil {
		return standard
	}
	f, ok := asFloat(value)
	if !ok {
		r.fail(key, "got %v, expected a number", value)
		return standard
	}
	return f
}

func (r *reader) bool(key string, standard bool) bool {
	value, _ := r.raw(key)
	if value == nil {
		return standard
	}
	b, ok := value.(bool)
	if !ok {
		r.fail(key, "got %v, expected true or false", value)
		return standard
	}
	return b
}

func (r *reader) activation(key, standard string) (string, Activation) {
	name := standard
	if value, _ := r.raw(key); value != nil {
		s, ok := value.(string)
		if !ok {
			r.fail(key, "got %v, expected the name of an activation function", value)
			return standard, ""
		}
		name = s
	}
	act, err := LookupActivation(name)
	if err != nil {
		r.fail(key, "%w", err)
	}
	return name, act
}

// strings reads a list of strings; nil when absent or null.
func (r *reader) strings(key string) []string {
	value, _ := r.raw(key)
	if value == nil {
		return nil
	}
	if list, ok := value.([]string); ok {
		return list
	}
	list, ok := value.([]any)
	if !ok {
		r.fail(key, "got %v, expected a list of strings", value)
		return nil
	}
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			r.fail(key, "element %d is %v, expected a string", i, v)
			return nil
		}
		out[i] = s
	}
	return out
}

// object reads a JSON object; nil when absent or null.
func (r *reader) object(key string) map[string]any {
	value, _ := r.raw(key)
	if value == nil {
		return nil
	}
	m, ok := value.(map[string]any)
	if !ok {
		r.fail(key, "got %v, expected an object", value)
	}
	return m
}

// layerTypes checks the key of this name where the family's layers are all of one kind: "full_attention", or
// "sliding_attention" where there is a window.
func (r *reader) layerTypes(layers, window int) {
	types, only := r.strings("layer_types"), "full_attention"
	if types == nil {
		return
	}
	if window > 0 {
		only = "sliding_attention"
	}
	if len(types) != layers {
		r.fail("layer_types", "has %d entries, expected one for each of %d layers", len(types), layers)
	}
	for i, kind := range types {
		if kind != only && r.err == nil {
			r.err = fmt.Errorf("%w: layer_types: layer %d is %q, but every layer of this %s is %s", ErrUnsupported, i, kind,
				r.architecture, only)
		}
	}
}

// finish gives the names of the keys that were ignored, sorted; or the first error, or the error for keys that nobody
// asked for although they may matter.
func (r *reader) finish() ([]string, error) {
	if r.err != nil {
		return nil, r.err
	}
	ignored := r.ignored
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		value := r.values[key]
		if r.known[key] || value == nil || slices.Contains(harmless, key) {
			continue
		}
		accepted, ok := neutral[key]
		switch {
		case ok && slices.ContainsFunc(accepted, func(a any) bool { return sameValue(a, value) }):
		case !keys().reads(r.family, key):
			ignored = append(ignored, key)
		case !ok:
			unknown = append(unknown, key)
		default:
			only := "absent"
			if len(accepted) > 0 {
				only = pyjson.Show(accepted[0])
			}
			return nil, fmt.Errorf("%w: %s: got %s, but %s is supported only where it is %s", ErrUnsupported, key, pyjson.Show(value),
				r.architecture, only)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%w: %s has %s, which transformers reads and this version does not, so the numbers might "+
			"differ; if they do not, drop it with hf_config_overrides={%q: None}", ErrUnknownKey, r.architecture,
			some(unknown), unknown[0])
	}
	slices.Sort(ignored)
	return ignored, nil
}

// sameValue compares values of JSON, numbers by value.
func sameValue(a, b any) bool {
	x, okX := asFloat(a)
	y, okY := asFloat(b)
	if okX && okY {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

// asFloat takes any number that JSON, Python or Go hands over; never a bool.
func asFloat(value any) (float64, bool) {
	v := reflect.ValueOf(value)
	switch {
	case !v.IsValid():
		return 0, false
	case v.CanFloat():
		return v.Float(), true
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	}
	return 0, false
}

// asInt takes numbers without a fraction that an int holds exactly.
func asInt(value any) (int, bool) {
	f, ok := asFloat(value)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}
