// Norm: layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450) and RMS normalisation (Zhang and
// Sennrich 2019, https://arxiv.org/abs/1910.07467), whole and in the three steps between which hooks sit.
// Kernels "layernorm" and "rmsnorm", the same with "_scale" and "_normalize" behind, and "affine".
package op

import (
	"slices"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// NormKind says what is divided out.
type NormKind string

// The kinds of normalisation. Their values begin the names of their kernels.
const (
	LayerNorm NormKind = "layernorm" // centred, divided by the standard deviation
	RMSNorm   NormKind = "rmsnorm"   // divided by the root of the mean square
)

// Norm is the whole: x [..., d_model], w and b [d_model] (both optional) to x / scale · w + b, bit for bit what
// NormScale, Normalize and Affine give.
type Norm struct {
	Kind NormKind
	Eps  float64
}

// NormKernel is Out = X / scale · W + B along the last axis; W and B may be nil.
type NormKernel struct {
	Kind         NormKind
	X, W, B, Out *tensor.Tensor
	Eps          float64
}

// Name implements Op.
func (o *Norm) Name() string { return string(o.Kind) }

// Infer implements Op.
func (o *Norm) Infer(in []Type) ([]Type, error) {
	if err := checkLast(o, in); err != nil {
		return nil, err
	}
	return one(in[0].DType, in[0].Shape)
}

// Run implements Op.
func (o *Norm) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&NormKernel{o.Kind, in[0], in[1], in[2], out[0], o.Eps})
}

// Cost implements Costed.
func (*Norm) Cost(_, out []Type) Cost { return Cost{Operations: 5 * out[0].Len()} }

// NormScale is what a normalisation divides by: x [batch, pos, d_model] to [batch, pos, 1] (hook_scale).
type NormScale struct {
	Kind NormKind
	Eps  float64
}

// NormScaleKernel is Scale = sqrt(mean(X²) + Eps) along the last axis, of X − mean(X) for LayerNorm.
type NormScaleKernel struct {
	Kind     NormKind
	X, Scale *tensor.Tensor
	Eps      float64
}

// Name implements Op.
func (o *NormScale) Name() string { return string(o.Kind) + "_scale" }

// Infer implements Op.
func (o *NormScale) Infer(in []Type) ([]Type, error) {
	if in[0].Rank() == 0 {
		return nil, shapeError(o, in, "at least one dimension")
	}
	return one(inside(in[0].DType), withLast(in[0].Shape, 1))
}

// Run implements Op.
func (o *NormScale) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&NormScaleKernel{o.Kind, in[0], out[0], o.Eps})
}

// Cost implements Costed.
func (*NormScale) Cost(in, _ []Type) Cost { return Cost{Operations: 2 * in[0].Len()} }

// Normalize divides x [batch, pos, d_model], centred for LayerNorm, by a scale [batch, pos, 1] (hook_normalized).
type Normalize struct {
	Kind  NormKind
	Whole bool // nothing follows: the result is rounded to the dtype of x
}

// NormalizeKernel is Out = X / Scale along the last axis, of X − mean(X) for LayerNorm.
type NormalizeKernel struct {
	Kind          NormKind
	X, Scale, Out *tensor.Tensor
}

// Name implements Op.
func (o *Normalize) Name() string { return string(o.Kind) + "_normalize" }

// Infer implements Op.
func (o *Normalize) Infer(in []Type) ([]Type, error) {
	x, scale := in[0], in[1]
	if x.Rank() == 0 || !slices.Equal(scale.Shape, withLast(x.Shape, 1)) {
		return nil, shapeError(o, in, "x [batch, pos, d_model] and scale [batch, pos, 1]")
	}
	if o.Whole {
		return one(x.DType, x.Shape)
	}
	return one(inside(x.DType), x.Shape)
}

// Run implements Op.
func (o *Normalize) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&NormalizeKernel{o.Kind, in[0], in[1], out[0]})
}

// Affine is x [..., d_model] · w + b [d_model] along the last axis; b is optional. The result has the dtype of w.
type Affine struct{}

// AffineKernel is Out = X · W + B along the last axis; B may be nil.
type AffineKernel struct{ X, W, B, Out *tensor.Tensor }

// Name implements Op.
func (*Affine) Name() string { return "affine" }

// Infer implements Op.
func (o *Affine) Infer(in []Type) ([]Type, error) {
	if err := checkLast(o, in); err != nil {
		return nil, err
	}
	return one(in[1].DType, in[0].Shape)
}

// Run implements Op.
func (*Affine) Run(b backend.Backend, in, out []*tensor.Tensor) error {
	return b.Launch(&AffineKernel{in[0], in[1], in[2], out[0]})
}

// inside is the dtype of a norm's inner values: those of 16 bits are worked on in float32, and rounded at the end.
func inside(dt tensor.DType) tensor.DType {
	if dt == tensor.Float64 {
		return dt
	}
	return tensor.Float32
}

// named is one of the names of a kind's kernels: joining them would take memory at each launch.
func (k NormKind) named(layer, rms string) string {
	if k == RMSNorm {
		return rms
	}
	return layer
}

// checkLast compares the last dimension of the first input with the weight, the second.
func checkLast(o Op, in []Type) error {
	if in[0].Rank() == 0 {
		return shapeError(o, in, "at least one dimension")
	}
	if w := in[1]; !w.Absent() && in[0].Dim(-1) != w.Len() {
		return shapeError(o, in, "a last dimension of %d", w.Len())
	}
	return nil
}

// Kernel implements backend.Kernel.
func (k *NormKernel) Kernel() string { return string(k.Kind) }

// Operands implements backend.Kernel.
func (k *NormKernel) Operands() backend.Operands {
	return backend.Reads(&k.X, &k.W, &k.B).Writes(&k.Out)
}

// Kernel implements backend.Kernel.
func (k *NormScaleKernel) Kernel() string { return k.Kind.named("layernorm_scale", "rmsnorm_scale") }

// Operands implements backend.Kernel.
func (k *NormScaleKernel) Operands() backend.Operands { return backend.Reads(&k.X).Writes(&k.Scale) }

// Kernel implements backend.Kernel.
func (k *NormalizeKernel) Kernel() string {
	return k.Kind.named("layernorm_normalize", "rmsnorm_normalize")
}

// Operands implements backend.Kernel.
func (k *NormalizeKernel) Operands() backend.Operands {
	return backend.Reads(&k.X, &k.Scale).Writes(&k.Out)
}

// Kernel implements backend.Kernel.
func (*AffineKernel) Kernel() string { return "affine" }

// Operands implements backend.Kernel.
func (k *AffineKernel) Operands() backend.Operands {
	return backend.Reads(&k.X, &k.W, &k.B).Writes(&k.Out)
}
