package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func safetensorsBytes(header string, data []byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func floatBytes(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

const twoTensors = `{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},` +
	`"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}      `

func twoTensorsFile() []byte {
	return safetensorsBytes(twoTensors, append([]byte{0x80, 0x3f, 0x00, 0xc0}, floatBytes(0.5, -3)...))
}

func TestSafetensorsLoad(t *testing.T) {
	f, err := OpenSafetensors(writeFile(t, "m.safetensors", twoTensorsFile()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Names(); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("names %v", got)
	}
	if e, ok := f.Entry("b"); !ok || e.Kind != F32 || !slices.Equal(e.Shape, []int{2, 1}) || e.Len() != 2 || e.Bytes() != 8 {
		t.Errorf("entry %+v %v", e, ok)
	}
	sameBits(t, "a", load(t, f, "a"), []float32{1, -2})
	sameBits(t, "b", load(t, f, "b"), []float32{0.5, -3})
	if _, err := f.Load("c"); !errors.Is(err, ErrNotFound) {
		t.Errorf("load of an absent tensor: %v", err)
	}
}

func TestLoadEveryPlainDType(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		dtype string
		data  []byte
		want  []float32
	}{
		{"F32", floatBytes(1.5, float32(math.Inf(-1))), []float32{1.5, float32(math.Inf(-1))}},
		{"F64", le.AppendUint64(le.AppendUint64(nil, math.Float64bits(0.1)), math.Float64bits(1e300)), []float32{0.1, float32(math.Inf(1))}},
		{"F16", []byte{0x00, 0x3c, 0x01, 0x80}, []float32{1, -1.0 / (1 << 24)}},
		{"BF16", []byte{0x80, 0x3f, 0x80, 0xff}, []float32{1, float32(math.Inf(-1))}},
		{"I64", le.AppendUint64(le.AppendUint64(nil, 7), math.MaxUint64), []float32{7, -1}},
		{"I32", le.AppendUint32(le.AppendUint32(nil, 7), math.MaxUint32), []float32{7, -1}},
		{"I16", []byte{7, 0, 0xff, 0xff}, []float32{7, -1}},
		{"I8", []byte{7, 0xff}, []float32{7, -1}},
		{"U64", le.AppendUint64(le.AppendUint64(nil, 7), math.MaxUint64), []float32{7, 1 << 64}},
		{"U32", le.AppendUint32(le.AppendUint32(nil, 7), math.MaxUint32), []float32{7, 1 << 32}},
		{"U16", []byte{7, 0, 0xff, 0xff}, []float32{7, 65535}},
		{"U8", []byte{7, 0xff}, []float32{7, 255}},
		{"BOOL", []byte{0, 1}, []float32{0, 1}},
	} {
		header := fmt.Sprintf(`{"x":{"dtype":%q,"shape":[2],"data_offsets":[0,%d]}}`, c.dtype, len(c.data))
		f, err := OpenSafetensors(writeFile(t, "m.safetensors", safetensorsBytes(header, c.data)))
		if err != nil {
			t.Fatal(err)
		}
		sameBits(t, c.dtype, load(t, f, "x"), c.want)
		raw, err := f.LoadRaw("x")
		if err != nil {
			t.Fatal(err)
		}
		if stored := raw.Storage().Bytes(); !bytes.Contains(stored, c.data) || raw.Len()*raw.DType().Size() != len(c.data) {
			t.Errorf("%s: raw %v %v", c.dtype, raw.DType(), raw.Shape())
		}
		raw.Release()
		f.Close()
	}
}

func TestLoadUnsupportedKind(t *testing.T) {
	data := safetensorsBytes(`{"w.scale":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}}`, []byte{1, 2, 3})
	f, err := OpenSafetensors(writeFile(t, "m.safetensors", data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.Load("w.scale")
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "F8_E4M3") || !strings.Contains(err.Error(), "w.scale") {
		t.Errorf("error %v", err)
	}
}

func TestZeroCopyAndPrivate(t *testing.T) {
	path := writeFile(t, "m.safetensors", twoTensorsFile())
	f, err := OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	before := tensor.Count().Storages
	x, err := f.Load("b")
	if err != nil {
		t.Fatal(err)
	}
	header := 8 + len(twoTensors)
	if aligned := header%4 == 0; !aligned {
		t.Fatalf("the test's header of %d bytes does not align the data", header)
	}
	if tensor.Count().Storages != before {
		t.Error("an aligned F32 tensor was copied")
	}
	x.Float32s()[0] = 99
	if again := load(t, f, "b"); again[0] != 99 {
		t.Error("two loads of one tensor do not share the mapping")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "after Close", x.Float32s(), []float32{99, -3})
	x.Release()
	if onDisk, _ := os.ReadFile(path); !bytes.Equal(onDisk, twoTensorsFile()) {
		t.Error("a write to a tensor reached the file")
	}
	if _, err := f.Load("b"); !errors.Is(err, ErrClosed) {
		t.Errorf("load after Close: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseFreesEverything(t *testing.T) {
	before := tensor.Count().Storages
	for _, data := range [][]byte{twoTensorsFile(), twoTensorsFile()[:60]} {
		f, err := OpenSafetensors(writeFile(t, "m.safetensors", data))
		if err != nil {
			continue
		}
		for _, name := range f.Names() {
			x, err := f.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			x.Release()
		}
		f.Close()
	}
	if after := tensor.Count().Storages; after != before {
		t.Errorf("%d storages are left", after-before)
	}
}

func TestUnalignedIsCopied(t *testing.T) {
	header := `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}`
	f, err := OpenSafetensors(writeFile(t, "m.safetensors", safetensorsBytes(header, append([]byte{5}, floatBytes(4, -0.25)...))))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := f.Load("b")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	if uintptr(x.Pointer())%4 != 0 {
		t.Error("an unaligned view was handed out")
	}
	sameBits(t, "b", x.Float32s(), []float32{4, -0.25})
	raw, err := f.LoadRaw("b")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Release()
	sameBits(t, "raw b", raw.Float32s(), []float32{4, -0.25})
}

func TestSafetensorsZeroSizesAndOddNames(t *testing.T) {
	header := `{"":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"a\u0000\n\"é日":{"dtype":"F32","shape":[],"data_offsets":[0,4]},` +
		`"end":{"dtype":"I64","shape":[5,0],"data_offsets":[4,4]}}`
	f, err := OpenSafetensors(writeFile(t, "m.safetensors", safetensorsBytes(header, floatBytes(8))))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sameBits(t, "scalar", load(t, f, "a\x00\n\"é日"), []float32{8})
	for _, name := range []string{"", "end"} {
		if got := load(t, f, name); len(got) != 0 {
			t.Errorf("%q has %d values", name, len(got))
		}
	}
	if f, err := OpenSafetensors(writeFile(t, "none.safetensors", safetensorsBytes(`{}`, nil))); err != nil || len(f.Names()) != 0 {
		t.Errorf("no tensors: %v", err)
	}
}

func TestSafetensorsMalformed(t *testing.T) {
	one := func(member string) []byte { return safetensorsBytes(`{"x":`+member+`}`, floatBytes(1, 2)) }
	lying := func(n uint64) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), `{"x":1}`...) }
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"empty", nil, "empty file"},
		{"seven bytes", []byte("1234567"), "at least 8 bytes"},
		{"length beyond the file", lying(8), "truncated"},
		{"huge length", lying(math.MaxUint64), "not a safetensors file"},
		{"length of zero", lying(0), "a JSON object"},
		{"not an object", safetensorsBytes(`[1]`, nil), "a JSON object"},
		{"header cut short", safetensorsBytes(`{"x":{"dtype":"F32"`, nil), "end of the text"},
		{"not JSON", safetensorsBytes(`{"x";1}`, nil), "not JSON"},
		{"not UTF-8", safetensorsBytes("{\"\xff\":1}", nil), "UTF-8"},
		{"text behind", safetensorsBytes(`{} {}`, nil), "nothing but spaces"},
		{"deep", safetensorsBytes(`{"x":`+strings.Repeat("[", 100000), nil), "an object"},
		{"deep shape", one(`{"shape":[[`), "non-negative whole numbers"},
		{"long shape", one(`{"shape":[` + strings.Repeat("1,", 100) + `1]}`), "at most 64"},
		{"metadata not strings", safetensorsBytes(`{"__metadata__":{"a":1}}`, nil), "a string"},
		{"duplicate tensor", safetensorsBytes(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, floatBytes(1, 2)), `"x" twice`},
		{"duplicate field", one(`{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}`), `"dtype" twice`},
		{"unknown field", one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1]}`), "strides"},
		{"unknown dtype", one(`{"dtype":"F31","shape":[2],"data_offsets":[0,8]}`), "F31"},
		{"no dtype", one(`{"shape":[2],"data_offsets":[0,8]}`), "dtype"},
		{"no shape", one(`{"dtype":"F32","data_offsets":[0,8]}`), "shape"},
		{"no offsets", one(`{"dtype":"F32","shape":[2]}`), "data_offsets"},
		{"one offset", one(`{"dtype":"F32","shape":[2],"data_offsets":[8]}`), "[begin, end]"},
		{"three offsets", one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}`), "at most 2"},
		{"negative size", one(`{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}`), "-2"},
		{"fraction", one(`{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}`), "2.0"},
		{"size beyond 64 bits", one(`{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}`), "whole numbers"},
		{"shape overflows", one(`{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}`), "63-bit"},
		{"bytes overflow", one(`{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,8]}`), "whole number of bytes"},
		{"half a byte", one(`{"dtype":"F4","shape":[3],"data_offsets":[0,8]}`), "whole number of bytes"},
		{"shape and offsets differ", one(`{"dtype":"F32","shape":[3],"data_offsets":[0,8]}`), "12 bytes"},
		{"end before begin", one(`{"dtype":"F32","shape":[2],"data_offsets":[8,0]}`), "begin ≤ end"},
		{"beyond the file", one(`{"dtype":"F32","shape":[3],"data_offsets":[0,12]}`), "truncated"},
		{"bytes nobody claims", one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`), "8 bytes"},
		{"a gap in front", one(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`), "gaps"},
		{"overlap", safetensorsBytes(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, floatBytes(1, 2)), `"y" offset: found 4`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "bad.safetensors", c.data)
			_, err := OpenSafetensors(path)
			var format *FormatError
			if !errors.As(err, &format) || format.Path != path || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, should say %q and name the file", err, c.says)
			}
		})
	}
}

