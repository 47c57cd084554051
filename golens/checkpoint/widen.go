// Plain numbers to float32, and the spreading of any conversion over the processor's cores.
package checkpoint

import (
	"encoding/binary"
	"math"
	"runtime"
	"sync"
	"unsafe"
)

// grain is the number of elements for which one more goroutine is worth its start.
const grain = 1 << 16

// widen converts the whole blocks in src to the elements of dst, whose lengths agree.
func widen(kind Kind, dst []float32, src []byte) {
	info := kinds[kind]
	blocks := len(dst) / info.length
	workers := min(runtime.GOMAXPROCS(0), len(dst)/grain, blocks)
	if workers <= 1 {
		info.widen(dst, src)
		return
	}
	var wait sync.WaitGroup
	for w := range workers {
		from, to := blocks*w/workers, blocks*(w+1)/workers
		wait.Go(func() {
			info.widen(dst[from*info.length:to*info.length], src[from*info.bytes:to*info.bytes])
		})
	}
	wait.Wait()
}

func widenF32(dst []float32, src []byte) {
	if len(dst) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst)*4), src)
	}
}

func widenF64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[i*8:])))
	}
}

func widenF16(dst []float32, src []byte) {
	src = src[:len(dst)*2]
	for i := range dst {
		if h := binary.LittleEndian.Uint16(src[i*2:]); halfIsNormal(h) {
			dst[i] = halfNormal(h)
		} else {
			dst[i] = halfSpecial(h)
		}
	}
}

func widenBF16(dst []float32, src []byte) {
	for len(dst) >= 4 && len(src) >= 8 { // four at a time: most checkpoints are of this kind
		word, y := binary.LittleEndian.Uint64(src), (*[4]float32)(dst)
		y[0] = math.Float32frombits(uint32(word << 16))
		y[1] = math.Float32frombits(uint32(word) &^ 0xffff)
		y[2] = math.Float32frombits(uint32(word >> 32 << 16))
		y[3] = math.Float32frombits(uint32(word>>32) &^ 0xffff)
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[i*2:])) << 16)
	}
}

func widenI64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int64(binary.LittleEndian.Uint64(src[i*8:])))
	}
}

func widenI32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int32(binary.LittleEndian.Uint32(src[i*4:])))
	}
}

func widenI16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[i*2:])))
	}
}

func widenI8(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int8(src[i]))
	}
}

func widenU64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(binary.LittleEndian.Uint64(src[i*8:]))
	}
}

func widenU32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(binary.LittleEndian.Uint32(src[i*4:]))
	}
}

func widenU16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(binary.LittleEndian.Uint16(src[i*2:]))
	}
}

func widenU8(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(src[i])
	}
}

func widenBool(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = 0
		if src[i] != 0 {
			dst[i] = 1
		}
	}
}

// half widens an IEEE binary16 exactly. It is in parts so that the loop over many numbers calls nothing.
func half(h uint16) float32 {
	if halfIsNormal(h) {
		return halfNormal(h)
	}
	return halfSpecial(h)
}

// halfIsNormal: all exponents but 0 and 31, for which moving the bits is enough.
func halfIsNormal(h uint16) bool { return (h>>10+1)&31 > 1 }

func halfNormal(h uint16) float32 {
	return math.Float32frombits(uint32(h&0x8000)<<16 | (uint32(h&0x7fff)<<13 + 112<<23))
}

// halfSpecial widens zeros, subnormals, infinities and NaN (quietened, its payload kept).
func halfSpecial(h uint16) float32 {
	sign, fraction := uint32(h&0x8000)<<16, uint32(h&0x3ff)
	if h&0x7c00 != 0 {
		if fraction != 0 {
			fraction |= 0x200
		}
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	value := float32(fraction) * (1.0 / (1 << 24))
	return math.Float32frombits(sign | math.Float32bits(value))
}
