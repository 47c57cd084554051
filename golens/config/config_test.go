package config

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestAgainstUpstream builds configs as transformer_lens was asked to, and compares every field, or the kind of error.
func TestAgainstUpstream(t *testing.T) {
	data, err := os.ReadFile("testdata/bridge_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Given map[string]any
		Cfg   map[string]any
		Error string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 8 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		made, err := FromMap(c.Given)
		if c.Error != "" {
			var typed *Error
			if !errors.As(err, &typed) || string(typed.Kind) != c.Error {
				t.Errorf("%v: got %v, expected a %s", c.Given, err, c.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.Given, err)
			continue
		}
		text, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c.Cfg) {
			for name := range got {
				if !reflect.DeepEqual(got[name], c.Cfg[name]) {
					t.Errorf("%v: %s is %v, expected %v", c.Given, name, got[name], c.Cfg[name])
				}
			}
			t.Errorf("%v: %d fields, expected %d", c.Given, len(got), len(c.Cfg))
		}
	}
}

func small(extra map[string]any) map[string]any {
	m := map[string]any{"d_model": 8, "d_head": 4, "n_layers": 1, "n_ctx": 16}
	for k, v := range extra {
		m[k] = v
	}
	return m
}

func TestBadValues(t *testing.T) {
	cases := []struct {
		field string
		value any
		kind  Kind
		says  string
	}{
		{"d_model", "8", TypeError, "integer"},
		{"d_model", 8.5, TypeError, "8.5"},
		{"d_model", true, TypeError, "True"},
		{"d_model", 0, ValueError, "1 or more"},
		{"n_ctx", -1, ValueError, "-1"},
		{"d_mlp", 0, ValueError, "4 * d_model"},
		{"n_key_value_heads", 3, ValueError, "divisor of n_heads (2)"},
		{"eps", -1.0, ValueError, "-1"},
		{"eps", "small", TypeError, "number"},
		{"dtype", "float8", ValueError, "bfloat16"},
		{"attention_dir", "sideways", ValueError, "causal"},
		{"use_attn_result", 1, TypeError, "True or False"},
		{"attn_types", []any{"global", 3}, TypeError, "element 1"},
		{"default_padding_side", "top", ValueError, "left"},
	}
	for _, c := range cases {
		_, err := FromMap(small(map[string]any{c.field: c.value}))
		var typed *Error
		if !errors.As(err, &typed) {
			t.Errorf("%s = %v: got %v, expected an Error", c.field, c.value, err)
			continue
		}
		if typed.Kind != c.kind || typed.Field != c.field || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s = %v: got %s %q, expected %s with %q", c.field, c.value, typed.Kind, err, c.kind, c.says)
		}
	}
}

func TestSetAndGet(t *testing.T) {
	c, err := FromMap(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		name      string
		set, want any
	}{
		{"use_attn_result", true, true},
		{"dtype", "torch.bfloat16", "bfloat16"},
		{"n_ctx", 32.0, 32},
		{"seed", 7, 7},
		{"seed", nil, nil},
		{"rotary_base", 9999.9, 9999},
		{"attn_types", []string{"local"}, []string{"local"}},
		{"rope_parameters", map[string]any{"rope_type": "default"}, map[string]any{"rope_type": "default"}},
	} {
		if err := c.Set(s.name, s.set); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if got, ok := c.Get(s.name); !ok || !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s is %v, expected %v", s.name, got, s.want)
		}
	}
	if _, ok := c.Get("no_such_field"); ok {
		t.Error("a field that does not exist was found")
	}
	if got, _ := c.Get("head_dim"); got != 4 {
		t.Errorf("head_dim is %v", got)
	}
	if err := c.Set("head_dim", 8); err == nil {
		t.Error("head_dim can be set")
	}
	before := c.NCtx
	if err := c.Set("n_ctx", "many"); err == nil || c.NCtx != before {
		t.Error("a failed Set changed the field")
	}
}

// TestCopies: a clone is equal and shares nothing; JSON and maps bring back an equal configuration.
func TestCopies(t *testing.T) {
	c, err := FromMap(small(map[string]any{"attn_types": []string{"a"}, "seed": 3, "layers": []any{map[string]any{"k": 1}}}))
	if err != nil {
		t.Fatal(err)
	}
	clone := c.Clone()
	if !c.Equal(clone) {
		t.Fatal("a clone is not equal")
	}
	clone.AttnTypes[0] = "b"
	*clone.Seed = 4
	clone.Extra["layers"].([]any)[0].(map[string]any)["k"] = 2
	if c.AttnTypes[0] != "a" || *c.Seed != 3 || c.Extra["layers"].([]any)[0].(map[string]any)["k"] != 1 {
		t.Error("a clone shares memory")
	}
	if c.Equal(clone) {
		t.Error("a changed clone is equal")
	}
	*c.Seed = 1<<62 + 1 // more digits than a float64 has
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !c.Equal(&back) {
		t.Errorf("JSON gives %v, expected %v", back, *c)
	}
	again, err := FromMap(c.ToMap())
	if err != nil || !c.Equal(again) {
		t.Errorf("a map gives another configuration (%v)", err)
	}
	if err := json.Unmarshal([]byte(`{"d_model":1}`), &back); err == nil {
		t.Error("a configuration without sizes is accepted")
	}
}
