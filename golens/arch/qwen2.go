// Qwen2 and Qwen2.5: Llama's shape with biases on q, k and v, and sliding windows in some layers.
// Source of the keys and defaults: transformers' Qwen2Config.

package arch

func init() {
	Register(Family{
		Name:          "qwen2",
		Architectures: []string{"Qwen2ForCausalLM"},
		ModelTypes:    []string{"qwen2"},
		build:         buildQwen2,
	})
}

func buildQwen2(r *reader) (*Spec, error) {
	s := llamaSpec(r, llamaSizes{vocab: 151936, hidden: 4096, mlp: 22016, layers: 32, heads: 32, kvHeads: 32, positions: 32768})
	s.Attention.QKVBias = true
	types := qwen2Windows(r, s)
	s, err := llamaFinish(r, s, map[string]any{"bos_token_id": nil, "eos_token_id": nil})
	if err != nil {
		return nil, err
	}
	s.Config.DefaultPrependBOS = false
	s.Config.Extra["layer_types"] = types
	return s, nil
}

// qwen2Windows sets each layer's window: by layer_types where given, else from layer max_window_layers on. It gives
// the layer types.
func qwen2Windows(r *reader, s *Spec) []string {
	window := r.optional("sliding_window", 4096)
	from := r.count(28, "max_window_layers")
	if !r.bool("use_sliding_window", false) {
		window = 0
	}
	types := r.strings("layer_types")
	if types == nil {
		types = make([]string, s.NLayers)
		for i := range types {
			types[i] = "full_attention"
			if window > 0 && i >= from {
				types[i] = "sliding_attention"
			}
		}
	}
	s.Attention.Windows = make([]int, s.NLayers)
	if len(types) != s.NLayers {
		r.fail("layer_types", "has %d entries, expected one for each of %d layers", len(types), s.NLayers)
		return types
	}
	for i, kind := range types {
		switch {
		case kind == "full_attention":
		case kind == "sliding_attention" && window > 0:
			s.Attention.Windows[i] = window
		case kind == "sliding_attention":
			r.fail("layer_types", "layer %d is sliding_attention, but use_sliding_window or sliding_window is off", i)
		default:
			r.fail("layer_types", "layer %d is %q, expected full_attention or sliding_attention", i, kind)
		}
	}
	return types
}
