// safetensors: eight bytes of header length, a JSON header, the data. Every claim of the header is checked here,
// with the strictness of the format's reference reader: tensors fill the data without gaps or overlap.
package checkpoint

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

const (
	maxHeader = 100_000_000 // the format's own limit
	// maxStrings bounds the strings in a header or index: a tensor has five, and the largest models of experts some hundred
	// thousand tensors. Counting them costs nothing beside reading them.
	maxStrings = 5 << 18
	maxRank    = 64 // of a described tensor; package tensor sets the limit of a loaded one
)

// safetensorsKinds is what the format calls its dtypes.
var safetensorsKinds = func() map[string]Kind {
	m := map[string]Kind{}
	for _, k := range []Kind{F32, F64, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, Bool, F8_E4M3, F8_E5M2, F8_E8M0,
		F6_E2M3, F6_E3M2, F4, C64} {
		m[k.String()] = k
	}
	return m
}()

// File is an open safetensors checkpoint: one file, or the shards that an index names.
type File struct {
	catalog
	lacking []string // shards without a tensor that the index gives them
}

// OpenSafetensors maps and checks one safetensors file.
func OpenSafetensors(path string) (*File, error) {
	storage, entries, err := mapSafetensors(path)
	if err != nil {
		return nil, err
	}
	f := &File{catalog: catalog{path: path}}
	f.add(storage, entries)
	return f, nil
}

func mapSafetensors(path string) (*tensor.Storage, []Entry, error) {
	storage, err := mapFile(path, "safetensors")
	if err != nil {
		return nil, nil, err
	}
	entries, err := parseSafetensors(path, storage.Bytes())
	if err != nil {
		storage.Release()
		return nil, nil, err
	}
	return storage, entries, nil
}

// parseSafetensors reads the header; the entries it gives lie within data.
func parseSafetensors(path string, data []byte) ([]Entry, error) {
	if cause := modelfile.Mistaken(data); cause != "" {
		return nil, &FormatError{path, "file", cause, "a safetensors file"}
	}
	if len(data) < 8 {
		return nil, &FormatError{path, "header length", fmt.Sprintf("a file of %d bytes", len(data)), "at least 8 bytes"}
	}
	length := binary.LittleEndian.Uint64(data)
	switch left := uint64(len(data) - 8); {
	case length > maxHeader:
		return nil, &FormatError{path, "header length", strconv.FormatUint(length, 10),
			fmt.Sprintf("at most %d; this is not a safetensors file", maxHeader)}
	case length > left:
		return nil, &FormatError{path, "header length", strconv.FormatUint(length, 10),
			fmt.Sprintf("at most the %d bytes that follow; the file is truncated or not safetensors", left)}
	case length < 2 || data[8] != '{':
		return nil, &FormatError{path, "header", fmt.Sprintf("%q", data[8:8+min(length, 16)]), "a JSON object"}
	}
	scanner, err := newJSONScanner(path, "header", data[8:8+length])
	if err != nil {
		return nil, err
	}
	start := 8 + int(length)
	section := safetensorsSection{path: path, start: start, size: uint64(len(data) - start)}
	err = scanner.object("header", func(key string) error {
		if key == "__metadata__" {
			return scanner.object(key, func(name string) error {
				_, err := scanner.text("__metadata__ " + strconv.Quote(clip(name)))
				return err
			})
		}
		return section.tensor(scanner, key)
	})
	if err != nil {
		return nil, err
	}
	if err := scanner.end("header"); err != nil {
		return nil, err
	}
	return section.entries, section.check()
}

// safetensorsSection gathers what the header says of the bytes behind it.
type safetensorsSection struct {
	path    string
	start   int // of the data in the file
	size    uint64
	entries []Entry
	spans   []span
}

// tensor reads one member of the header.
func (s *safetensorsSection) tensor(scanner *jsonScanner, name string) error {
	field := func(part string) string { return fmt.Sprintf("tensor %q %s", clip(name), part) }
	var dtype string
	var shape, offsets []uint64
	err := scanner.object(field("description"), func(key string) (err error) {
		switch key {
		case "dtype":
			dtype, err = scanner.text(field(key))
		case "shape":
			shape, err = scanner.sizes(field(key), maxRank)
		case "data_offsets":
			offsets, err = scanner.sizes(field(key), 2)
		default:
			err = &FormatError{s.path, field("description"), strconv.Quote(clip(key)), "dtype, shape and data_offsets only"}
		}
		return err
	})
	if err != nil {
		return err
	}
	kind, ok := safetensorsKinds[dtype]
	if !ok {
		return &FormatError{s.path, field("dtype"), strconv.Quote(clip(dtype)), "a dtype of the safetensors format, such as F32 or BF16"}
	}
	if shape == nil {
		return &FormatError{s.path, field("shape"), "none", "an array of sizes"}
	}
	return s.place(name, field, kind, shape, offsets)
}

// place checks a tensor's offsets against its shape and the file, and enters it.
func (s *safetensorsSection) place(name string, field func(string) string, kind Kind, shape, offsets []uint64) error {
	if len(offsets) != 2 {
		return &FormatError{s.path, field("data_offsets"), list(offsets), "[begin, end]"}
	}
	begin, end := offsets[0], offsets[1]
	if begin > end || end > s.size {
		return &FormatError{s.path, field("data_offsets"), list(offsets),
			fmt.Sprintf("begin ≤ end ≤ %d, the bytes of data in the file (is it truncated?)", s.size)}
	}
	elements, ok := countElements(shape)
	if !ok {
		return &FormatError{s.path, field("shape"), list(shape), "sizes whose product is a 63-bit number"}
	}
	size, ok := kind.byteSize(elements)
	if !ok {
		return &FormatError{s.path, field("shape"), list(shape), fmt.Sprintf("a whole number of bytes of %s that can be counted", kind)}
	}
	if size != end-begin {
		return &FormatError{s.path, field("data_offsets"), fmt.Sprintf("%s, %d bytes", list(offsets), end-begin),
			fmt.Sprintf("the %d bytes of %d elements of %s, shape %s", size, elements, kind, list(shape))}
	}
	s.entries = append(s.entries, Entry{Name: name, Kind: kind, Shape: ints(shape), offset: s.start + int(begin), size: int(size)})
	s.spans = append(s.spans, span{begin, end, name})
	return nil
}

func (s *safetensorsSection) check() error {
	if err := checkSpans(s.path, s.spans); err != nil {
		return err
	}
	var claimed uint64
	for _, one := range s.spans {
		claimed = max(claimed, one.end)
	}
	if claimed != s.size {
		return &FormatError{s.path, "data", fmt.Sprintf("%d bytes", s.size), fmt.Sprintf("the %d that the header describes", claimed)}
	}
	return nil
}

// list shows sizes as the files have them.
func list[T uint64 | int](sizes []T) string {
	words := make([]string, len(sizes))
	for i, n := range sizes {
		words[i] = fmt.Sprint(n)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// ints turns checked sizes into ints.
func ints(sizes []uint64) []int {
	shape := make([]int, len(sizes))
	for i, n := range sizes {
		shape[i] = int(n)
	}
	return shape
}
