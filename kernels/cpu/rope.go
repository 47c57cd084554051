package cpu

// #include "kernels.h"
// #cgo noescape tlg_rope
// #cgo nocallback tlg_rope
// #cgo noescape tlg_rope_table
// #cgo nocallback tlg_rope_table
import "C"

import "unsafe"

// Rope rotates the first Rotary elements of every vector of X [batch, pos, heads, Dim] into Y, and
// copies the rest. Cos and Sin are tables [batch or 1, pos, Rotary]: TableBatch elements from one
// sequence to the next (0 if all share them), TablePos from one position to the next.
//
// With h = Rotary/2, half style (the default, "rotate_half"):
//
//	y[i] = x[i]·cos[i] - x[i+h]·sin[i]    y[i+h] = x[i+h]·cos[i+h] + x[i]·sin[i+h]
//
// Adjacent style pairs elements 2i and 2i+1 instead of i and i+h. Y may be X.
type Rope struct {
	Batch, Pos, Heads    int
	Dim, Rotary          int
	Adjacent             bool
	X, Y                 Rows
	Cos, Sin             unsafe.Pointer
	TableBatch, TablePos int
}

// Run rotates.
func (r *Rope) Run() {
	xs, ys := r.X.strides(), r.Y.strides()
	C.tlg_rope(C.long(r.Batch), C.long(r.Pos), C.long(r.Heads), C.long(r.Dim), C.long(r.Rotary),
		boolInt(r.Adjacent), (*C.float)(r.X.Data), &xs, (*C.float)(r.Cos), (*C.float)(r.Sin),
		C.long(r.TableBatch), C.long(r.TablePos), (*C.float)(r.Y.Data), &ys)
}

// RopeTable fills cos and sin [len(positions), 2·len(invFreq)] with the cosines and sines of
// position / divisor · invFreq (rounded to float32 at each step, as Hugging Face does) times scaling.
// Each pair of elements holds the same value twice: i and i+len(invFreq), or 2i and 2i+1 if adjacent.
func RopeTable(cos, sin unsafe.Pointer, invFreq []float32, positions []int64, divisor, scaling float32, adjacent bool) {
	if len(invFreq) == 0 || len(positions) == 0 {
		return
	}
	C.tlg_rope_table(C.long(len(positions)), C.long(len(invFreq)), (*C.float)(&invFreq[0]),
		(*C.int64_t)(&positions[0]), C.float(divisor), C.float(scaling), boolInt(adjacent), (*C.float)(cos), (*C.float)(sin))
}
