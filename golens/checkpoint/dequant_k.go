// The "K" block formats of ggml: 256 values in groups of 16 or 32, each group with a small integer scale (and offset)
// of its own under the block's half-precision ones. Products are rounded apart, as in dequant.go.
package checkpoint

// value = (d·scale)·q − (dmin·offset): 16 groups of 16, 2 bits a value, scale and offset in the nibbles of a byte.
func dequantQ2_K(dst []float32, src []byte) {
	for len(src) >= 84 && len(dst) >= 256 {
		b, y := (*[84]byte)(src), (*[256]float32)(dst)
		d, dmin := half16(b[80:82]), half16(b[82:84])
		for group := range 16 {
			scale := d * float32(b[group]&15)
			offset := dmin * float32(b[group]>>4)
			q := b[16+group/8*32+group%2*16:][:16]
			shift := uint(group % 8 / 2 * 2)
			out := y[group*16:][:16]
			for i := range out {
				out[i] = float32(scale*float32(q[i]>>shift&3)) - offset
			}
		}
		src, dst = src[84:], dst[256:]
	}
}

// value = d·(scale−32)·q: 16 groups of 16, two bits of q in qs and a third in hmask, where a set bit means "no −4".
func dequantQ3_K(dst []float32, src []byte) {
	for len(src) >= 110 && len(dst) >= 256 {
		b, y := (*[110]byte)(src), (*[256]float32)(dst)
		d := half16(b[108:110])
		packed := b[96:108]
		for group := range 16 {
			low := packed[group%8] >> uint(group/8*4) & 15
			high := packed[8+group%4] >> uint(group/4*2) & 3
			scale := d * float32(int32(low|high<<4)-32)
			q := b[32+group/8*32+group%2*16:][:16]
			mask := b[group%2*16:][:16]
			shift, bit := uint(group%8/2*2), uint(group/2)
			out := y[group*16:][:16]
			for i := range out {
				out[i] = scale * float32(int32(q[i]>>shift&3)-int32(^mask[i]>>bit&1)*4)
			}
		}
		src, dst = src[110:], dst[256:]
	}
}

// groupScale unpacks the six-bit scale and offset of one of the eight groups of Q4_K and Q5_K from 12 bytes.
func groupScale(packed *[12]byte, group int) (scale, offset float32) {
	if group < 4 {
		return float32(packed[group] & 63), float32(packed[group+4] & 63)
	}
	both := packed[group+4]
	return float32(both&15 | packed[group-4]>>6<<4), float32(both>>4 | packed[group]>>6<<4)
}

// value = (d·scale)·q − (dmin·offset): 8 groups of 32, two groups share 32 bytes as low and high nibbles.
func dequantQ4_K(dst []float32, src []byte) {
	for len(src) >= 144 && len(dst) >= 256 {
		b, y := (*[144]byte)(src), (*[256]float32)(dst)
		d, dmin := half16(b[:2]), half16(b[2:4])
		packed := (*[12]byte)(b[4:16])
		for pair := range 4 {
			scale0, offset0 := groupScale(packed, 2*pair)
			scale1, offset1 := groupScale(packed, 2*pair+1)
			scale0, offset0, scale1, offset1 = d*scale0, dmin*offset0, d*scale1, dmin*offset1
			q := (*[32]byte)(b[16+pair*32:])
			out := (*[64]float32)(y[pair*64:])
			for i := range q {
				out[i] = float32(scale0*float32(q[i]&15)) - offset0
				out[i+32] = float32(scale1*float32(q[i]>>4)) - offset1
			}
		}
		src, dst = src[144:], dst[256:]
	}
}

// As Q4_K, with the fifth bits of group g in bit g of 32 bytes.
func dequantQ5_K(dst []float32, src []byte) {
	for len(src) >= 176 && len(dst) >= 256 {
		b, y := (*[176]byte)(src), (*[256]float32)(dst)
		d, dmin := half16(b[:2]), half16(b[2:4])
		packed, high := (*[12]byte)(b[4:16]), (*[32]byte)(b[16:48])
		for pair := range 4 {
			scale0, offset0 := groupScale(packed, 2*pair)
			scale1, offset1 := groupScale(packed, 2*pair+1)
			scale0, offset0, scale1, offset1 = d*scale0, dmin*offset0, d*scale1, dmin*offset1
			q := (*[32]byte)(b[48+pair*32:])
			out := (*[64]float32)(y[pair*64:])
			for i := range q {
				fifth := high[i] >> uint(2*pair)
				out[i] = float32(scale0*float32(q[i]&15|fifth&1<<4)) - offset0
				out[i+32] = float32(scale1*float32(q[i]>>4|fifth>>1&1<<4)) - offset1
			}
		}
		src, dst = src[176:], dst[256:]
	}
}

// value = (d·scale)·(q−32): 16 groups of 16 with signed byte scales, four low bits in ql and two high ones in qh.
func dequantQ6_K(dst []float32, src []byte) {
	for len(src) >= 210 && len(dst) >= 256 {
		b, y := (*[210]byte)(src), (*[256]float32)(dst)
		d := half16(b[208:210])
		for run := range 8 { // 32 values each
			ql := (*[32]byte)(b[run/4*64+run%2*32:])
			qh := (*[32]byte)(b[128+run/4*32:])
			low, high := uint(run%4/2*4), uint(run%4*2)
			scale := [2]float32{d * float32(int8(b[192+2*run])), d * float32(int8(b[193+2*run]))}
			out := (*[32]float32)(y[run*32:])
			for i := range out {
				q := int32(ql[i]>>low&15|qh[i]>>high&3<<4) - 32
				out[i] = scale[i>>4] * float32(q)
			}
		}
		src, dst = src[210:], dst[256:]
	}
}
