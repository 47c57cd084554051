package guarded_test

import (
	"os"
	"os/exec"
	"slices"
	"testing"

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
	placed, err := g.Alloc(tensor.Float32, len(values))
	if err == nil {
		err = g.Copy(placed, host)
	}
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

func TestKernelsReachTheirOperands(t *testing.T) {
	before := tensor.Count()
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
	empty, err := g.Alloc(tensor.Float32, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*tensor.Tensor{x, sum[0], host, empty} {
		v.Release()
	}
	if after := tensor.Count(); after.Storages != before.Storages || after.Bytes != before.Bytes {
		t.Errorf("%d storages and %d bytes are left", after.Storages-before.Storages, after.Bytes-before.Bytes)
	}
}

var seen float32 // so that reading is not optimised away

// TestOthersDie: in a process of their own.
func TestOthersDie(t *testing.T) {
	deeds := map[string]func(x *tensor.Tensor, g *guarded.Backend){
		"read":           func(x *tensor.Tensor, _ *guarded.Backend) { seen = x.Float32s()[0] },
		"write":          func(x *tensor.Tensor, _ *guarded.Backend) { x.Float32s()[0] = 1 },
		"write an input": func(x *tensor.Tensor, g *guarded.Backend) { _ = g.Launch(&meddling{X: x}) },
	}
	if deed, ok := deeds[os.Getenv("GUARDED_DEED")]; ok {
		g := guarded.New(meddler{})
		x := place(t, g, 1, 2)
		deed(x, g)
		return
	}
	for name := range deeds {
		run := exec.Command(os.Args[0], "-test.run", "^TestOthersDie$")
		run.Env = append(os.Environ(), "GUARDED_DEED="+name)
		if out, err := run.CombinedOutput(); err == nil {
			t.Errorf("to %s went well: %s", name, out)
		}
	}
}
