// Norm: layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450) and RMS normalisation (Zhang and
// Sennrich 2019, https://arxiv.org/abs/1910.07467), whole and in the three steps between which hooks sit.
// Kernels: "layernorm" and "rmsnorm": x, w, b, out, eps; "layernorm_scale" and "rmsnorm_scale": x, scale, eps;
// "layernorm_normalize" and "rmsnorm_normalize": x, scale, out; "affine": x, w, b, out.
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

// Norm is the whole: x [..., d_model] to x / scale · w + b, bit for bit what NormScale, Normalize and Affine give.
type Norm struct {
	Kind NormKind
	Eps  float64
	W, B *Param // either may be nil
}

// Name implements Op.
func (o *Norm) Name() string { return string(o.Kind) }

// Forward implements Op.
func (o *Norm) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if err := checkLast(o, in, o.W); err != nil {
		return nil, err
	}
	return produce(b, in[0].DType(), in[0].Shape(), func(out *tensor.Tensor) error {
		return b.Launch(string(o.Kind), in[0], tensorOf(o.W), tensorOf(o.B), out, o.Eps)
	})
}

// NormScale is what a normalisation divides by: x [batch, pos, d_model] to [batch, pos, 1] (hook_scale).
type NormScale struct {
	Kind NormKind
	Eps  float64
}

// Name implements Op.
func (o *NormScale) Name() string { return string(o.Kind) + "_scale" }

// Forward implements Op.
func (o *NormScale) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if len(in[0].Shape()) == 0 {
		return nil, shapeError(o, in, "at least one dimension")
	}
	return produce(b, inside(in[0].DType()), withLast(in[0].Shape(), 1), func(out *tensor.Tensor) error { return b.Launch(o.Name(), in[0], out, o.Eps) })
}

// Normalize divides x [batch, pos, d_model], centred for LayerNorm, by a scale [batch, pos, 1] (hook_normalized).
type Normalize struct {
	Kind  NormKind
	Whole bool // nothing follows: the result is rounded to the dtype of x
}

// Name implements Op.
func (o *Normalize) Name() string { return string(o.Kind) + "_normalize" }

// Forward implements Op.
func (o *Normalize) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	x, scale := in[0], in[1]
	if len(x.Shape()) == 0 || !slices.Equal(scale.Shape(), withLast(x.Shape(), 1)) {
		return nil, shapeError(o, in, "x [batch, pos, d_model] and scale [batch, pos, 1]")
	}
	dt := inside(x.DType())
	if o.Whole {
		dt = x.DType()
	}
	return produce(b, dt, x.Shape(), func(out *tensor.Tensor) error { return b.Launch(o.Name(), x, scale, out) })
}

// Affine is x · w + b along the last axis; B may be nil.
type Affine struct{ W, B *Param }

// Name implements Op.
func (*Affine) Name() string { return "affine" }

// Forward implements Op.
func (o *Affine) Forward(b backend.Backend, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if err := checkLast(o, in, o.W); err != nil {
		return nil, err
	}
	return produce(b, o.W.Value.DType(), in[0].Shape(), func(out *tensor.Tensor) error {
		return b.Launch("affine", in[0], o.W.Value, tensorOf(o.B), out)
	})
}

// inside is the dtype of a norm's inner values: those of 16 bits are worked on in float32, and rounded at the end.
func inside(dt tensor.DType) tensor.DType {
	if dt == tensor.Float64 {
		return dt
	}
	return tensor.Float32
}

func checkLast(o Op, in []*tensor.Tensor, w *Param) error {
	if w == nil {
		if len(in[0].Shape()) == 0 {
			return shapeError(o, in, "at least one dimension")
		}
		return nil
	}
	if n := w.Value.Len(); len(in[0].Shape()) == 0 || in[0].Dim(-1) != n {
		return shapeError(o, in, "a last dimension of %d (%s)", n, w.Name)
	}
	return nil
}