func TestSafetensorsTruncatedEverywhere(t *testing.T) {
	whole := twoTensorsFile()
	for n := range whole {
		if _, err := parseSafetensors("cut", whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken for a whole file", n, len(whole))
		}
	}
	if _, err := parseSafetensors("long", append(whole, 0)); err == nil {
		t.Error("a byte behind the data was not noticed")
	}
}

func TestOpenWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, open := range []func(string) error{
		func(p string) error { _, err := OpenSafetensors(p); return err },
		func(p string) error { _, err := OpenGGUF(p); return err },
	} {
		if err := open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
			t.Errorf("absent file: %v", err)
		}
		if err := open(dir); err == nil || !strings.Contains(err.Error(), "a folder") {
			t.Errorf("folder: %v", err)
		}
		if err := open("/dev/null"); err == nil || !strings.Contains(err.Error(), "regular file") {
			t.Errorf("device: %v", err)
		}
	}
}

func TestNotFoundOffersNearNames(t *testing.T) {
	data := safetensorsBytes(`{"h.0.attn.c_attn.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, floatBytes(1))
	f, err := OpenSafetensors(writeFile(t, "m.safetensors", data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Load("transformer.h.0.attn.c_attn.weight"); err == nil || !strings.Contains(err.Error(), `near ones are "h.0.attn.c_attn.weight"`) {
		t.Errorf("error %v", err)
	}
}
