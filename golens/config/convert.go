// This file converts loosely typed values (from JSON, from Python) to the types of the fields. Numbers kept as
// json.Number go through PlainNumbers first.

package config

import (
	"fmt"
	"math"
	"reflect"

	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
)

// assign writes value into a field, converting it, or says what was expected.
func assign(field reflect.Value, value any) error {
	switch field.Kind() {
	case reflect.Pointer:
		if value == nil {
			field.SetZero()
			return nil
		}
		target := reflect.New(field.Type().Elem())
		if err := assign(target.Elem(), value); err != nil {
			return fmt.Errorf("%w, or None", err)
		}
		field.Set(target)
		return nil
	case reflect.Slice:
		return assignSlice(field, value)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			return fmt.Errorf("got %s, expected True or False", show(value))
		}
		field.SetBool(b)
		return nil
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			return fmt.Errorf("got %s, expected a string", show(value))
		}
		field.SetString(s)
		return nil
	case reflect.Int:
		n, ok := integer(value)
		if f, isNumber := number(value); !ok && isNumber && f == math.Trunc(f) {
			return fmt.Errorf("got %s, expected an integer of 2^53 at most", show(value))
		}
		if !ok {
			return fmt.Errorf("got %s, expected an integer", show(value))
		}
		field.SetInt(n)
		return nil
	default: // float64 is the only other kind in Config
		f, ok := number(value)
		if !ok {
			return fmt.Errorf("got %s, expected a number", show(value))
		}
		field.SetFloat(f)
		return nil
	}
}

func assignSlice(field reflect.Value, value any) error {
	if value == nil {
		field.SetZero()
		return nil
	}
	given := reflect.ValueOf(value)
	if given.Kind() != reflect.Slice {
		return fmt.Errorf("got %s, expected a list, or None", show(value))
	}
	made := reflect.MakeSlice(field.Type(), given.Len(), given.Len())
	for i := range given.Len() {
		if err := assign(made.Index(i), given.Index(i).Interface()); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	field.Set(made)
	return nil
}

// integer takes any Go integer, and floats without a fraction; never a bool.
func integer(value any) (int64, bool) {
	v := reflect.ValueOf(value)
	switch {
	case v.IsValid() && v.CanInt():
		return v.Int(), true
	case v.IsValid() && v.CanUint() && v.Uint() <= math.MaxInt64:
		return int64(v.Uint()), true
	}
	f, ok := number(value)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// number takes any Go number; never a bool.
func number(value any) (float64, bool) {
	v := reflect.ValueOf(value)
	switch {
	case !v.IsValid():
		return 0, false
	case v.CanFloat():
		return v.Float(), true
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	}
	return 0, false
}

// show prints a value with the Python name of its type.
func show(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case string:
		return pyjson.Show(v) + " (str)"
	case bool:
		if v {
			return "True (bool)"
		}
		return "False (bool)"
	}
	switch reflect.ValueOf(value).Kind() {
	case reflect.Map, reflect.Slice:
		return pyjson.Show(value)
	}
	return fmt.Sprint(value)
}

// cloneValue copies a value with everything it points to.
func cloneValue(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(cloneValue(v.Elem()))
		return out
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		return cloneValue(v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(cloneValue(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, k := range v.MapKeys() {
			value := v.MapIndex(k)
			if value.Kind() == reflect.Interface && value.IsNil() {
				out.SetMapIndex(k, value)
				continue
			}
			out.SetMapIndex(k, cloneValue(value))
		}
		return out
	}
	return v
}
