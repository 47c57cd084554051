// Kind: how the numbers of a stored tensor are encoded, for every encoding that either format can name.
package checkpoint

import (
	"fmt"
	"math"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Kind is the encoding of a stored tensor.
type Kind uint8

// The encodings. Those that Load cannot widen to float32 are known so that a file which holds them can still be
// described, and the tensors in it that are of other kinds be loaded.
const (
	Invalid Kind = iota
	F32
	F64
	F16
	BF16
	I64
	I32
	I16
	I8
	U64
	U32
	U16
	U8
	Bool
	Q8_0
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	F8_E4M3
	F8_E5M2
	F8_E8M0
	F6_E2M3
	F6_E3M2
	F4
	C64
	Q8_1
	Q8_K
	IQ2_XXS
	IQ2_XS
	IQ3_XXS
	IQ1_S
	IQ4_NL
	IQ3_S
	IQ2_S
	IQ4_XS
	IQ1_M
	TQ1_0
	TQ2_0
	MXFP4
	NVFP4
	Q1_0
)

// notRaw marks kinds that no tensor.DType describes.
const notRaw = tensor.DType(math.MaxUint8)

// kindInfo says that values come in blocks of length elements in bytes bytes, and how to widen whole blocks.
type kindInfo struct {
	name          string
	length, bytes int
	dtype         tensor.DType
	widen         func(dst []float32, src []byte) // nil: Load is not supported
}

var kinds = [...]kindInfo{
	Invalid: {"invalid", 1, 1, notRaw, nil},
	F32:     {"F32", 1, 4, tensor.Float32, widenF32},
	F64:     {"F64", 1, 8, tensor.Float64, widenF64},
	F16:     {"F16", 1, 2, tensor.Float16, widenF16},
	BF16:    {"BF16", 1, 2, tensor.BFloat16, widenBF16},
	I64:     {"I64", 1, 8, tensor.Int64, widenI64},
	I32:     {"I32", 1, 4, tensor.Int32, widenI32},
	I16:     {"I16", 1, 2, notRaw, widenI16},
	I8:      {"I8", 1, 1, notRaw, widenI8},
	U64:     {"U64", 1, 8, notRaw, widenU64},
	U32:     {"U32", 1, 4, notRaw, widenU32},
	U16:     {"U16", 1, 2, notRaw, widenU16},
	U8:      {"U8", 1, 1, tensor.Uint8, widenU8},
	Bool:    {"BOOL", 1, 1, tensor.Bool, widenBool},
	Q8_0:    {"Q8_0", 32, 34, tensor.Q8_0, dequantQ8_0},
	Q4_0:    {"Q4_0", 32, 18, notRaw, dequantQ4_0},
	Q4_1:    {"Q4_1", 32, 20, tensor.Q4_1, dequantQ4_1},
	Q5_0:    {"Q5_0", 32, 22, notRaw, dequantQ5_0},
	Q5_1:    {"Q5_1", 32, 24, notRaw, dequantQ5_1},
	Q2_K:    {"Q2_K", 256, 84, notRaw, dequantQ2_K},
	Q3_K:    {"Q3_K", 256, 110, notRaw, dequantQ3_K},
	Q4_K:    {"Q4_K", 256, 144, notRaw, dequantQ4_K},
	Q5_K:    {"Q5_K", 256, 176, notRaw, dequantQ5_K},
	Q6_K:    {"Q6_K", 256, 210, notRaw, dequantQ6_K},
	F8_E4M3: {"F8_E4M3", 1, 1, notRaw, nil},
	F8_E5M2: {"F8_E5M2", 1, 1, notRaw, nil},
	F8_E8M0: {"F8_E8M0", 1, 1, notRaw, nil},
	F6_E2M3: {"F6_E2M3", 4, 3, notRaw, nil},
	F6_E3M2: {"F6_E3M2", 4, 3, notRaw, nil},
	F4:      {"F4", 2, 1, notRaw, nil},
	C64:     {"C64", 1, 8, notRaw, nil},
	Q8_1:    {"Q8_1", 32, 40, notRaw, nil},
	Q8_K:    {"Q8_K", 256, 292, notRaw, nil},
	IQ2_XXS: {"IQ2_XXS", 256, 66, notRaw, nil},
	IQ2_XS:  {"IQ2_XS", 256, 74, notRaw, nil},
	IQ3_XXS: {"IQ3_XXS", 256, 98, notRaw, nil},
	IQ1_S:   {"IQ1_S", 256, 50, notRaw, nil},
	IQ4_NL:  {"IQ4_NL", 32, 18, notRaw, nil},
	IQ3_S:   {"IQ3_S", 256, 110, notRaw, nil},
	IQ2_S:   {"IQ2_S", 256, 82, notRaw, nil},
	IQ4_XS:  {"IQ4_XS", 256, 136, notRaw, nil},
	IQ1_M:   {"IQ1_M", 256, 56, notRaw, nil},
	TQ1_0:   {"TQ1_0", 256, 54, notRaw, nil},
	TQ2_0:   {"TQ2_0", 256, 66, notRaw, nil},
	MXFP4:   {"MXFP4", 32, 17, notRaw, nil},
	NVFP4:   {"NVFP4", 64, 36, notRaw, nil},
	Q1_0:    {"Q1_0", 128, 18, notRaw, nil},
}

// String is the name that the file formats use.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// BlockLen is the number of elements that are encoded together: 1 for plain numbers.
func (k Kind) BlockLen() int { return kinds[k].length }

// BlockBytes is the number of bytes that a block takes.
func (k Kind) BlockBytes() int { return kinds[k].bytes }

// Loadable reports whether Load can turn this kind into float32.
func (k Kind) Loadable() bool { return int(k) < len(kinds) && kinds[k].widen != nil }

// byteSize is the number of bytes that elements take; false when they are no whole number of blocks, or too many
// to be counted.
func (k Kind) byteSize(elements uint64) (uint64, bool) {
	length, bytes := uint64(kinds[k].length), uint64(kinds[k].bytes)
	if elements%length != 0 || elements/length > math.MaxInt64/bytes {
		return 0, false
	}
	return elements / length * bytes, true
}

// countElements multiplies a claimed shape; false when a size or the product cannot be an int. Zero sizes do not
// excuse the others: strides are products of those.
func countElements(shape []uint64) (uint64, bool) {
	product, zero := uint64(1), false
	for _, d := range shape {
		if d == 0 {
			zero = true
			continue
		}
		if d > math.MaxInt64/product {
			return 0, false
		}
		product *= d
	}
	if zero {
		return 0, true
	}
	return product, true
}

// DType is the tensor dtype of a kind's numbers or blocks, where one describes them.
func (k Kind) DType() (tensor.DType, bool) {
	if int(k) >= len(kinds) || kinds[k].dtype == notRaw {
		return 0, false
	}
	return kinds[k].dtype, true
}
