// Mistral: Llama's shape with a sliding window in every layer.
// Source of the keys and defaults: transformers' MistralConfig.

package arch

func init() {
	Register(Family{
		Name:          "mistral",
		Architectures: []string{"MistralForCausalLM"},
		ModelTypes:    []string{"mistral"},
		build:         buildMistral,
	})
}

func buildMistral(r *reader) (*Spec, error) {
	s := llamaSpec(r, llamaSizes{vocab: 32000, hidden: 4096, mlp: 14336, layers: 32, heads: 32, kvHeads: 8, positions: 131072})
	s.Attention.Windows = make([]int, s.NLayers)
	window := r.optional("sliding_window", 4096)
	for i := range s.Attention.Windows {
		s.Attention.Windows[i] = window
	}
	r.layerTypes(s.NLayers, window)
	s, err := llamaFinish(r, s, map[string]any{"bos_token_id": 1, "eos_token_id": 2})
	if err != nil {
		return nil, err
	}
	s.Config.FinalRMS = false // as transformer_lens has it for this family
	return s, nil
}
