// Positions of native models: a table, or rotary ones with the settings of cfg.rope_scaling. Upstream turns
// neighbouring elements, whatever rotary_adjacent_pairs says, and has no component for it.

package arch

import (
	"maps"
	"math"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

func nativePositions(s *Spec) error {
	c := s.Config
	kind := strings.ToLower(c.PositionalEmbeddingType)
	switch kind {
	case "", "standard":
		s.Position = Position{Kind: Learned, PerRow: true}
		return nil
	case "rotary":
	default:
		return nativeError(config.ValueError, "positional_embedding_type", "got %q, expected \"standard\" or \"rotary\"", c.PositionalEmbeddingType)
	}
	dim := c.DHead
	if c.RotaryDim != nil {
		dim = *c.RotaryDim
	}
	if dim <= 0 || dim%2 != 0 || dim > c.DHead {
		return nativeError(config.ValueError, "rotary_dim", "got %d, expected an even number from 2 to d_head (%d)", dim, c.DHead)
	}
	if c.RotaryBase <= 0 {
		return nativeError(config.ValueError, "rotary_base", "got %d, expected a positive number", c.RotaryBase)
	}
	s.Position = Position{Kind: Rotary, Base: float64(c.RotaryBase), Dim: dim, AdjacentPairs: true, AttentionScaling: 1, Bare: true}
	return s.Position.scale(c.Extra["rope_scaling"])
}

// scale fills in the frequencies: plain, or as rope_scaling asks: linear, dynamic (ntk) or llama3.
func (p *Position) scale(given any) error {
	plain := func(base float64) []float32 { return reciprocals(ropePeriods(base, p.Dim)) }
	p.InvFreq = plain(p.Base)
	settings, ok := given.(map[string]any)
	if !ok {
		if given != nil {
			return nativeError(config.TypeError, "rope_scaling", "got %s, expected a dict or None", pyjson.Show(given))
		}
		return nil
	}
	kind, _ := settings["rope_type"].(string)
	if kind == "" {
		kind, _ = settings["type"].(string)
	}
	kind = strings.ToLower(kind)
	r := &ropeReader{reader: newReader("native", NativeArchitecture, map[string]any{}, Checkpoint{}), settings: maps.Clone(settings), dim: p.Dim}
	factor := r.number("factor", 1)
	if kind == "" || kind == "default" || factor <= 1 {
		return r.err
	}
	switch kind {
	case "linear":
		p.Divisor = float32(factor)
	case "dynamic", "ntk":
		if p.Dim == 2 {
			return nativeError(config.ValueError, "rope_scaling", "%q needs a rotary_dim above 2", kind)
		}
		p.Base *= math.Pow(factor, float64(p.Dim)/float64(p.Dim-2))
		p.InvFreq = plain(p.Base)
	case "llama3":
		setDefault(r.settings, "low_freq_factor", 1.0)
		setDefault(r.settings, "high_freq_factor", 4.0)
		setDefault(r.settings, "original_max_position_embeddings", r.settings["original_context_length"])
		setDefault(r.settings, "original_max_position_embeddings", 8192)
		p.InvFreq = r.llama3(p.InvFreq)
	default:
		return nativeError("NotImplementedError", "rope_scaling", "type %q is not supported, expected linear, dynamic, ntk or llama3", kind)
	}
	return r.err
}
