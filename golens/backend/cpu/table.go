// Table: which function of kernels/cpu each kernel name stands for. The order of arguments is documented in the
// file of the operation that launches the kernel.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// kernel is one entry of the table.
type kernel struct {
	float32 func(arguments) error // what 16-bit values are computed by, too (narrow.go)
	float64 func(arguments) error // nil: there is none
	out     []int                 // which arguments are written
	scores  []int                 // which arguments hold masked scores
	any     bool                  // the first function takes every dtype
}

var table = map[string]kernel{
	"gather":              {float32: gather, any: true},
	"add":                 {float32: add, float64: addWide, out: []int{2}},
	"layernorm":           {float32: func(a arguments) error { return norm(a, false) }, float64: func(a arguments) error { return normWide(a, false) }, out: []int{3}},
	"rmsnorm":             {float32: func(a arguments) error { return norm(a, true) }, float64: func(a arguments) error { return normWide(a, true) }, out: []int{3}},
	"layernorm_scale":     {float32: func(a arguments) error { return normScale(a, false) }, float64: func(a arguments) error { return normScaleWide(a, false) }, out: []int{1}},
	"rmsnorm_scale":       {float32: func(a arguments) error { return normScale(a, true) }, float64: func(a arguments) error { return normScaleWide(a, true) }, out: []int{1}},
	"layernorm_normalize": {float32: func(a arguments) error { return normalize(a, false) }, float64: func(a arguments) error { return normalizeWide(a, false) }, out: []int{2}},
	"rmsnorm_normalize":   {float32: func(a arguments) error { return normalize(a, true) }, float64: func(a arguments) error { return normalizeWide(a, true) }, out: []int{2}},
	"affine":              {float32: affine, float64: affineWide, out: []int{3}},
	"rope_table":          {float32: ropeTable, any: true},
	"rope":                {float32: rope, float64: ropeWide, out: []int{3}},
	"attention":           {float32: attention, out: []int{4}},
	"scores":              {float32: scores, float64: scoresWide, out: []int{3}, scores: []int{3}},
	"softmax":             {float32: softmax, float64: softmaxWide, out: []int{1}, scores: []int{0}},
	"mix":                 {float32: mix, float64: mixWide, out: []int{2}},
	"activation":          {float32: activation, float64: activationWide, out: []int{1}},
	"gate":                {float32: gate, float64: gateWide, out: []int{2}},
	"mul":                 {float32: mul, float64: mulWide, out: []int{2}},
	"softcap":             {float32: softCap, float64: softCapWide, out: []int{1}},
	"solu":                {float32: solu, float64: soluWide, out: []int{1}},
	"sum_heads":           {float32: sumHeads[float32], float64: sumHeads[float64], out: []int{2}},
	"cross_entropy":       {float32: crossEntropy, float64: crossEntropyWide, out: []int{2}},
	"copy":                {float32: copyStrided, any: true},
	"convert":             {float32: convert, any: true},
}

// gather copies rows, whatever they hold.
func gather(a arguments) error {
	rows, ids, out := a.tensor(0), a.tensor(1), a.tensor(2)
	width := out.Dim(-1)
	switch {
	case rows.DType() != out.DType():
		return fmt.Errorf("cpu: gather of %s to %s", rows.DType(), out.DType())
	case ids.Len() == 0 || width == 0:
		return nil
	case out.DType() != tensor.Float32:
		gatherBytes(rows, ids, out)
		return nil
	}
	for first := 0; first < out.Len()/width; first += ids.Len() { // one row of positions serves every batch row
		g := kernels.Gather{
			Rows: ids.Len(), N: width, Table: rows.Pointer(), LDTable: rows.Strides()[0], IDs: ids.Pointer(),
			Out: unsafe.Add(out.Pointer(), 4*first*width), LDOut: width,
		}
		g.Run()
	}
	return nil
}

func add(a arguments) error {
	kernels.Add(a.pointer(2), a.pointer(0), a.pointer(1), a.tensor(2).Len())
	return nil
}

