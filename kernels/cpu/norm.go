package cpu

// #include "kernels.h"
// #cgo noescape tlg_layernorm
// #cgo nocallback tlg_layernorm
// #cgo noescape tlg_layernorm_normalize
// #cgo nocallback tlg_layernorm_normalize
// #cgo noescape tlg_rmsnorm
// #cgo nocallback tlg_rmsnorm
// #cgo noescape tlg_rmsnorm_normalize
// #cgo nocallback tlg_rmsnorm_normalize
// #cgo noescape tlg_affine
// #cgo nocallback tlg_affine
import "C"

import "unsafe"

// Norm is a normalisation of the rows of X [Rows, N], LDX elements apart.
//
// LayerNorm: Scale = sqrt(mean((x - mean)²) + Eps), Normalized = (x - mean) / Scale.
// RMSNorm (RMS true): Scale = sqrt(mean(x²) + Eps), Normalized = x / Scale.
// Either: Y = Normalized · W + B; without W, Y = Normalized; without B nothing is added.
//
// Scale is [Rows], Normalized and Y are [Rows, N] contiguous; those that are nil are not written.
// Run gives the bits of RunScale, RunNormalize and RunAffine one after the other. Y may be X where
// X is contiguous.
type Norm struct {
	Rows, N              int
	RMS                  bool
	Eps                  float32
	X                    unsafe.Pointer
	LDX                  int
	W, B                 unsafe.Pointer
	Y, Normalized, Scale unsafe.Pointer
}

// Run computes all that is not nil of Scale, Normalized and Y from X.
func (n *Norm) Run() { n.run(n.W, n.B, n.Y, n.Normalized) }

// RunScale computes Scale from X.
func (n *Norm) RunScale() { n.run(nil, nil, nil, nil) }

func (n *Norm) run(w, b, y, normalized unsafe.Pointer) {
	rows, size, x, ld := C.long(n.Rows), C.long(n.N), (*C.float)(n.X), C.long(n.LDX)
	if n.RMS {
		C.tlg_rmsnorm(rows, size, x, ld, C.float(n.Eps), (*C.float)(w), (*C.float)(y),
			(*C.float)(normalized), (*C.float)(n.Scale))
		return
	}
	C.tlg_layernorm(rows, size, x, ld, C.float(n.Eps), (*C.float)(w), (*C.float)(b), (*C.float)(y),
		(*C.float)(normalized), (*C.float)(n.Scale))
}

// RunNormalize computes Normalized from X and Scale, which may have been edited.
func (n *Norm) RunNormalize() {
	rows, size, x, ld := C.long(n.Rows), C.long(n.N), (*C.float)(n.X), C.long(n.LDX)
	if n.RMS {
		C.tlg_rmsnorm_normalize(rows, size, x, ld, (*C.float)(n.Scale), (*C.float)(n.Normalized))
		return
	}
	C.tlg_layernorm_normalize(rows, size, x, ld, (*C.float)(n.Scale), (*C.float)(n.Normalized))
}

// RunAffine computes Y from Normalized, which may have been edited. Y may be Normalized.
func (n *Norm) RunAffine() {
	C.tlg_affine(C.long(n.Rows), C.long(n.N), (*C.float)(n.Normalized), (*C.float)(n.W), (*C.float)(n.B),
		(*C.float)(n.Y))
}
