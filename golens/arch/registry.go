// This file registers families and finds one by the architecture that a config names.

package arch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknownArchitecture is wrapped by Lookup's error.
var ErrUnknownArchitecture = errors.New("unknown architecture")

// Family is what one file of this package registers.
type Family struct {
	Name          string
	Architectures []string // class names in config.json's "architectures"
	ModelTypes    []string // config.json's "model_type", used where "architectures" is absent

	build func(r *reader, transposed Transposed) (*Spec, error)
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
	text := fmt.Sprintf("%q", architecture)
	if near := nearest(architecture, Architectures()); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return Family{}, fmt.Errorf("%w: %s; known are %s", ErrUnknownArchitecture, text,
		strings.Join(Architectures(), ", "))
}

// Transposed says of a tensor (by Hugging Face's name) whether the checkpoint at hand holds it transposed: GGUF files
// have GPT-2's [in, out] weights as [out, in]. Nil: none is.
type Transposed func(tensor string) bool

// FromHF makes the Spec of a Hugging Face config.json.
func FromHF(hf map[string]any, transposed Transposed) (*Spec, error) {
	architecture, err := architectureOf(hf)
	if err != nil {
		return nil, err
	}
	f, err := Lookup(architecture)
	if err != nil {
		return nil, err
	}
	return f.Spec(architecture, hf, transposed)
}

// Spec makes the Spec of one of the family's architectures.
func (f Family) Spec(architecture string, hf map[string]any, transposed Transposed) (*Spec, error) {
	r := newReader(architecture, hf)
	s, err := f.build(r, transposed)
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("%s config: %w", architecture, err)
	}
	s.Family, s.Architecture = f.Name, architecture
	s.Config.Architecture = &architecture
	if err := s.Config.Derive(); err != nil {
		return nil, err
	}
	return s, s.Config.Validate()
}

// architectureOf reads config.json's "architectures", or finds the first architecture of its "model_type".
func architectureOf(hf map[string]any) (string, error) {
	if list, ok := hf["architectures"].([]any); ok && len(list) > 0 {
		if name, ok := list[0].(string); ok {
			return name, nil
		}
	}
	if list, ok := hf["architectures"].([]string); ok && len(list) > 0 {
		return list[0], nil
	}
	modelType, _ := hf["model_type"].(string)
	for _, name := range Architectures() {
		f := families[name]
		if slices.Contains(f.ModelTypes, modelType) {
			return f.Architectures[0], nil
		}
	}
	return "", fmt.Errorf("%w: the config has neither \"architectures\" nor a known \"model_type\" (model_type is %q); "+
		"known architectures are %s", ErrUnknownArchitecture, modelType, strings.Join(Architectures(), ", "))
}

// nearest gives the name with the smallest edit distance, "" when all are far.
func nearest(name string, known []string) string {
	best, at := "", len(name)/2+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	return best
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