func mul(a arguments) error {
	kernels.Mul(a.pointer(2), a.pointer(0), a.pointer(1), a.tensor(2).Len())
	return nil
}

func softCap(a arguments) error {
	kernels.SoftCap(a.pointer(1), a.pointer(0), a.float(2), a.tensor(0).Len())
	return nil
}

func solu(a arguments) error {
	kernels.SoLU(a.pointer(1), a.pointer(0), rowsOf(a.tensor(0)), a.tensor(0).Dim(-1))
	return nil
}

// rowsOf is how many rows of its last dimension a tensor has.
func rowsOf(t *tensor.Tensor) int {
	if t.Dim(-1) == 0 {
		return 0
	}
	return t.Len() / t.Dim(-1)
}

func norm(a arguments, rms bool) error {
	x := a.tensor(0)
	n := kernels.Norm{Rows: rowsOf(x), N: x.Dim(-1), RMS: rms, Eps: a.float(4), X: x.Pointer(), LDX: x.Dim(-1), W: a.pointer(1), B: a.pointer(2), Y: a.pointer(3)}
	if rms && n.B != nil { // the kernel of the whole has no bias: its steps do it in place
		n.Y, n.Normalized = nil, n.Y
		n.Run()
		n.Y = n.Normalized
		n.RunAffine()
		return nil
	}
	n.Run()
	return nil
}

func normScale(a arguments, rms bool) error {
	x := a.tensor(0)
	n := kernels.Norm{Rows: rowsOf(x), N: x.Dim(-1), RMS: rms, Eps: a.float(2), X: x.Pointer(), LDX: x.Dim(-1), Scale: a.pointer(1)}
	n.RunScale()
	return nil
}

func normalize(a arguments, rms bool) error {
	x := a.tensor(0)
	n := kernels.Norm{Rows: rowsOf(x), N: x.Dim(-1), RMS: rms, X: x.Pointer(), LDX: x.Dim(-1), Scale: a.pointer(1), Normalized: a.pointer(2)}
	n.RunNormalize()
	return nil
}

func affine(a arguments) error {
	x := a.tensor(0)
	n := kernels.Norm{Rows: rowsOf(x), N: x.Dim(-1), Normalized: x.Pointer(), W: a.pointer(1), B: a.pointer(2), Y: a.pointer(3)}
	n.RunAffine()
	return nil
}

// ropeTable makes float32 tables, as Hugging Face does for every dtype, and rounds them.
func ropeTable(a arguments) error {
	positions := a.tensor(1).Int64s()
	if len(positions) == 0 {
		return nil
	}
	if a.tensor(2).DType() == tensor.Float32 {
		kernels.RopeTable(a.pointer(2), a.pointer(3), a.tensor(0).Float32s(), positions, a.float(4), a.float(5), a.bool(6))
		return nil
	}
	cos, err := scratchLike(a.tensor(2))
	if err != nil {
		return err
	}
	defer cos.Release()
	sin, err := scratchLike(a.tensor(3))
	if err != nil {
		return err
	}
	defer sin.Release()
	kernels.RopeTable(cos.Pointer(), sin.Pointer(), a.tensor(0).Float32s(), positions, a.float(4), a.float(5), a.bool(6))
	if err := convertTo(a.tensor(2), cos); err != nil {
		return err
	}
	return convertTo(a.tensor(3), sin)
}

// rows4 describes a contiguous [batch, pos, head, width] tensor.
func rows4(t *tensor.Tensor) kernels.Rows {
	s := t.Strides()
	return kernels.Rows{Data: t.Pointer(), Batch: s[0], Pos: s[1], Head: s[2]}
}

