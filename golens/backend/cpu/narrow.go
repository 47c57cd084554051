// Narrow: bfloat16 and float16. What a kernel reads is widened, which is exact, computed in float32 by the kernels for
// that, and rounded once into what it writes.
package cpu

import (
	"unsafe"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

// sixteen reports whether a dtype is a floating one of 16 bits.
func sixteen(dt tensor.DType) bool { return dt == tensor.Float16 || dt == tensor.BFloat16 }

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

// narrowGemm is a product whose operands are all of 16 bits. B is widened by the kernels, as they read it.
func narrowGemm(g *kernels.Gemm, half kernels.Form) error {
	n := g.M*g.K + g.M*g.N + g.N
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
	wide.Form = half
	wide.A, wide.LDA = take(g.M*g.K), g.K
	kernels.WidenRows(half, g.M, g.K, wide.A, g.K, g.A, g.LDA)
	wide.C, wide.LDC = take(g.M*g.N), g.N
	if g.Bias != nil {
		wide.Bias = take(g.N)
		kernels.Widen(half, wide.Bias, g.Bias, g.N)
	}
	if g.Residual != nil {
		wide.Residual, wide.LDR = take(g.M*g.N), g.N
		kernels.WidenRows(half, g.M, g.N, wide.Residual, g.N, g.Residual, g.LDR)
	}
	if err := wide.Run(); err != nil {
		return err
	}
	kernels.NarrowRows(half, g.M, g.N, g.C, g.LDC, wide.C, g.N)
	return nil
}
