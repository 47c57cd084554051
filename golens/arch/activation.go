// This file maps Hugging Face's names of activation functions to the functions that the engine has.

package arch

import (
	"fmt"
	"sort"
	"strings"
)

// Activation names one function; several Hugging Face names may mean the same one.
type Activation string

// The activation functions. x is the input, e = 2.718..., Phi the normal distribution.
const (
	GELU      Activation = "gelu"       // x Phi(x), by erf
	GELUTanh  Activation = "gelu_tanh"  // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
	QuickGELU Activation = "quick_gelu" // x / (1 + e^(-1.702 x))
	SiLU      Activation = "silu"       // x / (1 + e^-x)
	ReLU      Activation = "relu"       // max(x, 0)
	ReLU2     Activation = "relu2"      // max(x, 0)^2
	Tanh      Activation = "tanh"
)

// activations has every name that transformers uses for one of ours. gelu_new, gelu_fast and gelu_pytorch_tanh are
// one formula written in three ways.
var activations = map[string]Activation{
	"gelu": GELU, "gelu_python": GELU,
	"gelu_new": GELUTanh, "gelu_fast": GELUTanh, "gelu_pytorch_tanh": GELUTanh, "gelu_python_tanh": GELUTanh,
	"gelu_accurate": GELUTanh,
	"quick_gelu":    QuickGELU,
	"silu":          SiLU, "swish": SiLU,
	"relu": ReLU, "relu2": ReLU2, "tanh": Tanh,
}

// LookupActivation finds the function that a Hugging Face name means.
func LookupActivation(name string) (Activation, error) {
	if act, ok := activations[name]; ok {
		return act, nil
	}
	known := make([]string, 0, len(activations))
	for n := range activations {
		known = append(known, n)
	}
	sort.Strings(known)
	return "", fmt.Errorf("activation function %q is not supported; supported are %s", name, strings.Join(known, ", "))
}
