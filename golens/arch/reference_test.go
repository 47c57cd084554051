// Tests against transformer_lens and transformers: tests/py/parity/make_arch_testdata.py wrote the files in testdata.

package arch

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// place is a parameter's place as the reference has it; nil pointers to it are Python's None.
type place struct {
	Tensor  string
	Shape   []int
	Strides []int
	Offset  int
	Zeros   []int
}

type reference struct {
	HFConfig   map[string]any    `json:"hf_config"`
	HookDict   []json.RawMessage `json:"hook_dict"`
	Cfg        map[string]any
	Tensors    map[string][]int
	StateDict  [][2]json.RawMessage `json:"state_dict"`
	Components []struct {
		Name, Class string
		Hooks       []string
		Views       map[string]*place
	}
	Fires map[string][]string
}

var references = []string{
	"gpt2", "gpt2_options", "llama", "llama_options", "mistral", "qwen2", "qwen2_sliding",
}

func load(t *testing.T, name string) (*Spec, reference) {
	t.Helper()
	var ref reference
	read(t, name, &ref)
	spec, err := FromHF(ref.HFConfig, Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	return spec, ref
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// TestHookDict compares every name and alias, in order, also where layers have two digits.
func TestHookDict(t *testing.T) {
	for _, name := range append([]string{"llama_11_layers"}, references...) {
		t.Run(name, func(t *testing.T) {
			spec, ref := load(t, name)
			var want, got []string
			for _, entry := range ref.HookDict {
				var alias [2]string
				if json.Unmarshal(entry, &alias) == nil {
					want = append(want, alias[0]+" -> "+alias[1])
					continue
				}
				var hook string
				if err := json.Unmarshal(entry, &hook); err != nil {
					t.Fatal(err)
				}
				want = append(want, hook)
			}
			got = spec.Tree.HookNames()
			for _, alias := range spec.Tree.Aliases {
				got = append(got, alias.Name+" -> "+alias.Target)
			}
			same(t, got, want)
		})
	}
}

// TestComponents compares names, classes, hook points and every parameter attribute of every component.
func TestComponents(t *testing.T) {
	for _, name := range references {
		t.Run(name, func(t *testing.T) {
			spec, ref := load(t, name)
			if got, want := len(spec.Tree.Components), len(ref.Components); got != want {
				t.Fatalf("%d components, expected %d", got, want)
			}
			for i, want := range ref.Components {
				got := spec.Tree.Components[i]
				if got.Name != want.Name || got.Class != want.Class {
					t.Fatalf("component %d is %s (%s), expected %s (%s)", i, got.Name, got.Class, want.Name, want.Class)
				}
				for j, hook := range got.Hooks {
					if hook.Name != want.Name+"."+want.Hooks[j] {
						t.Errorf("hook %s, expected %s.%s", hook.Name, want.Name, want.Hooks[j])
					}
				}
				for view, p := range want.Views {
					checkView(t, spec, got, view, p)
				}
				for _, v := range got.Views {
					if _, ok := want.Views[v.Name]; !ok {
						t.Errorf("%s.%s exists, upstream has none", got.Name, v.Name)
					}
				}
			}
		})
	}
}

func checkView(t *testing.T, spec *Spec, c Component, name string, want *place) {
	t.Helper()
	v, ok := c.View(name)
	if !ok {
		t.Errorf("%s.%s is missing", c.Name, name)
		return
	}
	// a tied unembedding is the embedding's tensor
	slot := v.Slot
	for _, tensor := range spec.Weights.Tensors {
		if tensor.Name == slot.Tensor && tensor.TiedTo != "" {
			slot.Tensor = tensor.TiedTo
		}
	}
	got := fmt.Sprint(v.Kind, slot)
	expected := fmt.Sprint(None, Slot{})
	if want != nil {
		expected = fmt.Sprint(Stored, Slot{Tensor: want.Tensor, Shape: want.Shape, Strides: want.Strides, Offset: want.Offset})
		if want.Zeros != nil {
			expected = fmt.Sprint(Zeros, Slot{Shape: want.Zeros})
		}
	}
	if got != expected {
		t.Errorf("%s.%s is %s, expected %s", c.Name, name, got, expected)
	}
}

// TestTensors compares the checkpoint's tensors with the model's parameters in transformers.
func TestTensors(t *testing.T) {
	for _, name := range references {
		t.Run(name, func(t *testing.T) {
			spec, ref := load(t, name)
			got := map[string][]int{}
			for _, tensor := range spec.Weights.Tensors {
				if tensor.TiedTo == "" {
					got[tensor.Name] = tensor.Shape
				}
			}
			if !reflect.DeepEqual(got, ref.Tensors) {
				t.Errorf("got %v\nexpected %v", got, ref.Tensors)
			}
		})
	}
}

func TestStateDict(t *testing.T) {
	for _, name := range references {
		t.Run(name, func(t *testing.T) {
			spec, ref := load(t, name)
			var want []string
			for _, entry := range ref.StateDict {
				var key string
				if err := json.Unmarshal(entry[0], &key); err != nil {
					t.Fatal(err)
				}
				want = append(want, key)
			}
			same(t, spec.Tree.StateDict, want)
		})
	}
}

// TestFires: Gate, Unless and Silent say of every hook point whether upstream fires it, plain and under each flag.
func TestFires(t *testing.T) {
	for _, name := range references {
		t.Run(name, func(t *testing.T) {
			spec, ref := load(t, name)
			if len(ref.Fires) != 5 {
				t.Fatalf("%d runs in the reference, expected 5", len(ref.Fires))
			}
			for flag, fired := range ref.Fires {
				var got []string
				for _, c := range spec.Tree.Components {
					for _, h := range c.Hooks {
						in := flag == "plain" || strings.HasPrefix(h.Name, "blocks.0.")
						if in && !h.Silent && (h.Gate == "" || h.Gate == flag) && !slices.Contains(h.Unless, flag) {
							got = append(got, h.Name)
						}
					}
				}
				slices.Sort(got)
				want := slices.Clone(fired)
				slices.Sort(want)
				same(t, got, slices.Compact(want))
			}
		})
	}
}

// TestCfg compares every value of upstream's cfg, but for what the caller of boot sets.
func TestCfg(t *testing.T) {
	for _, name := range references {
		t.Run(name, func(t *testing.T) {
			spec, ref := load(t, name)
			delete(ref.Cfg, "model_name")
			data, err := json.Marshal(spec.Config)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "model_name")
			for key, want := range ref.Cfg {
				if !reflect.DeepEqual(got[key], want) {
					t.Errorf("%s is %v, expected %v", key, got[key], want)
				}
			}
			for key := range got {
				if _, ok := ref.Cfg[key]; !ok {
					t.Errorf("%s is %v, upstream has none", key, got[key])
				}
			}
		})
	}
}

// TestRope compares the bits of the frequencies with transformers'.
func TestRope(t *testing.T) {
	var cases []struct {
		Rope      map[string]any
		Dim       int
		Positions int `json:"max_position_embeddings"`
		Bits      string
		Scaling   float64 `json:"attention_scaling"`
	}
	read(t, "rope", &cases)
	wrong := 0
	for _, c := range cases {
		r := newReader("llama", "LlamaForCausalLM", map[string]any{"rope_parameters": c.Rope}, Checkpoint{})
		position, _ := r.rope(c.Dim, c.Positions)
		if _, err := r.finish(); err != nil {
			t.Fatalf("%v: %v", c.Rope, err)
		}
		if position.AttentionScaling != float32(c.Scaling) {
			t.Errorf("%v: attention scaling %v, expected %v", c.Rope, position.AttentionScaling, c.Scaling)
		}
		for i, word := range strings.Fields(c.Bits) {
			bits, err := strconv.ParseUint(word, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			if got := math.Float32bits(position.InvFreq[i]); got != uint32(bits) {
				wrong++
				t.Errorf("%v dim %d: frequency %d is %v, expected %v", c.Rope, c.Dim, i, position.InvFreq[i],
					math.Float32frombits(uint32(bits)))
			}
		}
	}
	t.Logf("%d cases, %d wrong", len(cases), wrong)
}

// same reports the first difference of two lists.
func same(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("entry %d of %d is %s, expected %s of %d", i, len(got), g, w, len(want))
		}
	}
}
