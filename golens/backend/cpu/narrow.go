// Narrow: bfloat16 and float16. What a kernel reads is widened, which is exact, computed in float32 by the kernels for
// that, and rounded once into what it writes.
package cpu

import (
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// widenedFloats bounds the part of a matrix of weights that is held widened at a time: it stays in cache.
const widenedFloats = 1 << 20

// sixteen reports whether a dtype is a floating one of 16 bits.
func sixteen(dt tensor.DType) bool { return dt == tensor.Float16 || dt == tensor.BFloat16 }

func halfOf(dt tensor.DType) kernels.Half {
	if dt == tensor.BFloat16 {
		return kernels.BFloat16
	}
	return kernels.Float16
}

// narrow runs a kernel on widened copies of what it reads, and rounds what it wrote. The copies stand in the kernel's
// arguments while it runs.
func narrow(entry kernel, k backend.Kernel, operands *backend.Operands, dt tensor.DType) error {
	var given [8]*tensor.Tensor // by operand; nil where it stays
	defer func() {
		for i, t := range given[:operands.Len()] {
			if t != nil {
				field := operands.At(i).T
				(*field).Release()
				*field = t
			}
		}
	}()
	for i := range operands.Len() {
		o := operands.At(i)
		t := *o.T
		if t == nil || t.DType() != dt {
			continue
		}
		wide, err := scratchLike(t)
		if err != nil {
			return err
		}
		given[i], *o.T = t, wide
		if o.Use&backend.Write != 0 {
			continue
		}
		if err := convertTo(wide, t); err != nil {
			return err
		}
		if o.Use&backend.Masked != 0 {
			replace(wide.Float32s(), float32(dt.Lowest()), float32(tensor.Float32.Lowest()))
		}
	}
	if err := entry.float32(k); err != nil {
		return err
	}
	for i := range operands.Len() {
		o := operands.At(i)
		if given[i] == nil || o.Use&backend.Write == 0 {
			continue
		}
		if o.Use&backend.Masked != 0 {
			replace((*o.T).Float32s(), float32(tensor.Float32.Lowest()), float32(dt.Lowest()))
		}
		if err := convertTo(given[i], *o.T); err != nil {
			return err
		}
	}
	return nil
}

// replace puts the lowest number of one dtype in the place of another's: a masked score is that of its dtype.
func replace(values []float32, old, now float32) {
	for i, v := range values {
		if v == old {
			values[i] = now
		}
	}
}

// scratchLike is an uninitialised contiguous float32 tensor of that shape.
func scratchLike(t *tensor.Tensor) (*tensor.Tensor, error) {
	return tensor.New(tensor.Float32, t.Shape()...)
}

// narrowGemm is a product whose operands are all of 16 bits.
func narrowGemm(g *kernels.Gemm, half kernels.Half) error {
	columns := columnsAtOnce(g)
	n := g.M*g.K + g.K*columns + g.M*g.N + g.N
	if g.Residual != nil {
		n += g.M * g.N
	}
	memory, err := tensor.New(tensor.Float32, n)
	if err != nil {
		return err
	}
	defer memory.Release()
	next := memory.Pointer()
	take := func(n int) unsafe.Pointer {
		p := next
		next = unsafe.Add(next, 4*n)
		return p
	}
	wide := *g
	wide.A, wide.LDA = take(g.M*g.K), g.K
	kernels.WidenRows(half, g.M, g.K, wide.A, g.K, g.A, g.LDA)
	room := take(g.K * columns)
	wide.C, wide.LDC = take(g.M*g.N), g.N
	if g.Bias != nil {
		wide.Bias = take(g.N)
		kernels.Widen(half, wide.Bias, g.Bias, g.N)
	}
	if g.Residual != nil {
		wide.Residual, wide.LDR = take(g.M*g.N), g.N
		kernels.WidenRows(half, g.M, g.N, wide.Residual, g.N, g.Residual, g.LDR)
	}
	if err := byColumns(&wide, half, columns, room); err != nil {
		return err
	}
	kernels.NarrowRows(half, g.M, g.N, g.C, g.LDC, wide.C, g.N)
	return nil
}

// widenedGemm is a product of float32 by a matrix that is stored in 16 bits.
func widenedGemm(g *kernels.Gemm, half kernels.Half) error {
	columns := columnsAtOnce(g)
	room, err := tensor.New(tensor.Float32, g.K*columns)
	if err != nil {
		return err
	}
	defer room.Release()
	return byColumns(g, half, columns, room.Pointer())
}

func columnsAtOnce(g *kernels.Gemm) int {
	return max(64, min(g.N, widenedFloats/max(g.K, 1)/64*64))
}

// byColumns runs a product of which only B is of 16 bits. It is widened a group of columns at a time, in room for one;
// each element is summed in the one order, so the groups leave no trace.
func byColumns(g *kernels.Gemm, half kernels.Half, columns int, room unsafe.Pointer) error {
	for first := 0; first < g.N; first += columns {
		part := *g
		part.N = min(columns, g.N-first)
		part.B = room
		if g.TransB {
			part.LDB = g.K
			kernels.WidenRows(half, part.N, g.K, room, g.K, unsafe.Add(g.B, 2*first*g.LDB), g.LDB)
		} else {
			part.LDB = part.N
			kernels.WidenRows(half, g.K, part.N, room, part.N, unsafe.Add(g.B, 2*first), g.LDB)
		}
		part.C = unsafe.Add(g.C, 4*first)
		if g.Bias != nil {
			part.Bias = unsafe.Add(g.Bias, 4*first)
		}
		if g.Residual != nil {
			part.Residual = unsafe.Add(g.Residual, 4*first)
		}
		if err := part.Run(); err != nil {
			return err
		}
	}
	return nil
}
