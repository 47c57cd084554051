// Reading a model's hyperparameters from GGUF metadata, and keeping count of which were read, so that one which
// would change the numbers is never passed over.
package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// required, as a fallback, makes a key's absence an error.
const required = -1

// ggufParams reads keys under the architecture's name. The first error stays.
type ggufParams struct {
	g    *GGUF
	arch string
	read map[string]bool
	err  error
}

func (p *ggufParams) key(name string) string {
	if p.read == nil {
		p.read = map[string]bool{}
	}
	p.read[name] = true
	return p.arch + "." + name
}

func (p *ggufParams) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

// absent settles a key that is not there; false means that it is.
func (p *ggufParams) absent(err error, fallback bool) bool {
	if err == nil {
		return false
	}
	if !fallback || !errors.Is(err, ErrNoKey) {
		p.note(err)
	}
	return true
}

// count is a whole number that may be zero.
func (p *ggufParams) count(name string, fallback int) int {
	key := p.key(name)
	n, err := p.g.Int(key)
	if one, ok := p.g.uniform(key); ok {
		n, err = one, nil
	}
	if p.absent(err, fallback != required) {
		return fallback
	}
	if n < 0 || n > math.MaxInt32 {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", key), fmt.Sprint(n), "a size from 0 to 2147483647"})
	}
	return int(n)
}

// size is a whole number above zero.
func (p *ggufParams) size(name string, fallback int) int {
	n := p.count(name, fallback)
	if n == 0 {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", p.key(name)), "0", "a size above 0"})
	}
	return n
}

// real is a finite number above zero; writers that know no floats give whole ones.
func (p *ggufParams) real(name string, fallback float64) float64 {
	key := p.key(name)
	v, err := p.g.Float(key)
	if n, whole := p.g.Int(key); whole == nil {
		v, err = float64(n), nil
	}
	if p.absent(err, fallback != required) {
		return fallback
	}
	if !(v > 0) || math.IsInf(v, 0) {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", key), fmt.Sprint(v), "a finite number above 0"})
	}
	return v
}

func (p *ggufParams) text(name string) string {
	v, err := p.g.String(p.key(name))
	p.absent(err, true)
	return v
}

func (p *ggufParams) has(name string) bool { return p.g.Has(p.key(name)) }

// unsupported notes something well formed that would change the numbers and that nothing here models.
func (p *ggufParams) unsupported(format string, args ...any) {
	p.note(fmt.Errorf("checkpoint: %s: GGUF architecture %q: %w: %s", p.g.path, p.arch, ErrUnsupported, fmt.Sprintf(format, args...)))
}

// neutralMeta are keys that change no number of these architectures at these values. (Where a factor is 0, llama.cpp
// takes it as not given.)
var neutralMeta = map[string][]float64{
	"attention.causal": {1}, "use_parallel_residual": {0}, "logit_scale": {1}, "residual_scale": {1}, "embedding_scale": {1},
	"rope.scaling.attn_factor": {1}, "rope.scaling.yarn_attn_factor": {1}, "rope.scaling.yarn_log_multiplier": {0},
	"rope.scaling.yarn_ext_factor": {-1}, "rope.scaling.factor": {0, 1}, "rope.scale_linear": {0, 1},
	"attn_logit_softcapping": {0}, "final_logit_softcapping": {0}, "attention.scale": {0}, "attention.max_alibi_bias": {0},
	"attention.clamp_kqv": {0}, "attention.sliding_window": {0}, "attention.q_lora_rank": {0}, "attention.kv_lora_rank": {0},
	"attention.relative_buckets_count": {0}, "expert_count": {0}, "expert_used_count": {0}, "expert_shared_count": {0},
	"leading_dense_block_count": {0}, "nextn_predict_layers": {0},
	"rope.scaling.finetuned": nil, "tensor_data_layout": nil, "pooling_type": nil,
}

// neutral says whether a key that was not read has a value that changes nothing; nil in the list is any value.
func (p *ggufParams) neutral(name string) bool {
	values, known := neutralMeta[name]
	if !known || values == nil {
		return known
	}
	n, ok := p.g.number(p.arch + "." + name)
	return ok && slices.Contains(values, n)
}

// unread notes the first key of the architecture that was neither read nor is known not to matter.
func (p *ggufParams) unread() {
	for _, key := range p.g.keys {
		name, ours := strings.CutPrefix(key, p.arch+".")
		if p.arch == "gpt2" && strings.HasPrefix(name, "rope.") {
			continue // it has learned positions
		}
		if ours && !p.read[name] && !p.neutral(name) {
			p.unsupported("metadata key %q, %s, may change the numbers and is not known", clip(key), describe(p.g.meta[key]))
		}
	}
}
