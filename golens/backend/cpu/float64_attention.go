// Attention in float64: scores, softmax and the mixing of values, in steps. What a key that is masked holds changes
// nothing, as in float32.
package cpu

import (
	"math"
	"slices"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

func scoresWide(k *op.ScoresKernel) error {
	s := attentionOf(k.Q, k.K, k.Mask, k.AttentionShape)
	scale, limit, out := k.Scale, k.SoftCap, k.Out
	for b := range s.Batch {
		for h := range s.Heads {
			g := kernels.Gemm{
				M: s.QLen, N: s.KLen, K: s.HeadDim, TransB: true,
				A: at64(k.Q, b, 0, h), LDA: s.Q.Pos,
				B: at64(k.K, b, 0, h/(s.Heads/s.KVHeads)), LDB: s.K.Pos,
				C: at64(out, b, h, 0), LDC: s.KLen,
			}
			if err := g.RunFloat64(); err != nil {
				return err
			}
		}
	}
	mask := k.Mask
	eachRow(s.KLen, out.Float64s(), func(r int, row []float64) {
		b, q := r/(s.Heads*s.QLen), r%s.QLen+s.KLen-s.QLen
		for k := range row {
			hidden := s.Causal && (k > q || (s.Window > 0 && k <= q-s.Window))
			if mask != nil {
				hidden = hidden || mask.Uint8s()[b*s.KLen+k] == 0
			}
			row[k] *= scale
			if limit > 0 {
				row[k] = limit * math.Tanh(row[k]/limit)
			}
			if hidden {
				row[k] = tensor.Float64.Lowest()
			}
		}
	})
	return nil
}

// at64 is the address of [i, j, k, 0] of a tensor of float64 with four axes.
func at64(t *tensor.Tensor, i, j, k int) unsafe.Pointer {
	s := t.Strides()
	return unsafe.Add(t.Pointer(), 8*(i*s[0]+j*s[1]+k*s[2]))
}

func softmaxWide(k *op.SoftmaxKernel) error {
	n, out := k.X.Dim(-1), k.Out.Float64s()
	lowest := tensor.Float64.Lowest()
	eachRow(n, k.X.Float64s(), func(r int, row []float64) {
		p := out[r*n : (r+1)*n]
		softmaxRow(p, row)
		if !k.ZeroMasked || slices.ContainsFunc(row, func(v float64) bool { return !(v <= lowest) }) {
			return
		}
		for i, v := range row { // a query that sees no key, or only such as score -inf
			if p[i] = 0; v != lowest {
				p[i] = math.NaN()
			}
		}
	})
	return nil
}

func softmaxRow(p, row []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range row {
		top = math.Max(top, v)
	}
	for i, v := range row {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
}

func mixWide(kernel *op.MixKernel) error {
	p, v, out := kernel.Pattern, kernel.V, kernel.Out.Float64s()
	heads, queries, keys, d := p.Dim(1), p.Dim(2), p.Dim(3), v.Dim(3)
	group, s := heads/v.Dim(2), v.Strides()
	for b := range p.Dim(0) {
		for q := range queries {
			for h := range heads {
				z := out[((b*queries+q)*heads+h)*d:][:d]
				clear(z)
				row := p.Float64s()[((b*heads+h)*queries+q)*keys:][:keys]
				for k, w := range row {
					if w == 0 { // a key that is not seen adds nothing, whatever its value
						continue
					}
					value := unsafe.Slice((*float64)(unsafe.Add(v.Pointer(), 8*(b*s[0]+k*s[1]+h/group*s[2]))), d)
					for i, x := range value {
						z[i] += w * x
					}
				}
			}
		}
	}
	return nil
}
