// Half: 16-bit floats one by one, for what crosses to types that know none. Kernels have loops of their own.
package tensor

import "math"

// widened is a float16 or bfloat16 as float32, exactly.
func widened(dt DType, bits uint16) float32 {
	if dt == BFloat16 {
		return math.Float32frombits(uint32(bits) << 16)
	}
	sign, exponent, fraction := uint32(bits&0x8000)<<16, uint32(bits>>10&31), uint32(bits&0x3ff)
	switch exponent {
	case 0: // zero and subnormals: fraction * 2**-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// narrowed is the float16 or bfloat16 next to f, the even one of two.
func narrowed(dt DType, f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := bits & 0x7fffffff
	if dt == BFloat16 {
		if magnitude > 0x7f800000 {
			return uint16(bits>>16) | 0x40 // NaN stays one, whatever the bits that are cut off
		}
		return uint16((bits + 0x7fff + bits>>16&1) >> 16)
	}
	switch {
	case magnitude > 0x7f800000:
		return sign | 0x7e00 | uint16(magnitude>>13&0x3ff)
	case magnitude >= 0x477ff000: // rounds to 65536, which is beyond the largest
		return sign | 0x7c00
	case magnitude < 0x38800000: // below the smallest normal one, in steps of 2**-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(magnitude))*(1<<24)))
	}
	return sign | uint16((magnitude-112<<23+0xfff+magnitude>>13&1)>>13)
}
