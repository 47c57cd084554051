package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

// layer holds one attention problem and buffers for every result.
type layer struct {
	Attention
	q, k, v, scores, pattern, z []float32
	mask                        []uint8
}

func newLayer(seed int64, a Attention) *layer {
	r := rand.New(rand.NewSource(seed))
	if a.ValueDim == 0 {
		a.ValueDim = a.HeadDim
	}
	l := &layer{Attention: a}
	l.q = uniform(r, a.Batch*a.QLen*a.Heads*a.HeadDim)
	l.k = uniform(r, a.Batch*a.KLen*a.KVHeads*a.HeadDim)
	l.v = uniform(r, a.Batch*a.KLen*a.KVHeads*a.ValueDim)
	for i := range l.q { // far enough from uniform for the softmax to matter
		l.q[i] *= 4
	}
	l.bind()
	return l
}

func (l *layer) bind() {
	a := &l.Attention
	rows := func(s []float32, pos, heads, e int) Rows {
		return Rows{Data: ptr(s), Batch: pos * heads * e, Pos: heads * e, Head: e}
	}
	l.scores = make([]float32, a.Batch*a.Heads*a.QLen*a.KLen)
	l.pattern = make([]float32, len(l.scores))
	l.z = make([]float32, a.Batch*a.QLen*a.Heads*a.ValueDim)
	a.Q, a.K, a.V = rows(l.q, a.QLen, a.Heads, a.HeadDim), rows(l.k, a.KLen, a.KVHeads, a.HeadDim), rows(l.v, a.KLen, a.KVHeads, a.ValueDim)
	a.Scores, a.Pattern, a.Z, a.Mask = ptr(l.scores), ptr(l.pattern), ptr(l.z), ptr(l.mask)
}

// sees tells whether query i of sequence b sees key j.
func (l *layer) sees(b, i, j int) bool {
	at := i + l.KLen - l.QLen
	return !(l.Causal && j > at || l.Window > 0 && at-j >= l.Window || l.mask != nil && l.mask[b*l.KLen+j] == 0)
}

// steps runs the three steps and returns a copy of z.
func (l *layer) steps(t *testing.T) []float32 {
	t.Helper()
	clear(l.z)
	if err := l.RunScores(); err != nil {
		t.Fatal(err)
	}
	Softmax(l.Attention.Pattern, l.Attention.Scores, l.Batch*l.Heads*l.QLen, l.KLen, l.ZeroMasked)
	if err := l.RunMix(); err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), l.z...)
}

// fused runs the fused kernel and returns a copy of z.
func (l *layer) fused(t *testing.T) []float32 {
	t.Helper()
	clear(l.z)
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), l.z...)
}

// reference computes scores, pattern and z in float64.
func (l *layer) reference() (scores, pattern, z []float64) {
	scores = make([]float64, len(l.scores))
	pattern = make([]float64, len(l.scores))
	z = make([]float64, len(l.z))
	for row := range l.Batch * l.Heads * l.QLen {
		i, h, b := row%l.QLen, row/l.QLen%l.Heads, row/l.QLen/l.Heads
		g := h / (l.Heads / l.KVHeads)
		s, p := scores[row*l.KLen:(row+1)*l.KLen], pattern[row*l.KLen:(row+1)*l.KLen]
		q := l.q[((b*l.QLen+i)*l.Heads+h)*l.HeadDim:]
		most := math.Inf(-1)
		for j := range s {
			s[j] = Masked
			if l.sees(b, i, j) {
				dot := 0.0
				for e := range l.HeadDim {
					dot += float64(q[e]) * float64(l.k[((b*l.KLen+j)*l.KVHeads+g)*l.HeadDim+e])
				}
				s[j] = dot * float64(l.Scale)
				if l.SoftCap > 0 {
					s[j] = float64(l.SoftCap) * math.Tanh(s[j]/float64(l.SoftCap))
				}
			}
			most = math.Max(most, s[j])
		}
		sum := 0.0
		for j := range s {
			p[j] = math.Exp(s[j] - most)
			sum += p[j]
		}
		for j := range s {
			p[j] /= sum
			if l.ZeroMasked && !l.sees(b, i, j) {
				p[j] = 0
			}
			for e := range l.ValueDim {
				z[((b*l.QLen+i)*l.Heads+h)*l.ValueDim+e] += p[j] * float64(l.v[((b*l.KLen+j)*l.KVHeads+g)*l.ValueDim+e])
			}
		}
	}
	return scores, pattern, z
}

