package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// ggufBytes builds files, right and wrong.
type ggufBytes []byte

func (b ggufBytes) u32(v uint32) ggufBytes { return binary.LittleEndian.AppendUint32(b, v) }
func (b ggufBytes) u64(v uint64) ggufBytes { return binary.LittleEndian.AppendUint64(b, v) }
func (b ggufBytes) str(s string) ggufBytes { return append(b.u64(uint64(len(s))), s...) }
func (b ggufBytes) pad(to int) ggufBytes {
	for len(b)%to != 0 {
		b = append(b, 0)
	}
	return b
}

func ggufHead(version uint32, tensors, pairs uint64) ggufBytes {
	return ggufBytes("GGUF").u32(version).u64(tensors).u64(pairs)
}

// tensorInfo appends a description; dims are innermost first, as in the file.
func (b ggufBytes) tensorInfo(name string, kind uint32, offset uint64, dims ...uint64) ggufBytes {
	b = b.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		b = b.u64(d)
	}
	return b.u32(kind).u64(offset)
}

// smallGGUF has a string, an array, an F32 tensor of shape [2, 3] and an empty one.
func smallGGUF(version uint32) []byte {
	b := ggufHead(version, 2, 2).str("general.architecture").u32(ggufString).str("llama")
	b = b.str("list").u32(ggufArray).u32(ggufUint16).u64(3)
	b = append(b, 1, 0, 2, 0, 3, 0)
	b = b.tensorInfo("w", 0, 0, 3, 2).tensorInfo("none", 2, 32, 0, 9).pad(32)
	return append(b, floatBytes(1, 2, 3, 4, 5, 6)...)
}

