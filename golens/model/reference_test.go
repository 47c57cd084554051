// Tests of whole models against the plain formulas, in float64, from the checkpoint's own tensors.
package model_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
)

// matrix is [rows][columns].
type matrix [][]float64

// reference computes one sequence in the plainest way.
type reference struct {
	w              model.Memory
	gpt2           bool
	heads, kv, dim int // dim of a head
	window         int
}

// weight reads a checkpoint matrix as [in][out].
func (r *reference) weight(name string) matrix {
	w := r.w[name+".weight"]
	rows, cols := w.Dim(0), w.Dim(1)
	if r.gpt2 && name != "transformer.wte" { // Conv1D is [in, out] already
		m := make(matrix, rows)
		for i := range m {
			for j := range cols {
				m[i] = append(m[i], float64(w.Float32s()[i*cols+j]))
			}
		}
		return m
	}
	m := make(matrix, cols)
	for i := range m {
		for j := range rows {
			m[i] = append(m[i], float64(w.Float32s()[j*cols+i]))
		}
	}
	return m
}

func (r *reference) linear(x matrix, name string) matrix {
	w, bias := r.weight(name), r.w[name+".bias"]
	y := make(matrix, len(x))
	for i := range x {
		y[i] = make([]float64, len(w[0]))
		for o := range y[i] {
			for k := range x[i] {
				y[i][o] += x[i][k] * w[k][o]
			}
			if bias != nil {
				y[i][o] += float64(bias.Float32s()[o])
			}
		}
	}
	return y
}

func (r *reference) norm(x matrix, name string) matrix {
	eps, w, bias := 1e-6, r.w[name+".weight"].Float32s(), r.w[name+".bias"]
	y := make(matrix, len(x))
	for i := range x {
		mean, square := 0.0, 0.0
		if r.gpt2 {
			eps = 1e-5
			for _, v := range x[i] {
				mean += v / float64(len(x[i]))
			}
		}
		for _, v := range x[i] {
			square += (v - mean) * (v - mean) / float64(len(x[i]))
		}
		for j, v := range x[i] {
			v = (v - mean) / math.Sqrt(square+eps) * float64(w[j])
			if bias != nil {
				v += float64(bias.Float32s()[j])
			}
			y[i] = append(y[i], v)
		}
	}
	return y
}

// turn rotates the head that begins at column first, element i with i + dim/2, by position.
func (r *reference) turn(x matrix, first int) {
	for p := range x {
		for i := range r.dim / 2 {
			angle := float64(p) * math.Pow(10000, -2*float64(i)/float64(r.dim))
			a, b := x[p][first+i], x[p][first+i+r.dim/2]
			x[p][first+i] = a*math.Cos(angle) - b*math.Sin(angle)
			x[p][first+i+r.dim/2] = b*math.Cos(angle) + a*math.Sin(angle)
		}
	}
}

func (r *reference) attention(q, k, v matrix, layer int) matrix {
	z := make(matrix, len(q))
	scale := 1 / math.Sqrt(float64(r.dim))
	if r.gpt2 {
		scale /= float64(layer + 1)
	} else {
		for h := range r.heads {
			r.turn(q, h*r.dim)
		}
		for h := range r.kv {
			r.turn(k, h*r.dim)
		}
	}
	for p := range q {
		z[p] = make([]float64, r.heads*r.dim)
		first := 0
		if r.window > 0 {
			first = max(0, p-r.window+1)
		}
		for h := range r.heads {
			from := h / (r.heads / r.kv) * r.dim
			total := 0.0
			for key := first; key <= p; key++ {
				score := 0.0
				for i := range r.dim {
					score += q[p][h*r.dim+i] * k[key][from+i]
				}
				e := math.Exp(score * scale)
				total += e
				for i := range r.dim {
					z[p][h*r.dim+i] += e * v[key][from+i]
				}
			}
			for i := range r.dim {
				z[p][h*r.dim+i] /= total
			}
		}
	}
	return z
}

