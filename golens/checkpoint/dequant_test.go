package checkpoint

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sameBits compares values as bits, except that any NaN equals any other: their payloads differ between processors.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != got[i] && want[i] != want[i] {
			continue
		}
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v (%#x), want %v (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// The reference values are those of gguf-py; see tests/py/parity/make_gguf_testdata.py.
func TestDequantiseAgainstReference(t *testing.T) {
	g, err := OpenGGUF("testdata/quants.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	reference, err := OpenSafetensors("testdata/quants.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer reference.Close()
	if len(g.Names()) != 13 {
		t.Fatalf("%d kinds are tested, want 13: %v", len(g.Names()), g.Names())
	}
	for _, name := range g.Names() {
		t.Run(name, func(t *testing.T) {
			if e, _ := g.Entry(name); e.Kind.String() != name {
				t.Fatalf("kind %v", e.Kind)
			}
			sameBits(t, name, load(t, g, name), load(t, reference, name))
		})
	}
}

func load(t *testing.T, s Source, name string) []float32 {
	t.Helper()
	x, err := s.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Release)
	if x.Float32s() == nil && x.Len() > 0 {
		t.Fatalf("%s: not contiguous float32: %v %v", name, x.DType(), x.Strides())
	}
	return x.Float32s()
}

func TestWidenInPartsEqualsWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for k := range kinds {
		kind := Kind(k)
		if !kind.Loadable() {
			continue
		}
		blocks := (5*grain)/kind.BlockLen() + 3
		src := make([]byte, blocks*kind.BlockBytes())
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		got, want := make([]float32, blocks*kind.BlockLen()), make([]float32, blocks*kind.BlockLen())
		kinds[kind].widen(want, src)
		widen(kind, got, src)
		sameBits(t, kind.String(), got, want)
	}
}

func TestHalfEveryValue(t *testing.T) {
	for bits := range 1 << 16 {
		sign, exponent, fraction := 1-2*float64(bits>>15), bits>>10&31, float64(bits&1023)
		var want float64
		switch exponent {
		case 0:
			want = math.Copysign(math.Ldexp(fraction, -24), sign)
		case 31:
			want = math.Inf(int(sign))
			if fraction != 0 {
				want = math.NaN()
			}
		default:
			want = sign * math.Ldexp(1024+fraction, exponent-25)
		}
		sameBits(t, "half", []float32{half(uint16(bits))}, []float32{float32(want)})
	}
}

func TestKindTable(t *testing.T) {
	for k, info := range kinds {
		if info.name == "" || info.length < 1 || info.bytes < 1 {
			t.Errorf("kind %d: %+v", k, info)
		}
		if info.dtype == notRaw {
			continue
		}
		if length, size := info.dtype.Block(); length != info.length || size != info.bytes {
			t.Errorf("%s has blocks of %d in %d bytes, %s of %d in %d", info.name, info.length, info.bytes, info.dtype, length, size)
		}
	}
	for _, c := range []struct {
		shape []uint64
		n     uint64
		ok    bool
	}{
		{nil, 1, true},
		{[]uint64{3, 4}, 12, true},
		{[]uint64{0, 7}, 0, true},
		{[]uint64{1 << 62, 2}, 0, false},
		{[]uint64{0, 1 << 40, 1 << 40}, 0, false},
		{[]uint64{math.MaxUint64}, 0, false},
		{[]uint64{math.MaxInt64}, math.MaxInt64, true},
	} {
		if n, ok := countElements(c.shape); n != c.n || ok != c.ok {
			t.Errorf("countElements(%v) = %d, %v", c.shape, n, ok)
		}
	}
	if _, ok := F64.byteSize(1 << 60); ok {
		t.Error("8·2^60 bytes counted")
	}
	if _, ok := Q4_K.byteSize(257); ok {
		t.Error("a block and one value counted")
	}
}

func BenchmarkWiden(b *testing.B) {
	for _, kind := range []Kind{F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K} {
		const n = 1 << 20
		src, dst := make([]byte, n/kind.BlockLen()*kind.BlockBytes()), make([]float32, n)
		for i := range src {
			src[i] = byte(i*7+i>>8)&0xbf | 4 // no special half-precision scales, as in real models
		}
		b.Run(kind.String(), func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				kinds[kind].widen(dst, src)
			}
		})
	}
}
