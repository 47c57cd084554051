//go:build unix

package cpu

import (
	"math/rand"
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns n random floats that end where readable memory ends, as a mapped file may.
func guarded(t *testing.T, r *rand.Rand, n int) []float32 {
	t.Helper()
	mem := guardedBytes(t, 4*n)
	s := unsafe.Slice((*float32)(ptr(mem)), n)
	for i := range s {
		s[i] = r.Float32()*2 - 1
	}
	return s
}

// guardedBytes returns n bytes that end where readable memory ends.
func guardedBytes(t *testing.T, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(mem) })
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return mem[size-n : size]
}

// Nothing is read or written past the end of a tensor: it would be a fault.
func TestNothingReachesPastTheEnd(t *testing.T) {
	r := rand.New(rand.NewSource(100))
	eachISA(t, func(t *testing.T) {
		for _, s := range [][3]int{{1, 5, 7}, {2, 17, 33}, {13, 33, 100}, {50, 47, 401}, {70, 71, 39}} {
			m, n, k := s[0], s[1], s[2]
			g := Gemm{M: m, N: n, K: k, A: ptr(guarded(t, r, m*k)), LDA: k, B: ptr(guarded(t, r, k*n)), LDB: n,
				C: ptr(guarded(t, r, m*n)), LDC: n, Bias: ptr(guarded(t, r, n)), Residual: ptr(guarded(t, r, m*n)), LDR: n}
			for range 2 {
				if err := g.Run(); err != nil {
					t.Fatal(err)
				}
				g.LDB, g.TransB = k, true
			}
		}
		for _, a := range attentionCases {
			l := newLayer(1, a)
			l.q, l.k, l.v = guarded(t, r, len(l.q)), guarded(t, r, len(l.k)), guarded(t, r, len(l.v))
			l.bind()
			l.Attention.Scores, l.Attention.Pattern = ptr(guarded(t, r, len(l.scores))), ptr(guarded(t, r, len(l.scores)))
			l.Attention.Z = ptr(guarded(t, r, len(l.z)))
			l.fused(t)
			l.steps(t)
		}
		x, y := guarded(t, r, 3*37), guarded(t, r, 3*37)
		n := Norm{Rows: 3, N: 37, X: ptr(x), LDX: 37, Y: ptr(y), W: ptr(guarded(t, r, 37)), B: ptr(guarded(t, r, 37))}
		n.Run()
		Activate(GELU, ptr(y), ptr(x), 3*37)
		Add(ptr(y), ptr(x), ptr(y), 3*37)
		a := ActivateMul{Act: SiLU, Rows: 3, N: 37, Gate: ptr(x), LDGate: 37, Up: ptr(x), LDUp: 37, Out: ptr(y), LDOut: 37}
		a.Run()
		CrossEntropy(ptr(make([]float32, 3)), ptr(x), 37, ptr([]int64{0, 1, 36}), 3, 37)
		Widen(Float16, ptr(y), ptr(guarded(t, r, 56)), 3*37)
		Narrow(Float16, ptr(guarded(t, r, 56)), ptr(x), 3*37)
	})
}

// Nor past the end of a matrix in another form, whichever kernel reads it.
func TestNothingReachesPastTheEndOfForms(t *testing.T) {
	r := rand.New(rand.NewSource(101))
	eachISA(t, func(t *testing.T) {
		for _, f := range formCases[1:] {
			for _, n := range []int{1, 17, 33, 64, 100} {
				for _, k := range []int{7, 32, 64, 100, 416} {
					if k%f.length != 0 {
						continue
					}
					s := newStored(r, f.form, n, k, 0)
					raw := guardedBytes(t, len(s.raw))
					copy(raw, s.raw)
					s.raw = raw
					for _, m := range []int{1, 2, 16, 41} {
						s.sameAsWidened(t, r, m, true, true, columnSlice{0, n, 0, k})
						if f.length == 1 {
							s.sameAsWidened(t, r, m, false, true, columnSlice{0, k, 0, n})
						}
					}
					y := guarded(t, r, n*k)
					Widen(f.form, ptr(y), ptr(raw), n*k)
					sameBits(t, f.name+" widened", y, s.wide)
				}
			}
		}
	})
}