var attentionCases = map[string]Attention{
	"capped":            {Batch: 2, Heads: 4, KVHeads: 2, QLen: 40, KLen: 40, HeadDim: 24, Scale: .7, Causal: true, SoftCap: 1.3},
	"zeroed":            {Batch: 2, Heads: 2, KVHeads: 1, QLen: 21, KLen: 21, HeadDim: 16, Scale: .3, Causal: true, ZeroMasked: true},
	"zeroed, capped":    {Batch: 1, Heads: 2, KVHeads: 2, QLen: 21, KLen: 50, HeadDim: 16, Scale: .5, SoftCap: 2, ZeroMasked: true},
	"causal":            {Batch: 2, Heads: 3, KVHeads: 3, QLen: 70, KLen: 70, HeadDim: 64, Scale: .125, Causal: true},
	"one position":      {Batch: 1, Heads: 2, KVHeads: 2, QLen: 1, KLen: 1, HeadDim: 16, Scale: .25, Causal: true},
	"decode with cache": {Batch: 2, Heads: 4, KVHeads: 2, QLen: 1, KLen: 131, HeadDim: 64, Scale: .125, Causal: true},
	"chunk with cache":  {Batch: 1, Heads: 6, KVHeads: 2, QLen: 37, KLen: 200, HeadDim: 32, Scale: .2, Causal: true},
	"grouped, odd dims": {Batch: 2, Heads: 9, KVHeads: 3, QLen: 17, KLen: 17, HeadDim: 20, ValueDim: 13, Scale: .3, Causal: true},
	"not causal":        {Batch: 2, Heads: 2, KVHeads: 1, QLen: 33, KLen: 65, HeadDim: 80, Scale: .1},
	"window":            {Batch: 1, Heads: 2, KVHeads: 2, QLen: 150, KLen: 150, HeadDim: 48, Scale: .15, Causal: true, Window: 19},
	"window of 1":       {Batch: 1, Heads: 1, KVHeads: 1, QLen: 70, KLen: 70, HeadDim: 8, Scale: 1, Causal: true, Window: 1},
	"wide heads":        {Batch: 1, Heads: 2, KVHeads: 2, QLen: 20, KLen: 20, HeadDim: 192, ValueDim: 128, Scale: .07, Causal: true},
}

func TestAttentionAgainstFloat64(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for name, a := range attentionCases {
			for _, padded := range []bool{false, true} {
				l := newLayer(7, a)
				if padded {
					l.mask = make([]uint8, a.Batch*a.KLen)
					for i := range l.mask {
						l.mask[i] = uint8(min(1, i*7%5))
					}
					l.bind()
				}
				scores, pattern, z := l.reference()
				what := fmt.Sprintf("%s, padded %v: ", name, padded)
				got := l.steps(t)
				for i, s := range scores {
					if (s == Masked) != (l.scores[i] == Masked) {
						t.Fatalf("%sscore %d is %g, want %g", what, i, l.scores[i], s)
					}
					if s == Masked {
						scores[i], l.scores[i] = 0, 0
					}
				}
				near(t, what+"scores", l.scores, scores, 1e-6)
				near(t, what+"pattern", l.pattern, pattern, 4e-6)
				near(t, what+"z", got, z, 4e-6)
				sameBits(t, what+"fused", l.fused(t), got)
			}
		}
	})
}

func TestAttentionVariantsAndThreadsAgree(t *testing.T) {
	for name, a := range attentionCases {
		var want []float32
		eachISA(t, func(t *testing.T) {
			for _, threads := range []int{1, 2, 5} {
				withThreads(threads, func() {
					l := newLayer(8, a)
					got := l.fused(t)
					if want == nil {
						want = got
					}
					sameBits(t, fmt.Sprintf("%s, %d threads", name, threads), got, want)
				})
			}
		})
	}
}

// A sequence padded on the left by 0, 3 and 37, alone and among others, at growing lengths.
func TestAttentionRowsDoNotDependOnPaddingOrBatch(t *testing.T) {
	lengths := []int{100, 383, 385}
	for n := 1; n <= 17; n++ {
		lengths = append(lengths, n)
	}
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths {
			batches := []int{1, 2, 7}
			if n == 5 {
				batches = append(batches, 40)
			}
			if n > 100 {
				if ISA() == "plain" {
					continue // slow, and its code is the same at 100
				}
				batches = []int{2}
			}
			a := Attention{Batch: 1, Heads: 2, KVHeads: 1, QLen: n, KLen: n, HeadDim: 24, Scale: .2, Causal: true}
			one := newLayer(9, a)
			want := one.fused(t)
			for _, pad := range []int{0, 3, 37} {
				for _, batch := range batches {
					l := padLayer(one, pad, batch)
					for way, z := range map[string][]float32{"fused": l.fused(t), "steps": l.steps(t)} {
						row := len(z) / batch
						got := z[(batch-1)*row+pad*2*24 : batch*row]
						sameBits(t, fmt.Sprintf("length %d padding %d batch %d %s", n, pad, batch, way), got, want)
					}
				}
			}
		}
	})
}

// padLayer puts a copy of one's only sequence last in a batch of random ones, behind pad masked
// positions whose keys and values are NaN.
func padLayer(one *layer, pad, batch int) *layer {
	a := one.Attention
	a.Batch, a.QLen, a.KLen = batch, a.QLen+pad, a.KLen+pad
	l := newLayer(10, a)
	l.mask = make([]uint8, batch*a.KLen)
	for i := range l.mask {
		l.mask[i] = 1
	}
	last := (batch - 1) * a.KLen
	kv, q := a.KVHeads*a.HeadDim, a.Heads*a.HeadDim
	for i := range pad {
		l.mask[last+i] = 0
		for e := range kv {
			l.k[(last+i)*kv+e] = float32(nan())
			l.v[(last+i)*kv+e] = float32(nan())
		}
	}
	copy(l.q[(last+pad)*q:], one.q)
	copy(l.k[(last+pad)*kv:], one.k)
	copy(l.v[(last+pad)*kv:], one.v)
	l.bind()
	return l
}

