// The block formats of 32 values: a half-precision scale (and offset), then 4, 5 or 8 bits a value. The formulas are
// those of ggml's reference; each product is rounded by its own conversion so that no platform may fuse it.
package checkpoint

import "encoding/binary"

func half16(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) }

// value = d·q, q a signed byte.
func dequantQ8_0(dst []float32, src []byte) {
	for len(src) >= 34 && len(dst) >= 32 {
		b, y := (*[34]byte)(src), (*[32]float32)(dst)
		d := half16(b[:2])
		for i := range y {
			y[i] = d * float32(int8(b[2+i]))
		}
		src, dst = src[34:], dst[32:]
	}
}

// value = d·(q−8); the low nibbles are the first 16 values, the high ones the last 16.
func dequantQ4_0(dst []float32, src []byte) {
	for len(src) >= 18 && len(dst) >= 32 {
		b, y := (*[18]byte)(src), (*[32]float32)(dst)
		d := half16(b[:2])
		for i := range 16 {
			q := b[2+i]
			y[i] = d * float32(int32(q&15)-8)
			y[i+16] = d * float32(int32(q>>4)-8)
		}
		src, dst = src[18:], dst[32:]
	}
}

// value = d·q + m.
func dequantQ4_1(dst []float32, src []byte) {
	for len(src) >= 20 && len(dst) >= 32 {
		b, y := (*[20]byte)(src), (*[32]float32)(dst)
		d, m := half16(b[:2]), half16(b[2:4])
		var level [16]float32
		for q := range level {
			level[q] = float32(d*float32(q)) + m
		}
		for i := range 16 {
			q := b[4+i]
			y[i] = level[q&15]
			y[i+16] = level[q>>4]
		}
		src, dst = src[20:], dst[32:]
	}
}

// value = d·(q−16), the fifth bits of the 32 values in one word.
func dequantQ5_0(dst []float32, src []byte) {
	for len(src) >= 22 && len(dst) >= 32 {
		b, y := (*[22]byte)(src), (*[32]float32)(dst)
		d, high := half16(b[:2]), binary.LittleEndian.Uint32(b[2:6])
		for i := range 16 {
			q := b[6+i]
			y[i] = d * float32(int32(uint32(q&15)|high>>i<<4&16)-16)
			y[i+16] = d * float32(int32(uint32(q>>4)|high>>(i+16)<<4&16)-16)
		}
		src, dst = src[22:], dst[32:]
	}
}

// value = d·q + m, the fifth bits as in Q5_0.
func dequantQ5_1(dst []float32, src []byte) {
	for len(src) >= 24 && len(dst) >= 32 {
		b, y := (*[24]byte)(src), (*[32]float32)(dst)
		d, m, high := half16(b[:2]), half16(b[2:4]), binary.LittleEndian.Uint32(b[4:8])
		for i := range 16 {
			q := b[8+i]
			y[i] = float32(d*float32(int32(uint32(q&15)|high>>i<<4&16))) + m
			y[i+16] = float32(d*float32(int32(uint32(q>>4)|high>>(i+16)<<4&16))) + m
		}
		src, dst = src[24:], dst[32:]
	}
}
