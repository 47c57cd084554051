// This file reads and writes a Config by upstream's field names: maps, JSON, single fields. Values come from Python
// and from config files, so numbers of any Go type and integral floats are taken where a field is an integer.

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// fieldIndex maps upstream's names to struct fields, fieldNames keeps their order.
var fieldIndex, fieldNames = indexFields()

func indexFields() (map[string]int, []string) {
	t := reflect.TypeFor[Config]()
	index, names := map[string]int{}, []string{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("json"); name != "-" {
			index[name] = i
			names = append(names, name)
		}
	}
	return index, names
}

// Fields lists the names of all fields in upstream's order.
func Fields() []string { return slices.Clone(fieldNames) }

// IsField says whether name is a field of the class (and not an extra key).
func IsField(name string) bool { _, ok := fieldIndex[name]; return ok }

// required are the fields that have no default.
var required = []string{"d_model", "d_head", "n_layers", "n_ctx"}

// FromMap makes a configuration from upstream's names: defaults for what is absent, the rest derived and validated.
// Keys that are no field are kept in Extra.
func FromMap(values map[string]any) (*Config, error) {
	for _, name := range required {
		if _, ok := values[name]; !ok {
			return nil, typeError(name, "missing; d_model, d_head, n_layers and n_ctx must be given")
		}
	}
	c := New(0, 0, 0, 0)
	if err := c.update(values); err != nil {
		return nil, err
	}
	if err := c.Derive(); err != nil {
		return nil, err
	}
	return c, c.Validate()
}

// update sets many keys, in a fixed order so that the first error is always the same.
func (c *Config) update(values map[string]any) error {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := c.Set(name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

// Get gives the value under one of upstream's names (nil for None) or extra keys; false when there is none.
// head_dim is another name of d_head.
func (c *Config) Get(name string) (any, bool) {
	if name == "head_dim" {
		return c.DHead, true
	}
	if i, ok := fieldIndex[name]; ok {
		return plain(reflect.ValueOf(c).Elem().Field(i)), true
	}
	v, ok := c.Extra[name]
	return v, ok
}

// Set writes one field, or an extra key. A value of the wrong type is an error of kind TypeError, and changes nothing.
func (c *Config) Set(name string, value any) error {
	if name == "head_dim" {
		return &Error{Kind: AttributeError, Field: name, Text: "is only another name of d_head; set d_head"}
	}
	i, ok := fieldIndex[name]
	if !ok {
		if c.Extra == nil {
			c.Extra = map[string]any{}
		}
		c.Extra[name] = value
		return nil
	}
	if name == "dtype" {
		if value == nil {
			value = "float32"
		}
		if s, ok := value.(string); ok {
			value = strings.TrimPrefix(s, "torch.")
		}
	}
	if name == "rotary_base" { // upstream cuts it to an integer
		if f, ok := number(value); ok {
			value = math.Trunc(f)
		}
	}
	field := reflect.ValueOf(c).Elem().Field(i)
	if err := assign(field, value); err != nil {
		if name == "architecture" { // upstream's type for this one
			return valueError(name, "%v", err)
		}
		return typeError(name, "%v", err)
	}
	return nil
}

// ToMap gives every field and extra key under upstream's names; None is nil.
func (c *Config) ToMap() map[string]any {
	out := make(map[string]any, len(fieldNames)+len(c.Extra))
	for name, value := range c.Extra {
		out[name] = value
	}
	v := reflect.ValueOf(c).Elem()
	for name, i := range fieldIndex {
		out[name] = plain(v.Field(i))
	}
	return out
}

// MarshalJSON writes the fields in upstream's order, then the extra keys sorted. Numbers that are not finite are the
// strings that PlainNumbers knows.
func (c Config) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	write := func(name string, value any) error {
		key, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("config: %s: %w", name, err)
		}
		text, err := json.Marshal(withPoints(value))
		if err != nil {
			return fmt.Errorf("config: %s: %w", name, err)
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.Write(key)
		out.WriteByte(':')
		out.Write(text)
		return nil
	}
	out.WriteByte('{')
	v := reflect.ValueOf(c)
	for _, name := range fieldNames {
		if err := write(name, plain(v.Field(fieldIndex[name]))); err != nil {
			return nil, err
		}
	}
	extra := make([]string, 0, len(c.Extra))
	for name := range c.Extra {
		extra = append(extra, name)
	}
	slices.Sort(extra)
	for _, name := range extra {
		if err := write(name, c.Extra[name]); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// withPoints copies a value with every float written as one: 1.0, not 1, which Python would read as an integer.
func withPoints(value any) any {
	switch v := value.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return pyjson.Kept(v)
		}
		if text := strconv.FormatFloat(v, 'g', -1, 64); v == math.Trunc(v) && !strings.ContainsAny(text, "eIN") {
			return json.RawMessage(text + ".0")
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withPoints(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = withPoints(v[k])
		}
		return out
	}
	return value
}

// UnmarshalJSON is FromMap over a JSON object.
func (c *Config) UnmarshalJSON(data []byte) error {
	var values map[string]any
	if err := jsontext.UnmarshalNumbers(data, &values); err != nil { // so that seeds beyond 2^53 keep every digit
		return fmt.Errorf("config: not a JSON object: %w", err)
	}
	for name, value := range values {
		values[name] = PlainNumbers(value)
	}
	made, err := FromMap(values)
	if err != nil {
		return err
	}
	*c = *made
	return nil
}

// PlainNumbers copies a decoded JSON value with every json.Number in it, and what pyjson.Quote made, turned into an int
// or a float64.
func PlainNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		f, err := v.Float64()
		if err != nil && !math.IsInf(f, 0) { // too large is infinite, as in Python
			return v
		}
		return f
	case string:
		if f, ok := pyjson.Number(v); ok {
			return f
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = PlainNumbers(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = PlainNumbers(v[k])
		}
		return out
	}
	return value
}

// plain gives a field's value as Python would see it: a pointer's target, nil for None.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return v.Elem().Interface()
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
	}
	return cloneValue(v).Interface()
}
