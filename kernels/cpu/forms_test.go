package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand"
	"testing"
	"unsafe"
)

// stored is a matrix in some form, and the values that it means.
type stored struct {
	form       Form
	rows, cols int
	raw        []byte
	wide       []float32
}

// formCases are all forms: what a block's values are, by the format's own words.
var formCases = []struct {
	form          Form
	name          string
	length, bytes int
	widen         func(block []byte) []float32
}{
	{Float32, "float32", 1, 4, func(b []byte) []float32 {
		return []float32{math.Float32frombits(binary.LittleEndian.Uint32(b))}
	}},
	{BFloat16, "bfloat16", 1, 2, func(b []byte) []float32 {
		return []float32{float32(widen64(binary.LittleEndian.Uint16(b), 8, 7))}
	}},
	{Float16, "float16", 1, 2, func(b []byte) []float32 { return []float32{half(b)} }},
	{Q8_0, "Q8_0", 32, 34, func(b []byte) []float32 {
		y := make([]float32, 32)
		for i := range y {
			y[i] = half(b) * float32(int8(b[2+i]))
		}
		return y
	}},
	{Q4_1, "Q4_1", 32, 20, func(b []byte) []float32 {
		y := make([]float32, 32)
		for i := range y {
			q := b[4+i%16] & 15
			if i >= 16 {
				q = b[4+i%16] >> 4
			}
			y[i] = float32(half(b)*float32(q)) + half(b[2:])
		}
		return y
	}},
}

func half(b []byte) float32 { return float32(widen64(binary.LittleEndian.Uint16(b), 5, 10)) }

// newStored is random; every `odd`th block or number has an infinite scale, NaN or a subnormal, none if it is 0.
func newStored(r *rand.Rand, form Form, rows, cols, odd int) *stored {
	f := formCases[form]
	s := &stored{form: form, rows: rows, cols: cols, raw: make([]byte, rows*cols/f.length*f.bytes)}
	r.Read(s.raw)
	for i := 0; i < len(s.raw)/f.bytes; i++ {
		block := s.raw[i*f.bytes : (i+1)*f.bytes]
		small := uint16(r.Intn(0x800) + 0x1c00 + r.Intn(2)<<15) // a half of 2^-8 to 2^-6
		switch form {
		case Float32:
			binary.LittleEndian.PutUint32(block, math.Float32bits(r.Float32()*2-1))
		case BFloat16:
			binary.LittleEndian.PutUint16(block, uint16(math.Float32bits(r.Float32()*2-1)>>16))
		default:
			binary.LittleEndian.PutUint16(block, small)
		}
		if form == Q4_1 {
			binary.LittleEndian.PutUint16(block[2:], uint16(r.Intn(0x2000)+0x1c00+r.Intn(2)<<15))
		}
		if odd > 0 && r.Intn(odd) == 0 && form != Float32 {
			special := [][]uint16{{0x7f80, 0xff80, 0x7fc1, 1, 0x8000}, {0x7c00, 0xfc00, 0x7e01, 1, 0x83ff}}
			kind := 1
			if form == BFloat16 {
				kind = 0
			}
			binary.LittleEndian.PutUint16(block[(r.Intn(2)*2)%min(f.bytes, 4):], special[kind][r.Intn(5)])
		}
		s.wide = append(s.wide, f.widen(block)...)
	}
	return s
}

// at is where value (row, col) is stored, the first of its block.
func (s *stored) at(row, col int) unsafe.Pointer {
	f := formCases[s.form]
	return ptr(s.raw[(row*s.cols+col)/f.length*f.bytes:])
}

// columnSlice is a part of a product that reads a slice of B.
type columnSlice struct{ n0, n, k0, k int }

// sameAsWidened checks M rows times a slice of B, which is [N, K] if trans, against the float32 kernels.
func (s *stored) sameAsWidened(t *testing.T, r *rand.Rand, m int, trans, epilogue bool, c columnSlice) {
	t.Helper()
	a, bias, res := uniform(r, m*(c.k+3)), uniform(r, c.n), uniform(r, m*(c.n+2))
	got, want := make([]float32, m*(c.n+1)), make([]float32, m*(c.n+1))
	row, col := c.k0, c.n0
	if trans {
		row, col = c.n0, c.k0
	}
	g := Gemm{M: m, N: c.n, K: c.k, A: ptr(a), LDA: c.k + 3, Form: s.form, B: s.at(row, col), LDB: s.cols, TransB: trans, C: ptr(got), LDC: c.n + 1}
	if epilogue {
		g.Bias, g.Residual, g.LDR = ptr(bias), ptr(res), c.n+2
	}
	wide := g
	wide.Form, wide.B, wide.C = Float32, ptr(s.wide[row*s.cols+col:]), ptr(want)
	for _, p := range []*Gemm{&g, &wide} {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}
	sameBits(t, fmt.Sprintf("%s M %d %+v transposed %v bias and residual %v", formCases[s.form].name, m, c, trans, epilogue), got, want)
}

var formRows = []int{1, 2, 3, 7, 16, 40, 64, 100}

