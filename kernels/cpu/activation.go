package cpu

// #include "kernels.h"
// #cgo noescape tlg_activate
// #cgo nocallback tlg_activate
// #cgo noescape tlg_activate_mul
// #cgo nocallback tlg_activate_mul
import "C"

import "unsafe"

// Activation names an elementwise function.
type Activation int

// The activation functions. GELUTanh is what Hugging Face calls gelu_new and gelu_pytorch_tanh, GELU
// the exact one with erf, QuickGELU x·sigmoid(1.702x), SiLU x·sigmoid(x).
const (
	GELUTanh    Activation = C.TLG_GELU_TANH
	GELU        Activation = C.TLG_GELU
	SiLU        Activation = C.TLG_SILU
	ReLU        Activation = C.TLG_RELU
	ReLUSquared Activation = C.TLG_RELU_SQUARED
	Tanh        Activation = C.TLG_TANH
	Sigmoid     Activation = C.TLG_SIGMOID
	QuickGELU   Activation = C.TLG_QUICK_GELU
)

// Activate computes y[i] = act(x[i]) for n elements; y may be x.
func Activate(act Activation, y, x unsafe.Pointer, n int) {
	C.tlg_activate(C.int(act), C.long(n), (*C.float)(x), (*C.float)(y))
}

// ActivateMul is Out = Act(Gate) · Up elementwise, all [Rows, N] with rows LDGate, LDUp and LDOut
// elements apart, with the bits of Activate followed by Mul. Out may be Gate or Up.
type ActivateMul struct {
	Act     Activation
	Rows, N int
	Gate    unsafe.Pointer
	LDGate  int
	Up      unsafe.Pointer
	LDUp    int
	Out     unsafe.Pointer
	LDOut   int
}

// Run computes Out.
func (a *ActivateMul) Run() {
	C.tlg_activate_mul(C.int(a.Act), C.long(a.Rows), C.long(a.N), (*C.float)(a.Gate), C.long(a.LDGate),
		(*C.float)(a.Up), C.long(a.LDUp), (*C.float)(a.Out), C.long(a.LDOut))
}