func TestAttentionWithoutKeys(t *testing.T) {
	l := newLayer(18, Attention{Batch: 1, Heads: 2, KVHeads: 1, QLen: 3, KLen: 1, HeadDim: 4, Scale: 1})
	l.KLen = 0
	for _, f := range []func() error{l.Run, l.RunMix} {
		l.z[5] = 7
		if err := f(); err != nil {
			t.Fatal(err)
		}
		sameBits(t, "z", l.z, make([]float32, len(l.z)))
	}
}

// A longer sequence, or more cached keys, does not change a row.
func TestAttentionRowsDoNotDependOnKeyLength(t *testing.T) {
	a := Attention{Batch: 1, Heads: 2, KVHeads: 2, QLen: 300, KLen: 300, HeadDim: 64, Scale: .125, Causal: true}
	eachISA(t, func(t *testing.T) {
		long := newLayer(11, a)
		z := long.fused(t)
		for _, span := range [][2]int{{0, 1}, {0, 17}, {16, 17}, {100, 164}, {299, 300}} {
			b := a
			b.QLen, b.KLen = span[1]-span[0], span[1]
			l := newLayer(11, b)
			copy(l.q, long.q[span[0]*128:span[1]*128])
			copy(l.k, long.k)
			copy(l.v, long.v)
			sameBits(t, fmt.Sprint("queries ", span), l.fused(t), z[span[0]*128:span[1]*128])
		}
	})
}

func TestAttentionStridedInputs(t *testing.T) {
	a := Attention{Batch: 2, Heads: 3, KVHeads: 3, QLen: 21, KLen: 21, HeadDim: 32, Scale: .2, Causal: true}
	l := newLayer(12, a)
	want := l.fused(t)
	// One tensor [batch, pos, 3, heads, e], as a joint projection to q, k and v leaves it.
	n := 3 * 32
	joint := make([]float32, 2*21*3*n)
	for row := range 2 * 21 {
		copy(joint[row*3*n:], l.q[row*n:(row+1)*n])
		copy(joint[row*3*n+n:], l.k[row*n:(row+1)*n])
		copy(joint[row*3*n+2*n:], l.v[row*n:(row+1)*n])
	}
	for i, r := range []*Rows{&l.Q, &l.K, &l.V} {
		*r = Rows{Data: ptr(joint[i*n:]), Batch: 21 * 3 * n, Pos: 3 * n, Head: 32}
	}
	sameBits(t, "joint projection", l.fused(t), want)
}

// Rows masked throughout share equally among all keys, as Hugging Face's eager attention has it.
func TestAttentionFullyMaskedRows(t *testing.T) {
	a := Attention{Batch: 1, Heads: 1, KVHeads: 1, QLen: 6, KLen: 6, HeadDim: 16, Scale: .25, Causal: true}
	eachISA(t, func(t *testing.T) {
		l := newLayer(13, a)
		l.mask = []uint8{0, 0, 1, 1, 1, 1}
		l.bind()
		z := l.steps(t)
		for i := range 2 * 6 {
			if l.pattern[i] != float32(1)/6 {
				t.Fatalf("pattern %d is %g, want 1/6", i, l.pattern[i])
			}
		}
		if l.pattern[2*6+2] != 1 {
			t.Fatalf("the first real position sees itself with %g, want 1", l.pattern[2*6+2])
		}
		sameBits(t, "fused", l.fused(t), z)
	})
}

// What is inf or NaN at keys that a query does not see stays out of its row, fused or not; what it
// sees comes through.
func TestAttentionNaNAndInf(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, bad := range []float64{nan(), math.Inf(1), math.Inf(-1)} {
			for _, where := range []string{"k", "v"} {
				a := Attention{Batch: 1, Heads: 2, KVHeads: 2, QLen: 80, KLen: 80, HeadDim: 32, Scale: .2, Causal: true}
				l := newLayer(14, a)
				l.mask = make([]uint8, 80)
				for i := range l.mask {
					l.mask[i] = 1
				}
				l.mask[5] = 0
				l.bind()
				clean := l.fused(t)
				s := map[string][]float32{"k": l.k, "v": l.v}[where]
				for _, key := range []int{5, 70} { // one masked, one hidden from rows before it
					for e := range 64 {
						s[key*64+e] = float32(bad)
					}
				}
				got := l.fused(t)
				what := fmt.Sprintf("%g in %s", bad, where)
				sameBits(t, what+", steps", l.steps(t), got)
				sameBits(t, what+", rows that do not see it", got[:70*64], clean[:70*64])
				if where == "v" {
					for i := 70 * 64; i < len(got); i++ {
						if !(got[i] != got[i] || math.IsInf(float64(got[i]), 0)) {
							t.Fatalf("%s: z %d is %g in a row that sees it", what, i, got[i])
						}
					}
				}
			}
		}
	})
}
