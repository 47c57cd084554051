// This file turns a config's rotary settings into inverse frequencies, in the order of float32 operations that
// transformers uses, so that the bits are the same. Formulas: transformers, modeling_rope_utils. Conversions to a
// type that a value already has keep the compiler from fusing a product into a sum (it would on arm64).

package arch

import (
	"maps"
	"math"
	"slices"
)

// rope reads rotary settings in both spellings: rope_parameters (transformers 5), and rope_theta with rope_scaling.
// It gives the position part of the Spec, and the settings in the spelling of transformers 5 for the user's cfg.
func (r *reader) rope(headDim, positions int) (Position, map[string]any) {
	settings, from := map[string]any{}, "rope_parameters"
	maps.Copy(settings, r.object(from))
	if scaling := r.object("rope_scaling"); len(scaling) > 0 {
		settings, from = maps.Clone(scaling), "rope_scaling"
	}
	theta, _ := r.raw("rope_theta")
	if theta == nil {
		theta = 10000.0
	}
	setDefault(settings, "rope_theta", theta)
	kind, ok := settings["rope_type"]
	if !ok {
		if kind, ok = settings["type"]; !ok {
			kind = "default"
		}
		settings["rope_type"] = kind
	}
	if original, _ := r.raw("original_max_position_embeddings"); original != nil {
		settings["original_max_position_embeddings"] = original
	} else if kind == "llama3" || kind == "yarn" {
		setDefault(settings, "original_max_position_embeddings", positions)
	}
	if partial, _ := r.raw("partial_rotary_factor"); partial != nil {
		setDefault(settings, "partial_rotary_factor", partial)
	}
	p := &ropeReader{reader: r, from: from, settings: settings, dim: headDim, positions: positions}
	return p.position(), settings
}

func setDefault(m map[string]any, key string, value any) {
	if m[key] == nil {
		m[key] = value
	}
}

// ropeReader reads one flat object of rotary settings.
type ropeReader struct {
	*reader
	from      string // the key that holds them
	settings  map[string]any
	dim       int
	positions int
}

// ropeKeys are the settings that each kind reads, besides those of every kind.
var ropeKeys = map[string][]string{
	"default": {},
	"linear":  {"factor"},
	"llama3":  {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
	"yarn": {"factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate",
		"original_max_position_embeddings"},
}

func (p *ropeReader) position() Position {
	kind, _ := p.settings["rope_type"].(string)
	own, ok := ropeKeys[kind]
	switch {
	case !ok:
		p.fail("rope_type", "got %v, which is not supported; supported are default, linear, llama3 and yarn "+
			"(hf_config_overrides={\"rope_scaling\": None, \"rope_parameters\": None} drops the scaling)", p.settings["rope_type"])
		return Position{}
	case p.dim%2 != 0:
		p.fail("head_dim", "got %d, expected an even number for rotary positions", p.dim)
		return Position{}
	}
	if !p.understood(kind, own) {
		return Position{}
	}
	if f := p.number("partial_rotary_factor", 1); f != 1 {
		p.fail("partial_rotary_factor", "got %v, expected 1: %s turns whole heads", f, p.architecture)
	}
	base := p.number("rope_theta", 10000)
	if !(base > 0) || math.IsInf(base, 0) {
		p.fail("rope_theta", "got %v, expected a positive number", base)
		return Position{}
	}
	out := Position{Kind: Rotary, Base: base, Dim: p.dim, AttentionScaling: 1}
	periods := ropePeriods(base, p.dim)
	switch kind {
	case "default":
		out.InvFreq = reciprocals(periods)
	case "linear":
		out.InvFreq = scaled(reciprocals(periods), p.positive("factor"))
	case "llama3":
		out.InvFreq = p.llama3(reciprocals(periods))
	case "yarn":
		out.InvFreq, out.AttentionScaling = p.yarn(base, periods)
	}
	return out
}

// understood looks for settings that this kind does not have. What transformers never reads is ignored: files keep the
// settings of other kinds, and notes ("finetuned").
func (p *ropeReader) understood(kind string, own []string) bool {
	for _, key := range slices.Sorted(maps.Keys(p.settings)) {
		switch value := p.settings[key].(type) {
		case nil:
			continue
		case map[string]any:
			p.fail(p.from+"."+key, "got %v; settings by kind of layer are not supported", value)
			return false
		}
		// transformers fills original_max_position_embeddings in for any kind; only some read it
		if slices.Contains(own, key) || slices.Contains(commonRopeKeys, key) {
			continue
		}
		if keys().ropeReads(kind, key) {
			p.fail(p.from, "%q is not known for rope_type %q", key, kind)
			return false
		}
		p.ignored = append(p.ignored, p.from+"."+key)
	}
	return true
}

// commonRopeKeys are the settings of every kind.
var commonRopeKeys = []string{"rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"}

// number reads one setting.
func (p *ropeReader) number(key string, standard float64) float64 {
	value := p.settings[key]
	if value == nil {
		return standard
	}
	f, ok := asFloat(value)
	if !ok {
		p.fail(key, "got %v, expected a number", value)
	}
	return f
}

// positive reads a setting that must be there and above zero.
func (p *ropeReader) positive(key string) float64 {
	if p.settings[key] == nil {
		p.fail(key, "missing; rope_type %v needs it", p.settings["rope_type"])
		return 1
	}
	f := p.number(key, 1)
	if !(f > 0) || math.IsInf(f, 0) {
		p.fail(key, "got %v, expected a positive number", p.settings[key])
		return 1
	}
	return f
}

// ropePeriods is base^(2i/dim) for each pair i.
func ropePeriods(base float64, dim int) []float32 {
	exponents := make([]float32, dim/2)
	for i := range exponents {
		exponents[i] = float32(2*i) / float32(dim)
	}
	return powers(float32(base), exponents)
}

func reciprocals(values []float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = 1 / v
	}
	return out
}

