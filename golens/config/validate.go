// This file checks a Config: sizes that no model can have are errors before anything is built from them.

package config

import (
	"math"
	"slices"
	"strings"
)

// DTypes are the names that dtype may have.
var DTypes = []string{"float32", "float64", "float16", "bfloat16"}

// Validate checks the values. Its errors name the field, what it holds, and what it may hold.
func (c *Config) Validate() error {
	sizes := []struct {
		name  string
		value int
		least int
	}{
		{"d_model", c.DModel, 1}, {"d_head", c.DHead, 1}, {"n_heads", c.NHeads, 1},
		{"n_layers", c.NLayers, 0}, {"n_ctx", c.NCtx, 1}, {"n_devices", c.NDevices, 1},
	}
	for _, s := range sizes {
		if s.value < s.least {
			return valueError(s.name, "got %d, expected %d or more", s.value, s.least)
		}
	}
	if c.DVocab != -1 && c.DVocab < 1 {
		return valueError("d_vocab", "got %d, expected 1 or more (-1: taken from the tokenizer)", c.DVocab)
	}
	if c.DVocabOut != -1 && c.DVocabOut < 1 {
		return valueError("d_vocab_out", "got %d, expected 1 or more (-1: the same as d_vocab)", c.DVocabOut)
	}
	if c.DMLP != nil && *c.DMLP < 1 {
		return valueError("d_mlp", "got %d, expected 1 or more (None: 4 * d_model)", *c.DMLP)
	}
	if kv := c.NKeyValueHeads; kv != nil && (*kv < 1 || c.NHeads%*kv != 0) {
		return valueError("n_key_value_heads", "got %d, expected a divisor of n_heads (%d)", *kv, c.NHeads)
	}
	if !(c.Eps >= 0) || math.IsInf(c.Eps, 1) {
		return valueError("eps", "got %v, expected a finite number of 0 or more", c.Eps)
	}
	if !slices.Contains(DTypes, c.DType) {
		return valueError("dtype", "got %q, expected one of %s", c.DType, strings.Join(DTypes, ", "))
	}
	if c.AttentionDir != "causal" && c.AttentionDir != "bidirectional" {
		return valueError("attention_dir", "got %q, expected causal or bidirectional", c.AttentionDir)
	}
	if side := c.DefaultPaddingSide; side != nil && *side != "left" && *side != "right" {
		return valueError("default_padding_side", "got %q, expected left, right or None", *side)
	}
	return nil
}
