// Tests of the operations: what they refuse, what they compute (against plain float64 loops written here), and
// that the ones which stand for several others give their bits. This file has the helpers.
package op_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/guarded"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// backends are what every test of this package runs on, one after the other.
var backends = []backend.Backend{cpu.CPU{}, guarded.New(cpu.CPU{})}

// current is the backend of the tests that run now.
var current backend.Backend

func TestMain(m *testing.M) {
	for _, current = range backends {
		if m.Run() != 0 { // its code is the process's
			fmt.Fprintln(os.Stderr, "these were the tests on the backend", current.Name())
			return
		}
	}
}

// bench makes tensors for one test and checks at its end that every other one was released.
type bench struct {
	t    *testing.T
	rand *rand.Rand
}

func newBench(t *testing.T) *bench {
	t.Helper()
	before := tensor.Count().Storages
	t.Cleanup(func() {
		if after := tensor.Count().Storages; after != before && !t.Failed() {
			t.Errorf("%d storages are left behind", after-before)
		}
	})
	return &bench{t, rand.New(rand.NewPCG(1, 2))}
}

func (b *bench) own(t *tensor.Tensor, err error) *tensor.Tensor {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(t.Release)
	return t
}

// normal is a tensor of that shape with values around 0.
func (b *bench) normal(shape ...int) *tensor.Tensor {
	b.t.Helper()
	t := b.own(tensor.New(tensor.Float32, shape...))
	for i := range t.Float32s() {
		t.Float32s()[i] = float32(b.rand.NormFloat64())
	}
	return t
}

func (b *bench) ids(values []int64, shape ...int) *tensor.Tensor {
	b.t.Helper()
	return b.own(tensor.FromInt64s(values, shape...))
}

func (b *bench) bytes(values []byte, shape ...int) *tensor.Tensor {
	b.t.Helper()
	t := b.own(tensor.New(tensor.Uint8, shape...))
	copy(t.Uint8s(), values)
	return t
}

// transposed is a matrix of that shape stored the other way round, as Hugging Face's Linear is.
func (b *bench) transposed(rows, cols int) *tensor.Tensor {
	b.t.Helper()
	return b.own(b.normal(cols, rows).View([]int{rows, cols}, []int{1, rows}, 0))
}

// apply runs an operation on inputs of the host's where the backend computes, and gives its outputs there.
func (b *bench) apply(o op.Op, in ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	b.t.Helper()
	placed := make([]*tensor.Tensor, len(in))
	for i, t := range in {
		placed[i] = b.place(t)
	}
	return op.Apply(current, o, placed...)
}

func (b *bench) runAll(o op.Op, in ...*tensor.Tensor) []*tensor.Tensor {
	b.t.Helper()
	out, err := b.apply(o, in...)
	if err != nil {
		b.t.Fatalf("%s: %v", o.Name(), err)
	}
	hosted := make([]*tensor.Tensor, len(out))
	for i, t := range out {
		hosted[i] = b.host(b.own(t, nil))
	}
	return hosted
}

// host is a tensor where its bytes can be read.
func (b *bench) host(t *tensor.Tensor) *tensor.Tensor {
	b.t.Helper()
	if g, ok := current.(*guarded.Backend); ok {
		return b.own(g.Host(t))
	}
	return t
}

// place brings a tensor of floats to where the backend computes, with its strides.
func (b *bench) place(t *tensor.Tensor) *tensor.Tensor {
	if _, ok := current.(backend.Placer); ok || t == nil || !t.DType().Floating() {
		return t
	}
	size := t.DType().Size()
	whole := b.own(tensor.FromStorage(t.Storage(), 0, t.DType(), []int{t.Storage().Len() / size}, nil))
	placed := b.own(backend.Place(current, whole))
	first := (uintptr(t.Pointer()) - uintptr(t.Storage().Data())) / uintptr(size)
	return b.own(placed.View(t.Shape(), t.Strides(), int(first)))
}

func (b *bench) run(o op.Op, in ...*tensor.Tensor) *tensor.Tensor {
	b.t.Helper()
	out := b.runAll(o, in...)
	if len(out) != 1 {
		b.t.Fatalf("%s gave %d values", o.Name(), len(out))
	}
	return out[0]
}

// sameBits compares tensors of any dtype.
func (b *bench) sameBits(what string, got, want *tensor.Tensor) {
	b.t.Helper()
	if got.DType() != want.DType() || !slices.Equal(got.Shape(), want.Shape()) {
		b.t.Fatalf("%s: %s %v, want %s %v", what, got.DType(), got.Shape(), want.DType(), want.Shape())
	}
	g, w := got.Bytes(), want.Bytes()
	if len(g) != len(w) {
		b.t.Fatalf("%s: strides %v and %v", what, got.Strides(), want.Strides())
	}
	size := want.DType().Size()
	for i := 0; i < len(w); i += size {
		if !bytes.Equal(g[i:i+size], w[i:i+size]) {
			b.t.Fatalf("%s: value %d of %s is %x, want %x", what, i/size, want.DType(), g[i:i+size], w[i:i+size])
		}
	}
}

// near compares with the reference: want is called for each element with its index along each dimension.
func (b *bench) near(got *tensor.Tensor, shape []int, tolerance float64, want func(at []int) float64) {
	b.t.Helper()
	if !slices.Equal(got.Shape(), shape) {
		b.t.Fatalf("shape %v, want %v", got.Shape(), shape)
	}
	values := got.Float32s()
	at := make([]int, len(shape))
	for i, g := range values {
		rest := i
		for d := len(shape) - 1; d >= 0; d-- {
			at[d] = rest % shape[d]
			rest /= shape[d]
		}
		w := want(at)
		if !(math.Abs(float64(g)-w) <= tolerance*math.Max(1, math.Abs(w))) {
			b.t.Fatalf("value at %v is %g, want %g", at, g, w)
		}
	}
}

// at reads one element of a tensor, strided or not.
func at(t *tensor.Tensor, index ...int) float64 {
	offset := 0
	for d, i := range index {
		offset += i * t.Strides()[d]
	}
	one, err := t.View([]int{1}, nil, offset)
	if err != nil {
		return math.NaN()
	}
	defer one.Release()
	return float64(one.Float32s()[0])
}

func dot(n int, a, b func(i int) float64) float64 {
	sum := 0.0
	for i := range n {
		sum += a(i) * b(i)
	}
	return sum
}