func (x matrix) plus(y matrix) matrix {
	s := make(matrix, len(x))
	for i := range x {
		for j := range x[i] {
			s[i] = append(s[i], x[i][j]+y[i][j])
		}
	}
	return s
}

func columns(x matrix, from, to int) matrix {
	part := make(matrix, len(x))
	for i := range x {
		part[i] = slices.Clone(x[i][from:to])
	}
	return part
}

func (r *reference) gpt2Layer(x matrix, layer int) matrix {
	name := fmt.Sprintf("transformer.h.%d.", layer)
	d := len(x[0])
	joint := r.linear(r.norm(x, name+"ln_1"), name+"attn.c_attn")
	z := r.attention(columns(joint, 0, d), columns(joint, d, 2*d), columns(joint, 2*d, 3*d), layer)
	x = x.plus(r.linear(z, name+"attn.c_proj"))
	h := r.linear(r.norm(x, name+"ln_2"), name+"mlp.c_fc")
	for i := range h {
		for j, v := range h[i] {
			h[i][j] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		}
	}
	return x.plus(r.linear(h, name+"mlp.c_proj"))
}

func (r *reference) llamaLayer(x matrix, layer int) matrix {
	name := fmt.Sprintf("model.layers.%d.", layer)
	n := r.norm(x, name+"input_layernorm")
	z := r.attention(r.linear(n, name+"self_attn.q_proj"), r.linear(n, name+"self_attn.k_proj"), r.linear(n, name+"self_attn.v_proj"), layer)
	x = x.plus(r.linear(z, name+"self_attn.o_proj"))
	n = r.norm(x, name+"post_attention_layernorm")
	gate, up := r.linear(n, name+"mlp.gate_proj"), r.linear(n, name+"mlp.up_proj")
	for i := range gate {
		for j, v := range gate[i] {
			gate[i][j] = v / (1 + math.Exp(-v)) * up[i][j]
		}
	}
	return x.plus(r.linear(gate, name+"mlp.down_proj"))
}

func (r *reference) logits(ids []int64) matrix {
	table, final, unembed := "model.embed_tokens", "model.norm", "lm_head"
	if r.gpt2 {
		table, final, unembed = "transformer.wte", "transformer.ln_f", "transformer.wte"
	} else if r.w["lm_head.weight"] == nil {
		unembed = table
	}
	embedding := r.w[table+".weight"]
	d := embedding.Dim(1)
	x := make(matrix, len(ids))
	for p, id := range ids {
		for j := range d {
			v := float64(embedding.Float32s()[int(id)*d+j])
			if r.gpt2 {
				v += float64(r.w["transformer.wpe.weight"].Float32s()[p*d+j])
			}
			x[p] = append(x[p], v)
		}
	}
	for layer := range layers {
		if r.gpt2 {
			x = r.gpt2Layer(x, layer)
		} else {
			x = r.llamaLayer(x, layer)
		}
	}
	return r.linear(r.norm(x, final), unembed)
}

func TestAgainstTheFormulas(t *testing.T) {
	for _, family := range slices.Sorted(maps.Keys(configs)) {
		t.Run(family, func(t *testing.T) {
			m := tiny(t, family)
			r := &reference{w: randomWeights(t, configs[family]), gpt2: family == "gpt2", heads: 4, kv: m.Spec.NKVHeads, dim: m.Spec.DHead}
			defer release(r.w)
			if family == "mistral" {
				r.window = 7
			}
			ids := words(t, 1, 19)
			var want []float32
			for _, row := range r.logits(ids.Int64s()) {
				for _, v := range row {
					want = append(want, float32(v))
				}
			}
			near(t, "logits", run(t, m, asking(ids)).Output.Float32s(), want, 1e-5) // rotary angles are float32 in every implementation
		})
	}
}
