package guarded_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/guarded"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func place(t *testing.T, g *guarded.Backend, values ...float32) *tensor.Tensor {
	t.Helper()
	host, err := tensor.FromFloat32s(values, len(values))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Release()
	placed, err := backend.Place(g, host)
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

// nothingIsLeft checks at a test's end that it released what it took.
func nothingIsLeft(t *testing.T) {
	before := tensor.Count()
	t.Cleanup(func() {
		if after := tensor.Count(); after.Storages != before.Storages || after.Bytes != before.Bytes {
			t.Errorf("%d storages and %d bytes are left", after.Storages-before.Storages, after.Bytes-before.Bytes)
		}
	})
}

func TestKernelsReachTheirOperands(t *testing.T) {
	nothingIsLeft(t)
	g := guarded.New(cpu.CPU{})
	x := place(t, g, 1, 2, 3)
	sum, err := op.Apply(g, &op.Add{}, x, x) // one operand twice
	if err != nil {
		t.Fatal(err)
	}
	host, err := g.Host(sum[0])
	if err != nil || !slices.Equal(host.Float32s(), []float32{2, 4, 6}) {
		t.Errorf("%v, %v", host.Float32s(), err)
	}
	if err := g.Zero(x); err != nil {
		t.Error(err)
	}
	if err := g.Sync(); err != nil || g.Name() != "guarded cpu" {
		t.Errorf("%q, %v", g.Name(), err)
	}
	for _, v := range []*tensor.Tensor{x, sum[0], host} {
		v.Release()
	}
}

// TestSizesOfMemory: around those of pages and of an alignment, in every dtype, blocks among them.
func TestSizesOfMemory(t *testing.T) {
	nothingIsLeft(t)
	g := guarded.New(cpu.CPU{})
	page := os.Getpagesize()
	for _, dt := range []tensor.DType{tensor.Uint8, tensor.BFloat16, tensor.Float32, tensor.Float64, tensor.Q8_0, tensor.Q4_1} {
		length, size := dt.Block()
		for _, about := range []int{0, 1, 63, 64, 65, page - 64, page - 1, page, page + 1, 3*page - 63, 3 * page} {
			host, err := tensor.New(dt, about/size*length)
			if err != nil {
				t.Fatal(err)
			}
			for i := range host.Bytes() {
				host.Bytes()[i] = byte(i * 13)
			}
			placed, err := backend.Place(g, host)
			if err != nil {
				t.Fatal(err)
			}
			if address := uintptr(placed.Pointer()); address%64 != 0 || (address+uintptr(len(host.Bytes()))+63)/64*64%uintptr(page) != 0 && len(host.Bytes()) > 0 {
				t.Errorf("%d bytes lie at %#x", len(host.Bytes()), address)
			}
			back, err := g.Host(placed)
			if err != nil || !bytes.Equal(back.Bytes(), host.Bytes()) {
				t.Errorf("%s: %d bytes came back as others, %v", dt, len(host.Bytes()), err)
			}
			for _, v := range []*tensor.Tensor{host, placed, back} {
				v.Release()
			}
		}
	}
	for shape, want := range map[[2]int]error{{-1, 2}: tensor.ErrShape, {1 << 24, 1 << 23}: tensor.ErrOutOfMemory} {
		if _, err := g.Alloc(tensor.Float32, shape[:]...); !errors.Is(err, want) {
			t.Errorf("%v: error %v, want %v", shape, err, want)
		}
	}
}

// launchTogether adds a shared tensor to others, from several goroutines at once.
func launchTogether(g *guarded.Backend, shared *tensor.Tensor) error {
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for range 200 {
				out, err := op.Apply(g, &op.Add{}, shared, shared)
				if err != nil {
					errs[i] = err
					return
				}
				host, err := g.Host(out[0])
				if err == nil && !slices.Equal(host.Float32s(), []float32{2, 4}) {
					err = fmt.Errorf("%v", host.Float32s())
				}
				if errs[i] = err; err != nil {
					return
				}
				host.Release()
				out[0].Release()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func TestLaunchesAtOnce(t *testing.T) {
	nothingIsLeft(t)
	g := guarded.New(cpu.CPU{})
	x := place(t, g, 1, 2)
	defer x.Release()
	if err := launchTogether(g, x); err != nil {
		t.Error(err)
	}
}

// deeds are what nobody may do to x. Each is its process's last.
var deeds = map[string]func(g *guarded.Backend, x, y *tensor.Tensor){
	"read":  func(_ *guarded.Backend, x, _ *tensor.Tensor) { read(x, 0) },
	"write": func(_ *guarded.Backend, x, _ *tensor.Tensor) { write(x, 0) },
	"write an input": func(g *guarded.Backend, x, y *tensor.Tensor) {
		_ = g.Launch(&meddling{X: x, Out: y, deed: func() { write(x, 0) }})
	},
	"read behind the end of an input": func(g *guarded.Backend, x, y *tensor.Tensor) {
		_ = g.Launch(&meddling{X: x, Out: y, deed: func() { read(x, 16) }})
	},
	"write behind the end of an output": func(g *guarded.Backend, x, y *tensor.Tensor) {
		_ = g.Launch(&meddling{X: y, Out: x, deed: func() { write(x, 16) }})
	},
	"read what is no operand": func(g *guarded.Backend, x, y *tensor.Tensor) {
		_ = g.Launch(&meddling{X: y, Out: y, deed: func() { read(x, 0) }})
	},
	"read what was an operand": func(g *guarded.Backend, x, y *tensor.Tensor) {
		if g.Launch(&meddling{X: y, Out: x, deed: func() { write(x, 0) }}) == nil {
			read(x, 0)
		}
	},
	"read what was an operand of a kernel that failed": func(g *guarded.Backend, x, _ *tensor.Tensor) {
		if _, err := op.Apply(g, &op.Activation{Kind: "mish"}, x); err != nil {
			read(x, 0)
		}
	},
	"read behind many": func(g *guarded.Backend, x, _ *tensor.Tensor) {
		if err := launchTogether(g, x); err == nil {
			read(x, 0)
		}
	},
}

// TestOthersDie: in processes of their own, of a fault.
func TestOthersDie(t *testing.T) {
	if deed, ok := deeds[os.Getenv("GUARDED_DEED")]; ok {
		g := guarded.New(meddler{})
		deed(g, place(t, g, 1, 2), place(t, g, 3, 4))
		return
	}
	for name := range deeds {
		run := exec.Command(os.Args[0], "-test.run", "^TestOthersDie$")
		run.Env = append(os.Environ(), "GUARDED_DEED="+name)
		out, err := run.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "unexpected fault address") {
			t.Errorf("to %s ended with %v: %s", name, err, out)
		}
	}
}
