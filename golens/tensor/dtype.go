// Package tensor is the engine's storage: counted memory off the Go heap, mapped files, strided tensors over
// both, and the handles by which other languages hold them. It imports nothing of the engine.
package tensor

import (
	"fmt"
	"math"
)

// DType is the type of a tensor's elements, or the form of blocks in which elements are stored together.
type DType uint8

// The types that a tensor may have. The last ones are GGUF's blocks: forms in which weights are stored, not types in
// which anything is computed.
const (
	Float32 DType = iota
	Float64
	Float16
	BFloat16
	Int64
	Int32
	Uint8
	Bool
	Q8_0
	Q4_1
)

// dtypes says how many elements lie in how many bytes. A form whose blocks have one length and one size is one line.
var dtypes = [...]struct {
	name          string
	length, bytes int
	code          int32 // DLPack type code
}{
	Float32:  {"float32", 1, 4, 2},
	Float64:  {"float64", 1, 8, 2},
	Float16:  {"float16", 1, 2, 2},
	BFloat16: {"bfloat16", 1, 2, 4},
	Int64:    {"int64", 1, 8, 0},
	Int32:    {"int32", 1, 4, 0},
	Uint8:    {"uint8", 1, 1, 1},
	Bool:     {"bool", 1, 1, 6},
	Q8_0:     {"Q8_0", 32, 34, noDLPack},
	Q4_1:     {"Q4_1", 32, 20, noDLPack},
}

// noDLPack marks dtypes that other languages have no name for.
const noDLPack = -1

// Block is how many elements are stored together, and in how many bytes: 1 and its size for a plain dtype.
func (d DType) Block() (length, bytes int) { return dtypes[d].length, dtypes[d].bytes }

// Blocked reports whether elements are stored in blocks of more than one. Such a tensor is dense along one axis, the
// last of a contiguous one, which is a whole number of blocks; its other axes may have any strides that are.
func (d DType) Blocked() bool { return dtypes[d].length > 1 }

// Bytes is what n elements take that lie one behind the other: whole blocks.
func (d DType) Bytes(n int) int { return n / dtypes[d].length * dtypes[d].bytes }

// Size is the number of bytes of one element; 0 where it has none of its own (see Bytes).
func (d DType) Size() int {
	if d.Blocked() {
		return 0
	}
	return dtypes[d].bytes
}

// String is the name that NumPy and torch use; a form of blocks has GGUF's.
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

// dlpack is DLPack's code and bits; false for dtypes that it has none for.
func (d DType) dlpack() (int32, bool) {
	return dtypes[d].code | int32(dtypes[d].bytes*8)<<8, dtypes[d].code != noDLPack
}

// ParseDType finds a plain dtype by its name, with or without a "torch." in front.
func ParseDType(name string) (DType, error) {
	short := name
	if len(short) > 6 && short[:6] == "torch." {
		short = short[6:]
	}
	for i, d := range dtypes {
		if d.name == short && !DType(i).Blocked() {
			return DType(i), nil
		}
	}
	return 0, fmt.Errorf("tensor: unknown dtype %q; expected one of float32, float64, float16, bfloat16, int64, int32, uint8, bool", name)
}