func rope(a arguments) error {
	x, cos, out := a.tensor(0), a.tensor(1), a.tensor(3)
	r := kernels.Rope{
		Batch: x.Dim(0), Pos: x.Dim(1), Heads: x.Dim(2), Dim: x.Dim(3), Rotary: cos.Dim(2), Adjacent: a.bool(4),
		X: rows4(x), Y: rows4(out), Cos: cos.Pointer(), Sin: a.pointer(2),
	}
	if cos.Dim(0) > 1 {
		r.TableBatch = cos.Strides()[0]
	}
	r.TablePos = cos.Strides()[1]
	r.Run()
	return nil
}

func attentionOf(q, k, mask *tensor.Tensor, scale float32, causal bool, window int) kernels.Attention {
	a := kernels.Attention{
		Batch: q.Dim(0), Heads: q.Dim(2), KVHeads: k.Dim(2), QLen: q.Dim(1), KLen: k.Dim(1), HeadDim: q.Dim(3),
		Scale: scale, Causal: causal, Window: window, Q: rows4(q), K: rows4(k),
	}
	if mask != nil {
		a.Mask = mask.Pointer()
	}
	return a
}

func attention(a arguments) error {
	k := attentionOf(a.tensor(0), a.tensor(1), a.tensor(3), a.float(5), a.bool(6), a.int(7))
	k.V, k.Z, k.SoftCap, k.ZeroMasked = rows4(a.tensor(2)), a.pointer(4), a.float(8), a.bool(9)
	return k.Run()
}

func scores(a arguments) error {
	k := attentionOf(a.tensor(0), a.tensor(1), a.tensor(2), a.float(4), a.bool(5), a.int(6))
	k.Scores, k.SoftCap = a.pointer(3), a.float(7)
	return k.RunScores()
}

func softmax(a arguments) error {
	kernels.Softmax(a.pointer(1), a.pointer(0), rowsOf(a.tensor(0)), a.tensor(0).Dim(-1), a.bool(2))
	return nil
}

func mix(a arguments) error {
	p, v := a.tensor(0), a.tensor(1)
	k := kernels.Attention{
		Batch: p.Dim(0), Heads: p.Dim(1), KVHeads: v.Dim(2), QLen: p.Dim(2), KLen: p.Dim(3), HeadDim: v.Dim(3), ValueDim: v.Dim(3),
		V: rows4(v), Pattern: p.Pointer(), Z: a.pointer(2),
	}
	return k.RunMix()
}

var activations = map[string]kernels.Activation{
	"gelu_tanh": kernels.GELUTanh, "gelu": kernels.GELU, "silu": kernels.SiLU, "relu": kernels.ReLU,
	"relu2": kernels.ReLUSquared, "tanh": kernels.Tanh, "sigmoid": kernels.Sigmoid, "quick_gelu": kernels.QuickGELU,
}

func activationOf(name string) (kernels.Activation, error) {
	k, ok := activations[name]
	if !ok {
		return 0, fmt.Errorf("cpu: no activation function %q", name)
	}
	return k, nil
}

func activation(a arguments) error {
	k, err := activationOf(a.string(2))
	if err == nil {
		kernels.Activate(k, a.pointer(1), a.pointer(0), a.tensor(0).Len())
	}
	return err
}

func gate(a arguments) error {
	k, err := activationOf(a.string(3))
	if err != nil {
		return err
	}
	out := a.tensor(2)
	n := out.Dim(-1)
	g := kernels.ActivateMul{Act: k, Rows: rowsOf(out), N: n, Gate: a.pointer(0), LDGate: n, Up: a.pointer(1), LDUp: n, Out: out.Pointer(), LDOut: n}
	g.Run()
	return nil
}

func crossEntropy(a arguments) error {
	logits, targets, out := a.tensor(0), a.tensor(1), a.tensor(2)
	batch, pairs, vocab := logits.Dim(0), logits.Dim(1), logits.Dim(2)
	for i := range batch {
		kernels.CrossEntropy(unsafe.Add(out.Pointer(), 4*i*pairs), unsafe.Add(logits.Pointer(), 4*i*logits.Strides()[0]), logits.Strides()[1],
			unsafe.Add(targets.Pointer(), 8*i*pairs), pairs, vocab)
	}
	return nil
}
