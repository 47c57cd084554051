// Typed access to GGUF metadata.
package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
)

// ErrNoKey is wrapped when GGUF metadata has no such key.
var ErrNoKey = errors.New("no such metadata key")

// Keys lists the metadata keys in the file's order.
func (g *GGUF) Keys() []string { return slices.Clone(g.keys) }

// Meta is all metadata: scalars as uint8 … float64, bool or string, arrays as slices of those, arrays of arrays
// as []any. The slices are the file's own and must not be changed.
func (g *GGUF) Meta() map[string]any { return maps.Clone(g.meta) }

// Has reports whether there is such a key.
func (g *GGUF) Has(key string) bool {
	_, ok := g.meta[key]
	return ok
}

// String is the string under key.
func (g *GGUF) String(key string) (string, error) { return getMeta[string](g, key, "a string") }

// Strings is the array of strings under key; it must not be changed.
func (g *GGUF) Strings(key string) ([]string, error) {
	return getMeta[[]string](g, key, "an array of strings")
}

// Bool is the bool under key.
func (g *GGUF) Bool(key string) (bool, error) { return getMeta[bool](g, key, "a bool") }

// Int is the integer of any width under key.
func (g *GGUF) Int(key string) (int64, error) {
	const want = "an integer that fits in 64 bits with sign"
	v, err := getMeta[any](g, key, want)
	if err != nil {
		return 0, err
	}
	if n, ok := asInt(v); ok {
		return n, nil
	}
	return 0, g.mistyped(key, v, want)
}

// uniform is the one value of an array of integers that are all the same: writers give sizes by layer so.
func (g *GGUF) uniform(key string) (int64, bool) {
	if _, ok := g.meta[key]; !ok {
		return 0, false
	}
	list, err := g.Ints(key)
	if err != nil || len(list) == 0 || slices.ContainsFunc(list, func(n int64) bool { return n != list[0] }) {
		return 0, false
	}
	return list[0], true
}

// number is any number under key, or a bool as 0 or 1, or the one number of an array.
func (g *GGUF) number(key string) (float64, bool) {
	switch v := g.meta[key].(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	if n, ok := g.uniform(key); ok {
		return float64(n), true
	}
	n, err := g.Int(key)
	return float64(n), err == nil
}

// Uint is the non-negative integer of any width under key.
func (g *GGUF) Uint(key string) (uint64, error) {
	const want = "a non-negative integer"
	v, err := getMeta[any](g, key, want)
	if err != nil {
		return 0, err
	}
	if n, ok := v.(uint64); ok {
		return n, nil
	}
	if n, ok := asInt(v); ok && n >= 0 {
		return uint64(n), nil
	}
	return 0, g.mistyped(key, v, want)
}

// Float is the floating-point number under key.
func (g *GGUF) Float(key string) (float64, error) {
	const want = "a floating-point number"
	v, err := getMeta[any](g, key, want)
	if err != nil {
		return 0, err
	}
	switch n := v.(type) {
	case float32:
		return float64(n), nil
	case float64:
		return n, nil
	}
	return 0, g.mistyped(key, v, want)
}

// Ints is the array of integers of any width under key.
func (g *GGUF) Ints(key string) ([]int64, error) {
	const want = "an array of integers"
	v, err := getMeta[any](g, key, want)
	if err != nil {
		return nil, err
	}
	switch a := v.(type) {
	case []int64:
		return slices.Clone(a), nil
	case []int32:
		return convert[int64](a), nil
	case []int16:
		return convert[int64](a), nil
	case []int8:
		return convert[int64](a), nil
	case []uint32:
		return convert[int64](a), nil
	case []uint16:
		return convert[int64](a), nil
	case []uint8:
		return convert[int64](a), nil
	case []uint64:
		if len(a) == 0 || slices.Max(a) <= math.MaxInt64 {
			return convert[int64](a), nil
		}
	}
	return nil, g.mistyped(key, v, want)
}

// Floats is the array of floating-point numbers under key.
func (g *GGUF) Floats(key string) ([]float64, error) {
	const want = "an array of floating-point numbers"
	v, err := getMeta[any](g, key, want)
	if err != nil {
		return nil, err
	}
	switch a := v.(type) {
	case []float32:
		return convert[float64](a), nil
	case []float64:
		return slices.Clone(a), nil
	}
	return nil, g.mistyped(key, v, want)
}

type number interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

func convert[To, From number](from []From) []To {
	to := make([]To, len(from))
	for i, v := range from {
		to[i] = To(v)
	}
	return to
}

func asInt(v any) (int64, bool) {
	switch n := v.(type) {
	case uint8:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case int16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int32:
		return int64(n), true
	case uint64:
		return int64(n), n <= math.MaxInt64
	case int64:
		return n, true
	}
	return 0, false
}

func getMeta[T any](g *GGUF, key, want string) (T, error) {
	var none T
	v, ok := g.meta[key]
	if !ok {
		return none, fmt.Errorf("checkpoint: %s: %w: %q, expected %s", g.path, ErrNoKey, key, want)
	}
	t, ok := v.(T)
	if !ok {
		return none, g.mistyped(key, v, want)
	}
	return t, nil
}

func (g *GGUF) mistyped(key string, v any, want string) error {
	return &FormatError{g.path, fmt.Sprintf("metadata %q", clip(key)), describe(v), want}
}

// describe shows a metadata value with its type, in the format's words.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %q", clip(v))
	case bool:
		return fmt.Sprintf("%v (bool)", v)
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice {
		element := list.Type().Elem().String()
		if element == "interface {}" {
			element = "array"
		}
		return fmt.Sprintf("an array of %d values of type %s", list.Len(), element)
	}
	return fmt.Sprintf("%v (%T)", v, v)
}
