// Package arch knows model families: from a Hugging Face config.json (as a map) it makes a Spec, which says everything
// that the model builder must know and nothing about how it is computed. One file a family (gpt2.go, llama.go, ...)
// registers it; adding a family touches no other file. The package reads no files and holds no weights.
//
// spec.go has the types of a Spec; registry.go finds families; reader.go reads configs and refuses unknown keys;
// rope.go makes rotary frequencies; tree.go and assemble.go make the component tree and the map of weights.
package arch

import (
	"fmt"
	"math"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
)

// Spec is a whole model in words. The numbers depend on nothing else but the weights.
type Spec struct {
	Family       string // "gpt2", "llama", ...
	Architecture string // as in config.json: "LlamaForCausalLM"

	NLayers, DModel, NHeads, NKVHeads, DHead, DMLP, DVocab, NCtx int

	DVocabOut    int  // of the unembedding; 0: DVocab
	LimitContext bool // sequences longer than NCtx are refused
	AttnOnly     bool // blocks have no MLP

	Norm      Norm
	Final     *Norm // the last norm, where it is of another kind
	Position  Position
	Attention Attention
	MLP       MLP

	TiedUnembed bool // the unembedding is the embedding's own matrix
	UnembedBias bool
	// OutputSoftCap bends the logits, behind the unembedding's hook points, to cap · tanh(logit / cap); 0: not.
	OutputSoftCap float64

	Ignored  []string // keys of the config that nothing reads, sorted
	Warnings []string // what a user should hear of, these among it, each a sentence

	Config  *config.Config // what the user sees, values as transformer_lens sets them
	Weights WeightMap      // where each parameter lies in the checkpoint
	Tree    Tree           // components, hook points, aliases, parameter views
}

// NormKind is the kind of normalisation before attention, before the MLP and at the end.
type NormKind uint8

// LayerNorm centres and scales; RMSNorm only scales; NoNorm leaves values as they are.
const (
	LayerNorm NormKind = iota
	RMSNorm
	NoNorm
)

// Norm describes every norm of the model.
type Norm struct {
	Kind NormKind
	Eps  float64
	Bias bool
	// Plain norms have neither weight nor bias.
	Plain bool
}

// FinalNorm describes the norm in front of the unembedding.
func (s *Spec) FinalNorm() Norm {
	if s.Final != nil {
		return *s.Final
	}
	return s.Norm
}

// PositionKind is how the model knows positions.
type PositionKind uint8

// Learned adds a row of a table to each embedding; Rotary rotates queries and keys.
const (
	Learned PositionKind = iota
	Rotary
)

// Position describes positions. Everything but Kind and PerRow belongs to Rotary.
type Position struct {
	Kind PositionKind
	// PerRow: pos_embed's hook_in has a row of positions for each sequence, not one for all.
	PerRow bool
	// Bare: there is no component for the tables, and no hook points on them or on what is turned.
	Bare bool
	Base float64 // rope_theta
	Dim  int     // how many elements of each head are turned
	// AdjacentPairs: element 2i is turned with 2i+1. Otherwise i with i+Dim/2 (as Hugging Face stores Llama).
	AdjacentPairs bool
	// InvFreq has Dim/2 frequencies with scaling applied, the bits that transformers computes. An angle is
	// float32(position) * InvFreq[i], rounded to float32.
	InvFreq []float32
	// Divisor divides positions before they are multiplied; 0: not.
	Divisor float32
	// AttentionScaling multiplies cos and sin after they are rounded to float32; 1 for most.
	AttentionScaling float32
}

// DivideFrequencies divides each frequency by a factor of its own: GGUF files of Llama 3 have such factors, as the
// tensor rope_freqs.weight, instead of settings in their metadata.
func (p *Position) DivideFrequencies(factors []float32) error {
	if p.Kind != Rotary || len(factors) != len(p.InvFreq) {
		return fmt.Errorf("rotary factors: got %d, expected %d (one for each frequency)", len(factors), len(p.InvFreq))
	}
	for i, factor := range factors {
		if !(factor > 0) {
			return fmt.Errorf("rotary factors: factor %d is %v, expected a positive number", i, factor)
		}
		p.InvFreq[i] /= factor
	}
	return nil
}

// Attention describes attention in every layer.
type Attention struct {
	// BaseScale multiplies the scores: 1/sqrt(d_head), or 1 where scores are not scaled.
	BaseScale float64
	// InverseLayer: layer l divides its scores by l+1 as well.
	InverseLayer bool
	// Windows has one entry a layer: a query sees itself and the Window-1 keys before it; 0 is no limit.
	Windows []int
	QKVBias bool
	OBias   bool
	// UpcastScores: scores and softmax are in float32 whatever the dtype.
	UpcastScores bool
	// Bidirectional: queries see keys behind them too.
	Bidirectional bool
	// SoftCap bends scores to SoftCap · tanh(score / SoftCap); 0: not.
	SoftCap float64
	// ZeroMasked: a query that sees no key attends to nothing, not equally to all.
	ZeroMasked bool
	// Unforked: there are no inputs and results by head, so use_attn_result and its kin cannot be set.
	Unforked bool
	// ScoresShowPattern: hook_attn_scores fires behind the attention's hook_out, and shows the pattern.
	ScoresShowPattern bool
}

// Scale is what layer multiplies its scores by, rounded as torch rounds a Python float.
func (a Attention) Scale(layer int) float64 {
	if a.InverseLayer {
		return a.BaseScale / float64(layer+1)
	}
	return a.BaseScale
}

// inverseSqrt is Python's n ** -0.5.
func inverseSqrt(n int) float64 { return math.Pow(float64(n), -0.5) }

// MLP describes the MLP in every layer: out(act(in(x))), or out(act(gate(x)) * in(x)).
type MLP struct {
	Gated bool
	Act   Activation
	Bias  bool
	Norm  bool // a LayerNorm of d_mlp behind the activation
}
