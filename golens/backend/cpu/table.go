// Table: which function of kernels/cpu each kernel stands for, a line each.
package cpu

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// errMixed is wrapped when a kernel is given floating dtypes that do not go together.
var errMixed = errors.New("tensors of several dtypes")

// kernel is one entry of the table.
type kernel struct {
	float32 func(backend.Kernel) error // what 16-bit values are computed by, too (narrow.go)
	float64 func(backend.Kernel) error // nil: there is none
	any     bool                       // the first function takes every dtype
}

// on is an entry for arguments of type K; wide may be nil.
func on[K any](narrow, wide func(*K) error) kernel {
	typed := func(f func(*K) error) func(backend.Kernel) error {
		return func(k backend.Kernel) error {
			args, ok := any(k).(*K)
			if !ok {
				return fmt.Errorf("%w: cpu has a %q of other arguments than %T", backend.ErrNoKernel, k.Kernel(), k)
			}
			return f(args)
		}
	}
	entry := kernel{float32: typed(narrow)}
	if wide != nil {
		entry.float64 = typed(wide)
	}
	return entry
}

// onAny is an entry whose function takes every dtype.
func onAny[K any](f func(*K) error) kernel {
	entry := on(f, nil)
	entry.any = true
	return entry
}

var table = map[string]kernel{
	"gather":              onAny(gather),
	"take":                onAny(take),
	"add":                 on(add, addWide),
	"layernorm":           on(norm, normWide),
	"rmsnorm":             on(norm, normWide),
	"layernorm_scale":     on(normScale, normScaleWide),
	"rmsnorm_scale":       on(normScale, normScaleWide),
	"layernorm_normalize": on(normalize, normalizeWide),
	"rmsnorm_normalize":   on(normalize, normalizeWide),
	"affine":              on(affine, affineWide),
	"rope_table":          onAny(ropeTable),
	"rope":                on(rope, ropeWide),
	"attention":           on(attention, nil),
	"scores":              on(scores, scoresWide),
	"softmax":             on(softmax, softmaxWide),
	"mix":                 on(mix, mixWide),
	"activation":          on(activation, activationWide),
	"gate":                on(gate, gateWide),
	"mul":                 on(mul, mulWide),
	"softcap":             on(softCap, softCapWide),
	"solu":                on(solu, soluWide),
	"sum_heads":           on(sumHeads[float32], sumHeads[float64]),
	"cross_entropy":       on(crossEntropy, crossEntropyWide),
	"mean":                on(mean[float32], mean[float64]),
	"convert":             onAny(convert),
}

// gather copies rows, whatever they hold.
func gather(k *op.GatherKernel) error {
	rows, ids, out := k.Table, k.IDs, k.Out
	width := out.Dim(-1)
	form, known := forms[rows.DType()]
	switch {
	case ids.Len() == 0 || width == 0:
		return nil
	case rows.DType() == out.DType() && out.DType() != tensor.Float32:
		gatherBytes(rows, ids, out)
		return nil
	case out.DType() != tensor.Float32 || !known:
		return fmt.Errorf("cpu: gather of %s to %s", rows.DType(), out.DType())
	}
	for first := 0; first < out.Len()/width; first += ids.Len() { // one row of positions serves every batch row
		g := kernels.Gather{
			Rows: ids.Len(), N: width, Form: form, Table: rows.Pointer(), LDTable: rows.Strides()[0], IDs: ids.Pointer(),
			Out: unsafe.Add(out.Pointer(), 4*first*width), LDOut: width,
		}
		g.Run()
	}
	return nil
}

func add(k *op.AddKernel) error {
	kernels.Add(k.Out.Pointer(), k.A.Pointer(), k.B.Pointer(), k.Out.Len())
	return nil
}

func mul(k *op.MulKernel) error {
	kernels.Mul(k.Out.Pointer(), k.A.Pointer(), k.B.Pointer(), k.Out.Len())
	return nil
}

func softCap(k *op.SoftCapKernel) error {
	kernels.SoftCap(k.Out.Pointer(), k.X.Pointer(), float32(k.Limit), k.X.Len())
	return nil
}

func solu(k *op.SoLUKernel) error {
	kernels.SoLU(k.Out.Pointer(), k.X.Pointer(), rowsOf(k.X), k.X.Dim(-1))
	return nil
}

// rowsOf is how many rows of its last dimension a tensor has.
func rowsOf(t *tensor.Tensor) int {
	if t.Dim(-1) == 0 {
		return 0
	}
	return t.Len() / t.Dim(-1)
}

func norm(k *op.NormKernel) error {
	n := kernels.Norm{
		Rows: rowsOf(k.X), N: k.X.Dim(-1), RMS: k.Kind == op.RMSNorm, Eps: float32(k.Eps), X: k.X.Pointer(), LDX: k.X.Dim(-1),
		W: pointer(k.W), B: pointer(k.B), Y: k.Out.Pointer(),
	}
	if n.RMS && n.B != nil { // the kernel of the whole has no bias: its steps do it in place
		n.Y, n.Normalized = nil, n.Y
		n.Run()
		n.Y = n.Normalized
		n.RunAffine()
		return nil
	}
	n.Run()
	return nil
}

func normScale(k *op.NormScaleKernel) error {
	n := kernels.Norm{
		Rows: rowsOf(k.X), N: k.X.Dim(-1), RMS: k.Kind == op.RMSNorm, Eps: float32(k.Eps), X: k.X.Pointer(), LDX: k.X.Dim(-1),
		Scale: k.Scale.Pointer(),
	}
	n.RunScale()
	return nil
}

