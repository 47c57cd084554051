package cpu

// #include "kernels.h"
// #cgo noescape tlg_gather
// #cgo nocallback tlg_gather
import "C"

import "unsafe"

// Gather is Out[r] = Table[IDs[r]] (+ Add[r]): rows of N elements, LDTable, LDAdd and LDOut apart. IDs
// are int64 and must be rows of the table, which is widened from its Form. Add may be nil.
type Gather struct {
	Rows, N int
	Form    Form
	Table   unsafe.Pointer
	LDTable int
	IDs     unsafe.Pointer
	Add     unsafe.Pointer
	LDAdd   int
	Out     unsafe.Pointer
	LDOut   int
}

// Run gathers.
func (g *Gather) Run() {
	C.tlg_gather(C.long(g.Rows), C.long(g.N), C.int(g.Form), g.Table, C.long(g.LDTable), (*C.int64_t)(g.IDs),
		(*C.float)(g.Add), C.long(g.LDAdd), (*C.float)(g.Out), C.long(g.LDOut))
}
