// This file says where parameters lie in a checkpoint, and matches a checkpoint's tensor names with what is wanted.

package arch

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// ErrMissingTensor, ErrUnusedTensor and ErrShape are wrapped by Bind's errors.
var (
	ErrShape         = errors.New("checkpoint tensor of the wrong shape")
	ErrMissingTensor = errors.New("tensor missing from the checkpoint")
	ErrUnusedTensor  = errors.New("checkpoint tensor that no parameter uses")
)

// Layout is how a checkpoint tensor is laid out.
type Layout uint8

// OutIn: [out, in], as torch's Linear. InOut: [in, out], as GPT-2's Conv1D. Vector: [n]. Table: [rows, d_model].
const (
	OutIn Layout = iota
	InOut
	Vector
	Table
)

// Ref says where one parameter of the model lies.
type Ref struct {
	Name   string // checkpoint tensor
	Layout Layout
	// ColumnOffset and Columns cut a part out of the output axis (GPT-2's joint q, k, v); 0, 0 is all of it.
	ColumnOffset, Columns int
}

// Tensor is one tensor that a checkpoint must have.
type Tensor struct {
	Name  string
	Shape []int
	// TiedTo names the tensor that this one shares its values with: the checkpoint may lack either of the two.
	// Where it has both with different values, they are not tied (as in transformers).
	TiedTo string
}

// WeightMap is everything known about a family's checkpoints.
type WeightMap struct {
	Tensors []Tensor
	Refs    map[string]Ref // by the parameter's name: "blocks.0.attn.q.weight"

	prefix    string           // a prefix that checkpoints may lack: "model."
	ignorable []*regexp.Regexp // tensors that hold no weight: masks, frequencies
}

// Bind finds each wanted tensor's name in a checkpoint, given the shapes of all tensors that the checkpoint has. A
// tied tensor that is absent is bound to its partner's name. A tensor that is missing, or unused, or of another shape
// than expected is an error that names it. rename translates Hugging Face's names to the checkpoint's; nil where they
// are the same.
func (w *WeightMap) Bind(shapes map[string][]int, rename func(hf string) string) (map[string]string, error) {
	bound := make(map[string]string, len(w.Tensors))
	used := map[string]bool{}
	for _, t := range w.Tensors {
		names := []string{t.Name, strings.TrimPrefix(t.Name, w.prefix)}
		if rename != nil {
			names = []string{rename(t.Name)}
		}
		for _, name := range names {
			shape, present := shapes[name]
			if !present || used[name] {
				continue
			}
			if !slices.Equal(shape, t.Shape) {
				return nil, fmt.Errorf("%w: %s is %s, expected %s by the config", ErrShape, clip(name), pyjson.Show(shape), pyjson.Show(t.Shape))
			}
			bound[t.Name], used[name] = name, true
			break
		}
	}
	w.tie(bound)
	var missing, unused []string
	for _, t := range w.Tensors {
		if bound[t.Name] == "" {
			missing = append(missing, t.Name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: %s%s", ErrMissingTensor, some(missing), tieHint(missing))
	}
	for name := range shapes {
		if !used[name] && !w.Ignorable(name) {
			unused = append(unused, name)
		}
	}
	if len(unused) > 0 {
		slices.Sort(unused)
		return nil, fmt.Errorf("%w: %s; the config describes another model than the checkpoint holds",
			ErrUnusedTensor, some(unused))
	}
	return bound, nil
}

// tie gives a tied tensor that the checkpoint lacks its partner's name.
func (w *WeightMap) tie(bound map[string]string) {
	for _, t := range w.Tensors {
		if t.TiedTo == "" {
			continue
		}
		own, partner := bound[t.Name], bound[t.TiedTo]
		switch {
		case own == "" && partner != "":
			bound[t.Name] = partner
		case own != "" && partner == "":
			bound[t.TiedTo] = own
		}
	}
}

// otherHeads are tensors of classifiers and reward models behind the same layers: no logit depends on them.
var otherHeads = regexp.MustCompile(`^(score|classifier|qa_outputs|multiple_choice_head|v_head|value_head)\.`)

// OtherHeads lists the checkpoint tensors that belong to another head than the unembedding.
func OtherHeads(shapes map[string][]int) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(shapes)), func(name string) bool { return !otherHeads.MatchString(name) })
}

// Ignorable says whether a checkpoint tensor is known to hold no weight of a language model.
func (w *WeightMap) Ignorable(name string) bool {
	return otherHeads.MatchString(name) || slices.ContainsFunc(w.ignorable, func(r *regexp.Regexp) bool { return r.MatchString(name) })
}

// tieHint helps where only the unembedding is missing: transformers would draw one at random.
func tieHint(missing []string) string {
	if len(missing) == 1 && missing[0] == "lm_head.weight" {
		return `, the unembedding: this is the checkpoint of a base model or of another head, and logits cannot be made of it; ` +
			`if the unembedding is the embedding's matrix, load with hf_config_overrides={"tie_word_embeddings": True}`
	}
	return ""
}

// some joins the first few names.
func some(names []string) string {
	const most = 5
	shown := make([]string, min(len(names), most))
	for i := range shown {
		shown[i] = clip(names[i])
	}
	if len(names) <= most {
		return strings.Join(shown, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), len(names)-most)
}
