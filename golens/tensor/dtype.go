// Package tensor is the engine's storage: counted memory off the Go heap, mapped files, strided tensors over
// both, and the handles by which other languages hold them. It imports nothing of the engine.
package tensor

import (
	"fmt"
	"math"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types that a tensor may have.
const (
	Float32 DType = iota
	Float64
	Float16
	BFloat16
	Int64
	Int32
	Uint8
	Bool
)

var dtypes = [...]struct {
	name string
	size int
	code int32 // DLPack type code
}{
	Float32:  {"float32", 4, 2},
	Float64:  {"float64", 8, 2},
	Float16:  {"float16", 2, 2},
	BFloat16: {"bfloat16", 2, 4},
	Int64:    {"int64", 8, 0},
	Int32:    {"int32", 4, 0},
	Uint8:    {"uint8", 1, 1},
	Bool:     {"bool", 1, 6},
}

// Size is the number of bytes of one element.
func (d DType) Size() int { return dtypes[d].size }

// String is the name that NumPy and torch use.
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Floating reports whether elements are real numbers in floating point.
func (d DType) Floating() bool { return d <= BFloat16 }

// Lowest is the smallest finite number of a floating dtype: what a masked attention score holds.
func (d DType) Lowest() float64 {
	switch d {
	case Float64:
		return -math.MaxFloat64
	case Float16:
		return -65504
	case BFloat16:
		return float64(math.Float32frombits(0xff7f0000))
	default:
		return -math.MaxFloat32
	}
}

func (d DType) dlpack() int32 { return dtypes[d].code | int32(dtypes[d].size*8)<<8 }

// ParseDType finds a dtype by its name, with or without a "torch." in front.
func ParseDType(name string) (DType, error) {
	short := name
	if len(short) > 6 && short[:6] == "torch." {
		short = short[6:]
	}
	for i, d := range dtypes {
		if d.name == short {
			return DType(i), nil
		}
	}
	return 0, fmt.Errorf("tensor: unknown dtype %q; expected one of float32, float64, float16, bfloat16, int64, int32, uint8, bool", name)
}