// TestGemmOfForms: every form gives the bits of the widened matrix, whatever the rows, slices, threads and instruction set.
func TestGemmOfForms(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, f := range formCases[1:] {
			r := rand.New(rand.NewSource(int64(f.form)))
			for _, blocks := range []int{1, 2, 5, 12, 13, 18, 25, 37} { // of 32 along K: 13 is cut in half by the order of sums
				k := 32 * blocks
				if f.length == 1 {
					k += []int{-31, -17, -1, 0, 1, 9}[blocks%6]
				}
				s := newStored(r, f.form, 43, k, 0)
				for i, m := range formRows {
					s.sameAsWidened(t, r, m, true, i%2 == 0, columnSlice{0, 43, 0, k})
					s.sameAsWidened(t, r, m, true, i%2 == 1, columnSlice{5, 17, 0, k})
				}
				if f.length == 1 {
					s = newStored(r, f.form, k, 43, 0)
					for i, m := range formRows {
						s.sameAsWidened(t, r, m, false, i%2 == 0, columnSlice{0, 43, 0, k})
						s.sameAsWidened(t, r, m, false, i%2 == 1, columnSlice{5, 17, k / 3, k - k/3})
					}
				}
			}
		}
	})
}

func TestGemmOfFormsSlicesAndThreads(t *testing.T) {
	const n, k = 333, 576
	slices := []columnSlice{{0, n, 0, k}, {32, 300, 32, 416}, {1, 1, 64, 96}, {7, 97, 160, 416}, {n - 16, 16, k - 32, 32}}
	eachISA(t, func(t *testing.T) {
		for _, threads := range []int{1, 2} {
			withThreads(threads, func() {
				for _, f := range formCases[1:] {
					r := rand.New(rand.NewSource(10 + int64(f.form)))
					s, plain := newStored(r, f.form, n, k, 0), newStored(r, f.form, k, n, 0)
					for _, c := range slices {
						for _, m := range []int{1, 2, 16, 41, 100} {
							s.sameAsWidened(t, r, m, true, true, c)
							if f.length == 1 {
								plain.sameAsWidened(t, r, m, false, true, c)
							}
						}
					}
				}
			})
		}
	})
}

// TestGemmOfFormsSpecialValues: infinite, NaN and subnormal scales and numbers go where arithmetic takes them.
func TestGemmOfFormsSpecialValues(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, f := range formCases[1:] {
			r := rand.New(rand.NewSource(20 + int64(f.form)))
			s := newStored(r, f.form, 90, 192, 150)
			bad := 0
			for _, v := range s.wide {
				if v != v || math.IsInf(float64(v), 0) {
					bad++
				}
			}
			if bad == 0 {
				t.Fatalf("%s: nothing special among the values", f.name)
			}
			for _, m := range []int{1, 2, 40, 65} {
				s.sameAsWidened(t, r, m, true, true, columnSlice{0, 90, 0, 192})
				if f.length == 1 {
					s.sameAsWidened(t, r, m, false, true, columnSlice{0, 192, 0, 90})
				}
			}
		}
	})
}

// TestGemmOfFormsInTheOneOrder compares with the chain itself, for the other tests compare kernels with kernels.
func TestGemmOfFormsInTheOneOrder(t *testing.T) {
	const m, n, k = 3, 19, 1184
	eachISA(t, func(t *testing.T) {
		for _, f := range formCases {
			r := rand.New(rand.NewSource(30 + int64(f.form)))
			s, a, got, want := newStored(r, f.form, n, k, 0), uniform(r, m*k), make([]float32, m*n), make([]float32, m*n)
			for i := range want {
				want[i] = chain(a[i/n*k:(i/n+1)*k], s.wide[i%n*k:(i%n+1)*k])
			}
			g := Gemm{M: m, N: n, K: k, A: ptr(a), LDA: k, Form: f.form, B: ptr(s.raw), LDB: k, TransB: true, C: ptr(got), LDC: n}
			if err := g.Run(); err != nil {
				t.Fatal(err)
			}
			sameBits(t, f.name, got, want)
		}
	})
}

// TestWidenBlocks has every half-precision number as a scale.
func TestWidenBlocks(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, f := range formCases[Q8_0:] {
			r := rand.New(rand.NewSource(40))
			s := newStored(r, f.form, 1<<16, 32, 0)
			s.wide = s.wide[:0]
			for i := range 1 << 16 {
				block := s.raw[i*f.bytes : (i+1)*f.bytes]
				binary.LittleEndian.PutUint16(block, uint16(i))
				s.wide = append(s.wide, f.widen(block)...)
			}
			y := make([]float32, len(s.wide))
			Widen(f.form, ptr(y), ptr(s.raw), len(y))
			sameBits(t, f.name, y, s.wide)
		}
	})
}

func TestGatherOfForms(t *testing.T) {
	const rows, cols, n = 50, 160, 96
	ids := []int64{0, 49, 7, 7, 48, 1}
	eachISA(t, func(t *testing.T) {
		for _, f := range formCases {
			r := rand.New(rand.NewSource(50 + int64(f.form)))
			s, add := newStored(r, f.form, rows, cols, 200), uniform(r, len(ids)*n)
			out, want := make([]float32, len(ids)*(n+1)), make([]float32, len(ids)*(n+1))
			for i, id := range ids {
				for j := range n {
					want[i*(n+1)+j] = s.wide[int(id)*cols+32+j] + add[i*n+j]
				}
			}
			g := Gather{Rows: len(ids), N: n, Form: f.form, Table: s.at(0, 32), LDTable: cols, IDs: ptr(ids), Add: ptr(add), LDAdd: n, Out: ptr(out), LDOut: n + 1}
			g.Run()
			sameBits(t, f.name, out, want)
			wide, cut := make([]float32, rows*(n+1)), make([]float32, rows*(n+1))
			for i := range rows {
				copy(cut[i*(n+1):], s.wide[i*cols+32:i*cols+32+n])
			}
			WidenRows(f.form, rows, n, ptr(wide), n+1, s.at(0, 32), cols)
			sameBits(t, f.name+" rows widened", wide, cut)
		}
	})
}
