package cpu

// #include "kernels.h"
// #cgo noescape tlg_gemm
// #cgo nocallback tlg_gemm
// #cgo noescape tlg_gemm_f64
// #cgo nocallback tlg_gemm_f64
import "C"

import "unsafe"

// rowsForOneDNN is the number of rows from which oneDNN is considered, and so looked for.
const rowsForOneDNN = 64

// Gemm is C[M, N] = A[M, K] · B (+ Bias[N]) (+ Residual[M, N]).
//
// A, C and Residual have rows LDA, LDC and LDR apart. B is [K, N], or [N, K] if TransB, with rows LDB
// apart, so that slices of columns and rows of a larger matrix can be given. Bias and Residual may be
// nil. C must not overlap any input, Residual included.
//
// B is stored in Form, float32 if that is not set, and widened as it is read: the bits are those of the
// product with Widen's result. Blocks lie along K, so that B has to be [N, K].
type Gemm struct {
	M, N, K        int
	A              unsafe.Pointer
	LDA            int
	Form           Form
	B              unsafe.Pointer
	LDB            int
	TransB         bool
	C              unsafe.Pointer
	LDC            int
	Bias, Residual unsafe.Pointer
	LDR            int
}

// Run computes the product. Its only error is ErrNoMemory.
func (g *Gemm) Run() error {
	if g.M >= rowsForOneDNN && !g.TransB && g.Form == Float32 {
		oneDNN.Do(func() { _ = openOneDNN("") }) // without it, own kernels serve
	}
	return status(C.tlg_gemm(C.long(g.M), C.long(g.N), C.long(g.K), (*C.float)(g.A), C.long(g.LDA),
		C.int(g.Form), g.B, C.long(g.LDB), boolInt(g.TransB), (*C.float)(g.C), C.long(g.LDC),
		(*C.float)(g.Bias), (*C.float)(g.Residual), C.long(g.LDR)))
}

// RunFloat64 computes the product of matrices of float64 (Form is not looked at), each element one chain of fused
// multiply-adds along K. Its only error is ErrNoMemory.
func (g *Gemm) RunFloat64() error {
	return status(C.tlg_gemm_f64(C.long(g.M), C.long(g.N), C.long(g.K), (*C.double)(g.A), C.long(g.LDA),
		(*C.double)(g.B), C.long(g.LDB), boolInt(g.TransB), (*C.double)(g.C), C.long(g.LDC),
		(*C.double)(g.Bias), (*C.double)(g.Residual), C.long(g.LDR)))
}

func boolInt(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
