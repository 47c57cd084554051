// This file registers families and finds one by the architecture that a config names.

package arch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// ErrUnknownArchitecture is wrapped by Lookup's error.
var ErrUnknownArchitecture = errors.New("unknown architecture")

// Family is what one file of this package registers.
type Family struct {
	Name          string
	Architectures []string // class names in config.json's "architectures"
	ModelTypes    []string // config.json's "model_type", which counts where both are known

	build func(r *reader) (*Spec, error)
}

var families = map[string]Family{} // by architecture

// Register makes a family known. Two families with one architecture are a mistake in the program.
func Register(f Family) {
	for _, name := range f.Architectures {
		if other, ok := families[name]; ok {
			panic(fmt.Sprintf("arch: %s is registered by %s and by %s", name, other.Name, f.Name))
		}
		families[name] = f
	}
}

// Architectures lists every known architecture, sorted.
func Architectures() []string {
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Lookup finds the family of an architecture. An unknown one is ErrUnknownArchitecture, with the known names.
func Lookup(architecture string) (Family, error) {
	if f, ok := families[architecture]; ok {
		return f, nil
	}
	text := fmt.Sprintf("%q", clip(architecture))
	if near := nearest(architecture, Architectures()); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return Family{}, fmt.Errorf("%w: %s; this version has %s", ErrUnknownArchitecture, text,
		strings.Join(Architectures(), ", "))
}

// Transposed says of a tensor (by Hugging Face's name) whether the checkpoint at hand holds it transposed: GGUF files
// have GPT-2's [in, out] weights as [out, in]. Nil: none is.
type Transposed func(tensor string) bool

// Checkpoint is what is known of the weights before a Spec is made. Sizes that a config claims are held against them, so
// that nothing is made for layers that do not exist.
type Checkpoint struct {
	Transposed Transposed
	Shapes     map[string][]int // by the checkpoint's names; nil: not known
}

// unseen bounds layers and heads where there is no checkpoint to compare with.
const unseen = 1 << 14

func (c Checkpoint) mostLayers() int {
	if c.Shapes == nil {
		return unseen
	}
	return len(c.Shapes)
}

func (c Checkpoint) longestSide() int {
	if c.Shapes == nil {
		return unseen
	}
	longest := 0
	for _, shape := range c.Shapes {
		for _, side := range shape {
			longest = max(longest, side)
		}
	}
	return longest
}

// FromHF makes the Spec of a Hugging Face config.json.
func FromHF(hf map[string]any, c Checkpoint) (*Spec, error) {
	f, architecture, err := familyOf(hf)
	if err != nil {
		return nil, err
	}
	r := newReader(f.Name, architecture, hf, c)
	s, err := f.build(r)
	var ignored []string
	if err == nil {
		ignored, err = r.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("%s config: %w", architecture, err)
	}
	s.Family, s.Architecture, s.Ignored = f.Name, architecture, ignored
	s.Config.Architecture = &architecture
	if other, ok := families[named(hf)]; ok && other.Name != f.Name {
		s.Warnings = append(s.Warnings, fmt.Sprintf("\"architectures\" says %s, but \"model_type\" %v: loaded as %s, as transformers "+
			"does (hf_config_overrides={\"model_type\": %q} would load the other)", named(hf), hf["model_type"], architecture, other.ModelTypes[0]))
	}
	if len(ignored) > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s config: ignored %s: transformers (%s) never reads such keys, so they change no number",
			architecture, strings.Join(clipped(ignored), ", "), keys().Transformers))
	}
	if err := s.Config.Derive(); err != nil {
		return nil, err
	}
	return s, s.Config.Validate()
}

// familyOf finds what a config describes, as transformers does: by "model_type"; by "architectures" where that names no
// family. The architecture is the one that is named, or else the family's first: a base model or one with another head
// is loaded as a language model.
func familyOf(hf map[string]any) (Family, string, error) {
	names, err := architectureNames(hf["architectures"])
	if err != nil {
		return Family{}, "", err
	}
	modelType, ok := hf["model_type"].(string)
	if !ok && hf["model_type"] != nil {
		return Family{}, "", &valueError{fmt.Errorf("config: model_type: got %s, expected a string", pyjson.Show(hf["model_type"]))}
	}
	for _, known := range Architectures() {
		f := families[known]
		if !slices.Contains(f.ModelTypes, modelType) {
			continue
		}
		for _, name := range names {
			if slices.Contains(f.Architectures, name) {
				return f, name, nil
			}
		}
		return f, f.Architectures[0], nil
	}
	if len(names) > 0 {
		f, err := Lookup(names[0])
		return f, names[0], err
	}
	return Family{}, "", fmt.Errorf("%w: the config has neither \"architectures\" nor a known \"model_type\" (model_type is %q); "+
		"this version has %s", ErrUnknownArchitecture, clip(modelType), strings.Join(Architectures(), ", "))
}

// named is the first of a config's "architectures".
func named(hf map[string]any) string {
	names, err := architectureNames(hf["architectures"])
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0]
}

// architectureNames reads config.json's "architectures".
func architectureNames(value any) ([]string, error) {
	switch list := value.(type) {
	case nil:
		return nil, nil
	case []string:
		return list, nil
	case []any:
		names := make([]string, 0, len(list))
		for _, one := range list {
			if name, ok := one.(string); ok {
				names = append(names, name)
			}
		}
		if len(names) == len(list) {
			return names, nil
		}
	}
	return nil, &valueError{fmt.Errorf("config: architectures: got %s, expected a list of names", pyjson.Show(value))}
}

// nearest gives the name that an unknown one is likely a slip of: at most two letters apart, with the same digits, and
// not the name of another model of transformers (MixtralForCausalLM is one letter from MistralForCausalLM).
func nearest(name string, known []string) string {
	if has(keys().Architectures, name) || len(name) > 100 {
		return ""
	}
	best, at := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < at && digits(name) == digits(k) {
			best, at = k, d
		}
	}
	return best
}

func digits(name string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, name)
}

// clipped is all names, the first hundred of them where there are more.
func clipped(names []string) []string {
	const most = 100
	out := make([]string, 0, min(len(names), most+1))
	for _, name := range names[:min(len(names), most)] {
		out = append(out, clip(name))
	}
	if more := len(names) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return out
}

// clip keeps error messages readable when a config's strings are not.
func clip(s string) string {
	if len(s) <= 120 {
		return s
	}
	return s[:120] + "…"
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