func openGGUFBytes(t *testing.T, data []byte) *GGUF {
	t.Helper()
	g, err := OpenGGUF(writeFile(t, "m.gguf", data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func TestGGUFVersions(t *testing.T) {
	for version := range uint32(5) {
		_, err := parseGGUF("m.gguf", append(smallGGUF(version), make([]byte, 8)...))
		if ok := version == 2 || version == 3; (err == nil) != ok {
			t.Errorf("version %d: %v", version, err)
		}
	}
	if _, err := parseGGUF("m.gguf", smallGGUF(3<<24)); err == nil || !strings.Contains(err.Error(), "big-endian") {
		t.Errorf("big endian: %v", err)
	}
}

func TestGGUFLoad(t *testing.T) {
	g := openGGUFBytes(t, append(smallGGUF(3), make([]byte, 8)...))
	if g.Version() != 3 || !slices.Equal(g.Names(), []string{"w", "none"}) {
		t.Errorf("version %d, names %v", g.Version(), g.Names())
	}
	if e, _ := g.Entry("w"); e.Kind != F32 || !slices.Equal(e.Shape, []int{2, 3}) {
		t.Errorf("entry %+v", e)
	}
	x, err := g.Load("w")
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	sameBits(t, "w after Close", x.Float32s(), []float32{1, 2, 3, 4, 5, 6})
	x.Release()
}

// TestSmallTensorsLetTheFileGo loads all of a quantised file: nothing of it stays mapped after Close.
func TestSmallTensorsLetTheFileGo(t *testing.T) {
	g := openGGUFBytes(t, append(smallGGUF(3), make([]byte, 8)...))
	mapped := g.storages[0].Retain()
	defer mapped.Release()
	x, err := g.Load("w")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	g.Close()
	if refs := mapped.Refs(); refs != 1 {
		t.Errorf("%d references to the mapping beside the test's own", refs-1)
	}
	sameBits(t, "w", x.Float32s(), []float32{1, 2, 3, 4, 5, 6})
}

func TestGGUFZeroSizesAndScalars(t *testing.T) {
	g := openGGUFBytes(t, append(smallGGUF(2), make([]byte, 8)...))
	if got := load(t, g, "none"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	b := ggufHead(3, 1, 0).tensorInfo("a b\x00/é", 0, 0).pad(32)
	sameBits(t, "scalar", load(t, openGGUFBytes(t, append(b, floatBytes(7)...)), "a b\x00/é"), []float32{7})
	if g := openGGUFBytes(t, ggufHead(3, 0, 0)); len(g.Names()) != 0 {
		t.Error("no tensors")
	}
}

func TestGGUFAlignment(t *testing.T) {
	pair := ggufHead(3, 2, 1).str("general.alignment").u32(ggufUint32)
	b := pair.u32(2).tensorInfo("h", 1, 0, 1).tensorInfo("w", 0, 2, 1).pad(2)
	g := openGGUFBytes(t, append(append(b, 0, 0x3c), floatBytes(-4)...))
	sameBits(t, "h", load(t, g, "h"), []float32{1})
	sameBits(t, "w, not aligned to 4", load(t, g, "w"), []float32{-4})
	for _, bad := range []uint32{0, 3, 33} {
		b := pair.u32(bad).tensorInfo("h", 1, 0, 1).tensorInfo("w", 0, 2, 1).pad(32)
		if _, err := parseGGUF("m", append(b, make([]byte, 64)...)); err == nil || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("alignment %d: %v", bad, err)
		}
	}
}

func TestGGUFRawBlocks(t *testing.T) {
	g, err := OpenGGUF("testdata/quants.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for name, want := range map[string]struct {
		dtype string
		row   int
	}{"Q4_K": {"uint8", 2 * 144}, "Q4_1": {"Q4_1", 2 * 256}, "Q8_0": {"Q8_0", 2 * 256}} {
		x, err := g.LoadRaw(name)
		if err != nil {
			t.Fatal(err)
		}
		if shape := []int{3, want.row}; !slices.Equal(x.Shape(), shape) || x.DType().String() != want.dtype {
			t.Errorf("raw %s is %v %v, want %v %v", name, x.DType(), x.Shape(), want.dtype, shape)
		}
		if e, _ := g.Entry(name); !bytes.Equal(x.Bytes(), e.data()) || x.Storage() == nil || x.Storage().Len() <= e.Bytes() {
			t.Errorf("raw %s is not the file's own bytes, mapped", name)
		}
		x.Release()
	}
}

// Blocks outlive the file that they are mapped from, wherever they begin in it.
func TestGGUFBlocksAnywhere(t *testing.T) {
	b := ggufHead(3, 2, 1).str("general.alignment").u32(ggufUint32).u32(1)
	b = b.tensorInfo("a", 24, 0, 1).tensorInfo("q", 8, 1, 32, 2)
	blocks := make([]byte, 68)
	for i := range blocks {
		blocks[i] = byte(i)
	}
	for len(b)%2 != 0 { // so that blocks begin at an odd byte
		b = ggufHead(3, 2, 1).str("general.alignment").u32(ggufUint32).u32(1).tensorInfo("aa", 24, 0, 1).tensorInfo("q", 8, 1, 32, 2)
	}
	g := openGGUFBytes(t, append(append(b, 0), blocks...))
	q, err := g.LoadRaw("q")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Release()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if uintptr(q.Pointer())%2 == 0 || !bytes.Equal(q.Bytes(), blocks) {
		t.Errorf("blocks at %#x are % x", uintptr(q.Pointer()), q.Bytes())
	}
}

func TestGGUFUnsupportedKinds(t *testing.T) {
	b := ggufHead(3, 1, 0).tensorInfo("blk.0.w", 16, 0, 256).pad(32)
	g := openGGUFBytes(t, append(b, make([]byte, 66)...))
	_, err := g.Load("blk.0.w")
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "IQ2_XXS") || !strings.Contains(err.Error(), "blk.0.w") {
		t.Errorf("a known kind: %v", err)
	}
	b = ggufHead(3, 1, 0).tensorInfo("blk.0.w", 4, 0, 256).pad(32)
	_, err = parseGGUF("m", b)
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "found 4") || !strings.Contains(err.Error(), "blk.0.w") {
		t.Errorf("a withdrawn type: %v", err)
	}
}

func TestGGUFTruncatedEverywhere(t *testing.T) {
	whole := smallGGUF(3)
	if _, err := parseGGUF("whole", append(whole, make([]byte, 8)...)); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		var format *FormatError
		if _, err := parseGGUF("cut", whole[:n]); !errors.As(err, &format) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	stored, err := os.ReadFile("testdata/metadata.gguf")
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseGGUF("whole", stored)
	if err != nil {
		t.Fatal(err)
	}
	last := h.keys[len(h.keys)-1]
	for n := range stored {
		if h, err := parseGGUF("cut", stored[:n]); err == nil && h.meta[last] == nil {
			t.Errorf("%d bytes gave a file without %q", n, last)
		}
	}
}

func TestGGUFMalformed(t *testing.T) {
	pair := func(kind uint32) ggufBytes { return ggufHead(3, 0, 1).str("k").u32(kind) }
	info := func(kind uint32, offset uint64, dims ...uint64) []byte {
		return append(ggufHead(3, 1, 0).tensorInfo("w", kind, offset, dims...).pad(32), make([]byte, 64)...)
	}
	two := func(name string, offset uint64) []byte {
		b := ggufHead(3, 2, 0).tensorInfo("w", 0, 0, 16).tensorInfo(name, 0, offset, 1).pad(32)
		return append(b, make([]byte, 128)...)
	}
	nested := pair(ggufArray)
	for range 5 {
		nested = nested.u32(ggufArray).u64(1)
	}
	for _, c := range []struct {
		name string
		data []byte
		says []string
	}{
		{"not GGUF", []byte("some other file, not a model"), []string{"magic", "not a GGUF file"}},
		{"a zip archive", []byte("PK\x03\x04 is a zip archive, not a model"), []string{"zip archive", "safetensors"}},
		{"too many tensors", ggufHead(3, math.MaxUint64, 0), []string{"tensor count", "18446744073709551615"}},
		{"too many pairs", ggufHead(3, 0, 1<<40), []string{"metadata count", "1099511627776"}},
		{"more pairs than there are", append(ggufHead(3, 0, 2).str("k").u32(ggufUint8), "\x01and then no key but text"...), []string{"metadata 1"}},
		{"long key", append(ggufHead(3, 0, 1).u64(math.MaxUint64), "12345678"...), []string{"metadata 0 key"}},
		{"key not UTF-8", ggufHead(3, 0, 1).str("\xff\xfe").u32(ggufUint64).u64(0), []string{"UTF-8"}},
		{"key twice", append(ggufHead(3, 0, 2).str("k").u32(ggufUint64).u64(1).str("k").u32(ggufUint64).u64(1), 0), []string{`"k"`, "twice"}},
		{"unknown value type", pair(13).u64(0), []string{`"k" type`, "13"}},
		{"long string", pair(ggufString).u64(1 << 62), []string{`"k" string`}},
		{"bool of 2", append(pair(ggufBool), 2), []string{"0 or 1"}},
		{"unknown element type", pair(ggufArray).u32(99).u64(0), []string{"element type", "99"}},
		{"long array", pair(ggufArray).u32(ggufFloat64).u64(1 << 61), []string{"array length"}},
		{"long array of strings", pair(ggufArray).u32(ggufString).u64(1 << 60), []string{"array length"}},
		{"string in array too long", pair(ggufArray).u32(ggufString).u64(1).u64(9), []string{"string"}},
		{"bool array of 7", append(pair(ggufArray).u32(ggufBool).u64(2), 1, 7), []string{"0 or 1"}},
		{"arrays too deep", append(nested, make([]byte, 64)...), []string{"nesting"}},
		{"tensor name not UTF-8", append(ggufHead(3, 1, 0).tensorInfo("\xff", 0, 0, 1).pad(32), make([]byte, 4)...), []string{"UTF-8"}},
		{"five dimensions", info(0, 0, 1, 1, 1, 1, 1), []string{`"w" number of dimensions`, "at most 4"}},
		{"dimensions overflow", info(0, 0, 1<<32, 1<<32), []string{"63-bit"}},
		{"dimension beyond int", info(0, 0, math.MaxUint64), []string{"63-bit"}},
		{"bytes overflow", info(28, 0, 1<<61), []string{"63-bit"}},
		{"part of a block", info(2, 0, 33), []string{"whole blocks of 32", "Q4_0"}},
		{"unaligned offset", info(0, 4, 1), []string{"found 4, expected 0", "multiple of 32"}},
		{"beyond the file", info(0, 0, 17), []string{`"w" offset`, "64 bytes of data"}},
		{"offset beyond the file", info(0, 1<<62, 1), []string{"found 4611686018427387904, expected 0"}},
		{"offset overflows", info(0, math.MaxUint64-31, 16), []string{"expected 0"}},
		{"overlap", two("v", 32), []string{`"v" offset: found 32, expected 64`, `behind tensor "w"`}},
		{"name twice", two("w", 64), []string{`"w" name`, "twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "bad.gguf", c.data)
			_, err := OpenGGUF(path)
			var format *FormatError
			if !errors.As(err, &format) || format.Path != path {
				t.Fatalf("error %v should be a FormatError that names the file", err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%v does not say %q", err, words)
				}
			}
		})
	}
}

func TestGGUFMetadata(t *testing.T) {
	g, err := OpenGGUF("testdata/metadata.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	want := map[string]any{
		"general.architecture": "none",
		"u8":                   uint8(255), "i8": int8(-128), "u16": uint16(65535), "i16": int16(-32768),
		"u32": uint32(math.MaxUint32), "i32": int32(math.MinInt32), "f32": float32(0.5), "yes": true, "no": false,
		"text": "naïve → text\n", "u64": uint64(math.MaxUint64), "i64": int64(math.MinInt64), "f64": 1e300,
		"ints": []int32{1, -2, 3}, "floats": []float32{0.25, -8}, "bools": []bool{true, false, true},
		"strings": []string{"", "Ġthe", "日本"}, "nested": []any{[]int32{1, 2}, []int32{3}},
	}
	for key, value := range want {
		if got := g.Meta()[key]; !reflect.DeepEqual(got, value) {
			t.Errorf("%s is %v (%T), want %v (%T)", key, got, got, value, value)
		}
	}
	if len(g.Keys()) != len(want) {
		t.Errorf("keys %v", g.Keys())
	}
}

func TestGGUFTypedGetters(t *testing.T) {
	g, err := OpenGGUF("testdata/metadata.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v (%v), want %v", what, got, err, want)
		}
	}
	for key, want := range map[string]int64{"u8": 255, "i8": -128, "u16": 65535, "i16": -32768, "u32": math.MaxUint32, "i32": math.MinInt32, "i64": math.MinInt64} {
		n, err := g.Int(key)
		check(key, n, err, want)
	}
	u, err := g.Uint("u64")
	check("u64", u, err, uint64(math.MaxUint64))
	for key, want := range map[string]float64{"f32": 0.5, "f64": 1e300} {
		f, err := g.Float(key)
		check(key, f, err, want)
	}
	s, err := g.String("text")
	check("text", s, err, "naïve → text\n")
	list, err := g.Strings("strings")
	check("strings", list, err, []string{"", "Ġthe", "日本"})
	numbers, err := g.Ints("ints")
	check("ints", numbers, err, []int64{1, -2, 3})
	floats, err := g.Floats("floats")
	check("floats", floats, err, []float64{0.25, -8})
	yes, err := g.Bool("yes")
	check("yes", yes, err, true)

	var format *FormatError
	for what, err := range map[string]error{
		"Int of a string": second(g.Int("text")), "Int beyond range": second(g.Int("u64")), "Uint of a negative": second(g.Uint("i8")),
		"Float of an int": second(g.Float("u8")), "String of an int": second(g.String("u8")), "Bool of an int": second(g.Bool("u8")),
		"Ints of floats": second(g.Ints("floats")), "Floats of ints": second(g.Floats("ints")), "Strings of ints": second(g.Strings("ints")),
	} {
		if !errors.As(err, &format) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := g.Int("absent"); !errors.Is(err, ErrNoKey) || g.Has("absent") || !g.Has("u8") {
		t.Errorf("absent key: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestGGUFIntsOfEveryWidth(t *testing.T) {
	for kind, size := range map[uint32]int{ggufUint8: 1, ggufInt8: 1, ggufUint16: 2, ggufInt16: 2, ggufUint32: 4, ggufInt32: 4, ggufUint64: 8, ggufInt64: 8} {
		b := ggufHead(3, 0, 1).str("k").u32(ggufArray).u32(kind).u64(2)
		for _, v := range []byte{1, 100} {
			b = append(append(b, v), make([]byte, size-1)...)
		}
		if got, err := openGGUFBytes(t, b).Ints("k"); err != nil || fmt.Sprint(got) != "[1 100]" {
			t.Errorf("type %d: %v, %v", kind, got, err)
		}
	}
}
