// This file fills in what every family's Config shares.

package arch

import "github.com/transformer-lens-go/transformer-lens-go/golens/config"

// baseConfig makes the Config that the user sees, from the sizes of a Spec.
func (s *Spec) baseConfig(r *reader, act string) *config.Config {
	c := config.New(s.DModel, s.DHead, s.NLayers, s.NCtx)
	c.NHeads, c.DVocab, c.DVocabOut, c.DMLP = s.NHeads, s.DVocab, s.DVocab, &s.DMLP
	if s.NKVHeads != s.NHeads {
		c.NKeyValueHeads = &s.NKVHeads
	}
	c.Eps, c.ActFn, c.TieWordEmbeddings = s.Norm.Eps, act, s.TiedUnembed
	c.GatedMLP, c.UsesRMSNorm = s.MLP.Gated, s.Norm.Kind == RMSNorm
	c.InitializerRange = r.float("initializer_range", 0.02)
	return c
}

// passThrough copies keys of the config.json that upstream's cfg has besides its own fields. standards are the
// values for absent keys; None is left out, as upstream does.
func passThrough(c *config.Config, r *reader, standards map[string]any) {
	for key, standard := range standards {
		value, present := r.raw(key)
		if !present {
			value = standard
		}
		if value != nil {
			c.Extra[key] = value
		}
	}
}