func normalize(k *op.NormalizeKernel) error {
	n := kernels.Norm{
		Rows: rowsOf(k.X), N: k.X.Dim(-1), RMS: k.Kind == op.RMSNorm, X: k.X.Pointer(), LDX: k.X.Dim(-1), Scale: k.Scale.Pointer(),
		Normalized: k.Out.Pointer(),
	}
	n.RunNormalize()
	return nil
}

func affine(k *op.AffineKernel) error {
	n := kernels.Norm{Rows: rowsOf(k.X), N: k.X.Dim(-1), Normalized: k.X.Pointer(), W: pointer(k.W), B: pointer(k.B), Y: k.Out.Pointer()}
	n.RunAffine()
	return nil
}

// ropeTable makes float32 tables, as Hugging Face does for every dtype, and rounds them.
func ropeTable(k *op.RopeTableKernel) error {
	positions := k.Positions.Int64s()
	if len(positions) == 0 {
		return nil
	}
	if k.Cos.DType() == tensor.Float32 {
		kernels.RopeTable(k.Cos.Pointer(), k.Sin.Pointer(), k.InvFreq.Float32s(), positions, k.Divisor, k.Scaling, k.Adjacent)
		return nil
	}
	cos, err := scratchLike(k.Cos)
	if err != nil {
		return err
	}
	defer cos.Release()
	sin, err := scratchLike(k.Sin)
	if err != nil {
		return err
	}
	defer sin.Release()
	kernels.RopeTable(cos.Pointer(), sin.Pointer(), k.InvFreq.Float32s(), positions, k.Divisor, k.Scaling, k.Adjacent)
	if err := convertTo(k.Cos, cos); err != nil {
		return err
	}
	return convertTo(k.Sin, sin)
}

// rows4 describes a contiguous [batch, pos, head, width] tensor.
func rows4(t *tensor.Tensor) kernels.Rows {
	s := t.Strides()
	return kernels.Rows{Data: t.Pointer(), Batch: s[0], Pos: s[1], Head: s[2]}
}

func rope(k *op.RopeKernel) error {
	x, cos, out := k.X, k.Cos, k.Out
	r := kernels.Rope{
		Batch: x.Dim(0), Pos: x.Dim(1), Heads: x.Dim(2), Dim: x.Dim(3), Rotary: cos.Dim(2), Adjacent: k.Adjacent,
		X: rows4(x), Y: rows4(out), Cos: cos.Pointer(), Sin: k.Sin.Pointer(),
	}
	if cos.Dim(0) > 1 {
		r.TableBatch = cos.Strides()[0]
	}
	r.TablePos = cos.Strides()[1]
	r.Run()
	return nil
}

func attentionOf(q, k, mask *tensor.Tensor, s op.AttentionShape) kernels.Attention {
	a := kernels.Attention{
		Batch: q.Dim(0), Heads: q.Dim(2), KVHeads: k.Dim(2), QLen: q.Dim(1), KLen: k.Dim(1), HeadDim: q.Dim(3),
		Scale: float32(s.Scale), Causal: s.Causal, Window: s.Window, SoftCap: float32(s.SoftCap), ZeroMasked: s.ZeroMasked,
		Q: rows4(q), K: rows4(k),
	}
	if mask != nil {
		a.Mask = mask.Pointer()
	}
	return a
}

func attention(k *op.AttentionKernel) error {
	a := attentionOf(k.Q, k.K, k.Mask, k.AttentionShape)
	a.V, a.Z = rows4(k.V), k.Out.Pointer()
	return a.Run()
}

func scores(k *op.ScoresKernel) error {
	a := attentionOf(k.Q, k.K, k.Mask, k.AttentionShape)
	a.Scores = k.Out.Pointer()
	return a.RunScores()
}

func softmax(k *op.SoftmaxKernel) error {
	kernels.Softmax(k.Out.Pointer(), k.X.Pointer(), rowsOf(k.X), k.X.Dim(-1), k.ZeroMasked)
	return nil
}

func mix(k *op.MixKernel) error {
	p, v := k.Pattern, k.V
	a := kernels.Attention{
		Batch: p.Dim(0), Heads: p.Dim(1), KVHeads: v.Dim(2), QLen: p.Dim(2), KLen: p.Dim(3), HeadDim: v.Dim(3), ValueDim: v.Dim(3),
		V: rows4(v), Pattern: p.Pointer(), Z: k.Out.Pointer(),
	}
	return a.RunMix()
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

func activation(k *op.ActivationKernel) error {
	f, err := activationOf(k.Kind)
	if err == nil {
		kernels.Activate(f, k.Out.Pointer(), k.X.Pointer(), k.X.Len())
	}
	return err
}

func gate(k *op.GateKernel) error {
	f, err := activationOf(k.Kind)
	if err != nil {
		return err
	}
	out := k.Out
	n := out.Dim(-1)
	g := kernels.ActivateMul{Act: f, Rows: rowsOf(out), N: n, Gate: k.Gate.Pointer(), LDGate: n, Up: k.Up.Pointer(), LDUp: n, Out: out.Pointer(), LDOut: n}
	g.Run()
	return nil
}

func crossEntropy(k *op.CrossEntropyKernel) error {
	logits, targets, out := k.Logits, k.Targets, k.Out
	batch, pairs, vocab := logits.Dim(0), logits.Dim(1), logits.Dim(2)
	for i := range batch {
		kernels.CrossEntropy(unsafe.Add(out.Pointer(), 4*i*pairs), unsafe.Add(logits.Pointer(), 4*i*logits.Strides()[0]), logits.Strides()[1],
			unsafe.Add(targets.Pointer(), 8*i*pairs), pairs, vocab)
	}
	dropPairs(out.Float32s(), k.Kept)
	return nil
}
