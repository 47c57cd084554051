// How a native model's weights are drawn: which parameter from which distribution, in which order. Whoever has a random
// generator (torch's, NumPy's, Go's) follows the recipe. Order and formulas are upstream's, so that torch's generator
// gives upstream's weights bit for bit: every operation here is one that Python does on floats, in its order.
//
// Sources: Xavier (Glorot and Bengio 2010), Kaiming (He et al. 2015, https://arxiv.org/abs/1502.01852), GPT-2 (Radford
// et al. 2019): weights that write to the residual stream are smaller by sqrt(2 n_layers).

package arch

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
)

// Draw says how to fill one parameter.
type Draw struct {
	Parameter string `json:"parameter"` // "blocks.0.attn.q.weight"
	// Kind is "normal" (mean A, standard deviation B), "uniform" (from A to B) or "constant" (A, without a draw).
	Kind string  `json:"kind"`
	A    float64 `json:"a"`
	B    float64 `json:"b"`
	// Factor multiplies what was drawn; 1 for most.
	Factor float64 `json:"factor"`
}

// InitModes are what init_mode may be.
var InitModes = []string{"gpt2", "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"}

// Initialization is the recipe under a configuration's init_mode and initializer_range: matrices are drawn, biases are
// 0, norms 1.
func (s *Spec) Initialization(c *config.Config) ([]Draw, error) {
	mode := strings.ToLower(c.InitMode)
	if mode == "" {
		mode = "gpt2"
	}
	if !slices.Contains(InitModes, mode) {
		return nil, nativeError("NotImplementedError", "init_mode", "got %q, expected one of %s", c.InitMode, strings.Join(InitModes, ", "))
	}
	recipe := make([]Draw, 0, len(s.Tree.StateDict))
	s.eachDrawn(func(parameter string, shape []int) {
		recipe = append(recipe, matrixDraw(mode, c, parameter, shape))
	})
	for _, parameter := range s.Tree.StateDict {
		if value, ok := s.standing(parameter); ok {
			recipe = append(recipe, Draw{Parameter: parameter, Kind: "constant", A: value, Factor: 1})
		}
	}
	return recipe, nil
}

// Construction is the recipe of modules as torch makes them, which a model with init_weights=False keeps: embeddings
// from the standard normal distribution, projections and their biases uniform within 1/sqrt(inputs).
func (s *Spec) Construction() []Draw {
	recipe := make([]Draw, 0, len(s.Tree.StateDict))
	s.eachDrawn(func(parameter string, shape []int) {
		if strings.HasSuffix(parameter, "embed.weight") && parameter != "unembed.weight" {
			recipe = append(recipe, Draw{Parameter: parameter, Kind: "normal", B: 1, Factor: 1})
			return
		}
		root := math.Sqrt(5)
		gain := math.Sqrt(2 / (1 + float64(root*root)))
		bound := math.Sqrt(3) * (gain / math.Sqrt(float64(shape[1])))
		recipe = append(recipe, Draw{Parameter: parameter, Kind: "uniform", A: -bound, B: bound, Factor: 1})
		bias := strings.TrimSuffix(parameter, "weight") + "bias"
		if parameter != "unembed.weight" && slices.Contains(s.Tree.StateDict, bias) {
			bound := 1 / math.Sqrt(float64(shape[1]))
			recipe = append(recipe, Draw{Parameter: bias, Kind: "uniform", A: -bound, B: bound, Factor: 1})
		}
	})
	for _, parameter := range s.Tree.StateDict {
		if value, ok := s.standing(parameter); ok && s.isNorm(parameter) {
			recipe = append(recipe, Draw{Parameter: parameter, Kind: "constant", A: value, Factor: 1})
		}
	}
	return recipe
}

// eachDrawn goes through the matrices in upstream's order, with their shapes [out, in] or [rows, width].
func (s *Spec) eachDrawn(visit func(parameter string, shape []int)) {
	give := func(component string) {
		if c, ok := s.Tree.Component(component); ok {
			weight, _ := c.View("weight")
			visit(component+".weight", weight.Slot.Shape)
		}
	}
	give("embed")
	give("pos_embed")
	for i := range s.NLayers {
		for _, part := range []string{"attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.in", "mlp.out"} {
			give(fmt.Sprintf("blocks.%d.%s", i, part))
		}
	}
	give("unembed")
}

func (s *Spec) isNorm(parameter string) bool {
	owner, _ := s.Tree.Component(parameter[:strings.LastIndex(parameter, ".")])
	return slices.Contains(classes[owner.Class].hooks, "hook_normalized")
}

// standing is the value of a parameter that is not drawn.
func (s *Spec) standing(parameter string) (float64, bool) {
	switch {
	case parameter == "unembed.bias": // no parameter: it stands for the absent one
		return 0, false
	case strings.HasSuffix(parameter, ".bias"):
		return 0, true
	}
	return 1, s.isNorm(parameter)
}

func matrixDraw(mode string, c *config.Config, parameter string, shape []int) Draw {
	d := Draw{Parameter: parameter, Factor: 1}
	spread := c.InitializerRange
	if mode == "gpt2" {
		if !(spread > 0) {
			spread = 0.8 / math.Sqrt(float64(c.DModel))
		}
		if strings.HasSuffix(parameter, ".attn.o.weight") || strings.HasSuffix(parameter, ".mlp.out.weight") {
			spread *= 1 / math.Sqrt(float64(2*c.NLayers))
		}
		d.Kind, d.B = "normal", spread
		return d
	}
	if !(spread > 0) {
		spread = 1
	}
	var deviation float64
	in, out := float64(shape[1]), float64(shape[0])
	if strings.HasPrefix(mode, "xavier") {
		deviation = spread * math.Sqrt(2/(in+out))
	} else {
		deviation = math.Sqrt(2) / math.Sqrt(in)
		d.Factor = spread
	}
	if strings.HasSuffix(mode, "_normal") {
		d.Kind, d.B = "normal", deviation
		return d
	}
	bound := math.Sqrt(3) * deviation
	d.Kind, d.A, d.B = "uniform", -bound, bound
	return d
}