// scaled divides every frequency.
func scaled(frequencies []float32, factor float64) []float32 {
	for i := range frequencies {
		frequencies[i] /= float32(factor)
	}
	return frequencies
}

// llama3 keeps high frequencies, divides low ones, and blends in between. A number divided by a tensor is, in torch,
// the tensor's reciprocal times the number, which is why wavelengths are rounded twice.
func (p *ropeReader) llama3(frequencies []float32) []float32 {
	factor, low := float32(p.positive("factor")), p.positive("low_freq_factor")
	high, old := p.positive("high_freq_factor"), p.positive("original_max_position_embeddings")
	if high == low {
		p.fail("high_freq_factor", "got %v, expected another value than low_freq_factor", high)
		return nil
	}
	longest, shortest := float32(old/low), float32(old/high)
	out := make([]float32, len(frequencies))
	for i, f := range frequencies {
		wavelength := float32(1/f) * float32(2*math.Pi)
		v := f
		if wavelength > longest {
			v = f / factor
		}
		if !(wavelength < shortest) && !(wavelength > longest) {
			smooth := (float32(float32(1/wavelength)*float32(old)) - float32(low)) / float32(high-low)
			kept := float32(smooth * v)
			v = float32(float32(float32(1-smooth)*v)/factor) + kept
		}
		out[i] = v
	}
	return out
}

// yarn blends scaled and unscaled frequencies along a ramp, and scales cos and sin.
func (p *ropeReader) yarn(base float64, periods []float32) ([]float32, float32) {
	original := p.positive("original_max_position_embeddings")
	if _, ok := p.settings["factor"]; !ok { // null, in transformers, is the ratio of the lengths; absence is an error
		p.positive("factor")
	}
	factor := p.number("factor", float64(p.positions)/original)
	slowest, fastest := orElse(p.number("beta_slow", 1), 1), orElse(p.number("beta_fast", 32), 32)
	dim := float64(p.dim)
	// the (fractional) pair that turns so many times over the original length
	turning := func(rotations float64) float64 {
		return (dim * math.Log(original/(rotations*2*math.Pi))) / (2 * math.Log(base))
	}
	low, high := turning(fastest), turning(slowest)
	if truncate, ok := p.settings["truncate"].(bool); !ok || truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	out := make([]float32, len(periods))
	for i, period := range periods {
		ramp := min(max((float32(i)-float32(low))/float32(high-low), 0), 1)
		unscaled := 1 - ramp
		interpolated := float32(float32(1/float32(float32(factor)*period)) * float32(1-unscaled))
		out[i] = interpolated + float32(float32(1/period)*unscaled)
	}
	return out, float32(p.yarnAttention(factor))
}

func (p *ropeReader) yarnAttention(factor float64) float64 {
	if p.settings["attention_factor"] != nil {
		return p.positive("attention_factor")
	}
	scale := func(m float64) float64 {
		if factor <= 1 {
			return 1
		}
		return float64(0.1*m*math.Log(factor)) + 1
	}
	if m, all := p.number("mscale", 0), p.number("mscale_all_dim", 0); m != 0 && all != 0 {
		return scale(m) / scale(all)
	}
	return scale(1)
}

// orElse replaces 0, as Python's "or" does.
func orElse(value, other float64) float64 {
	if value == 0 {
		return other
	}
	return value
}
