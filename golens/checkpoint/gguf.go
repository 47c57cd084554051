// GGUF versions 2 and 3, little endian: a header of typed metadata and tensor descriptions, then aligned data.
package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
)

const (
	ggufMagic        = 0x46554747 // "GGUF"
	ggufMaxDims      = 4
	defaultAlignment = 32
	maxTensors       = 1 << 18 // a file of a model has some hundreds, of one with many experts some thousands
	maxPairs         = 1 << 16 // a file has some dozens
	maxKey           = 1<<16 - 1

	minMetadataBytes = 8 + 4 + 1         // an empty key, a type, a one-byte value
	minTensorBytes   = 8 + 4 + 0 + 4 + 8 // an empty name, no dimensions, a type, an offset
)

// ggmlKinds maps the type numbers of the file. Numbers that are missing were withdrawn from the format or never given.
var ggmlKinds = map[uint32]Kind{
	0: F32, 1: F16, 2: Q4_0, 3: Q4_1, 6: Q5_0, 7: Q5_1, 8: Q8_0, 9: Q8_1, 10: Q2_K, 11: Q3_K, 12: Q4_K, 13: Q5_K, 14: Q6_K,
	15: Q8_K, 16: IQ2_XXS, 17: IQ2_XS, 18: IQ3_XXS, 19: IQ1_S, 20: IQ4_NL, 21: IQ3_S, 22: IQ2_S, 23: IQ4_XS, 24: I8,
	25: I16, 26: I32, 27: I64, 28: F64, 29: IQ1_M, 30: BF16, 34: TQ1_0, 35: TQ2_0, 39: MXFP4, 40: NVFP4, 41: Q1_0,
}

// GGUF is an open GGUF file: a Source, and the metadata that comes with the weights.
type GGUF struct {
	catalog
	version uint32
	keys    []string
	meta    map[string]any
}

// OpenGGUF maps and checks a GGUF file.
func OpenGGUF(path string) (*GGUF, error) {
	storage, err := mapFile(path, "GGUF")
	if err != nil {
		return nil, err
	}
	header, err := parseGGUF(path, storage.Bytes())
	if err != nil {
		storage.Release()
		return nil, err
	}
	g := &GGUF{catalog: catalog{path: path}, version: header.version, keys: header.keys, meta: header.meta}
	g.add(storage, header.entries)
	return g, nil
}

// Version is that of the file's format.
func (g *GGUF) Version() int { return int(g.version) }

// ggufHeader is what stands before the data.
type ggufHeader struct {
	version uint32
	keys    []string
	meta    map[string]any
	entries []Entry
	offsets []uint64 // of each entry, from the start of the data
}

// parseGGUF reads and checks everything before the data; the entries it gives lie within data.
func parseGGUF(path string, data []byte) (*ggufHeader, error) {
	c := &cursor{path: path, data: data, where: "header"}
	h := &ggufHeader{meta: map[string]any{}}
	if err := h.readVersion(c); err != nil {
		return nil, err
	}
	tensors, err := c.count(minTensorBytes, maxTensors, "tensor count")
	if err != nil {
		return nil, err
	}
	pairs, err := c.count(minMetadataBytes, maxPairs, "metadata count")
	if err != nil {
		return nil, err
	}
	for i := range pairs {
		if err := h.readPair(c, i); err != nil {
			return nil, err
		}
	}
	alignment, err := h.alignment(path)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for i := range tensors {
		if err := h.readTensor(c, i, known); err != nil {
			return nil, err
		}
	}
	return h, h.place(path, uint64(c.pos), uint64(len(data)), alignment)
}

func (h *ggufHeader) readVersion(c *cursor) (err error) {
	magic, err := c.u32("magic")
	if err != nil {
		return err
	}
	if cause := modelfile.Mistaken(c.data); magic != ggufMagic && cause != "" {
		return &FormatError{c.path, "file", cause, "a GGUF file"}
	}
	if magic != ggufMagic {
		return c.fail("magic", fmt.Sprintf("%q", c.data[:4]), `"GGUF"; this is not a GGUF file`)
	}
	if h.version, err = c.u32("version"); err != nil {
		return err
	}
	switch {
	case h.version == 2 || h.version == 3:
		return nil
	case h.version&0xffff == 0:
		return c.fail("version", "a big-endian file", "a little-endian one; convert it with gguf_convert_endian of the gguf package")
	}
	return c.fail("version", strconv.Itoa(int(h.version)), "2 or 3")
}

func (h *ggufHeader) readPair(c *cursor, index uint64) error {
	c.where = fmt.Sprintf("metadata %d", index)
	name, err := c.bytes("key")
	if err != nil {
		return err
	}
	if len(name) > maxKey {
		return c.fail("key", fmt.Sprintf("%d bytes", len(name)), fmt.Sprintf("at most %d", maxKey))
	}
	key := string(name)
	if !utf8.ValidString(key) {
		return c.fail("key", strconv.Quote(clip(key)), "UTF-8")
	}
	c.where = fmt.Sprintf("metadata %q", clip(key))
	if _, twice := h.meta[key]; twice {
		return c.fail("key", "it twice", "each key once")
	}
	kind, err := c.u32("type")
	if err != nil {
		return err
	}
	value, err := c.value(kind, 0)
	if err != nil {
		return err
	}
	h.keys = append(h.keys, key)
	h.meta[key] = value
	return nil
}

func (h *ggufHeader) alignment(path string) (uint64, error) {
	stored, ok := h.meta["general.alignment"]
	if !ok {
		return defaultAlignment, nil
	}
	a, ok := stored.(uint32)
	if !ok || a == 0 || a&(a-1) != 0 {
		return 0, &FormatError{path, `metadata "general.alignment"`, describe(stored), "a power of two (uint32)"}
	}
	return uint64(a), nil
}

func (h *ggufHeader) readTensor(c *cursor, index uint64, known map[string]bool) error {
	c.where = fmt.Sprintf("tensor %d", index)
	b, err := c.bytes("name")
	if err != nil {
		return err
	}
	name := string(b)
	if !utf8.ValidString(name) {
		return c.fail("name", strconv.Quote(clip(name)), "UTF-8")
	}
	c.where = fmt.Sprintf("tensor %q", clip(name))
	if known[name] {
		return c.fail("name", "it twice", "each name once")
	}
	known[name] = true
	shape, err := readShape(c)
	if err != nil {
		return err
	}
	number, err := c.u32("type")
	if err != nil {
		return err
	}
	kind, ok := ggmlKinds[number]
	if !ok {
		return fmt.Errorf("%w: %w; quantise the model anew", c.fail("type", strconv.Itoa(int(number)),
			"a type that this reader knows (it was withdrawn from the format, or is newer)"), ErrUnsupported)
	}
	elements, ok := countElements(shape)
	if !ok {
		return c.fail("dimensions", list(shape), "sizes whose product is a 63-bit number")
	}
	if row := innermost(shape); row%uint64(kind.BlockLen()) != 0 {
		return c.fail("dimensions", fmt.Sprintf("rows of %d", row), fmt.Sprintf("rows of whole blocks of %d, as %s has", kind.BlockLen(), kind))
	}
	size, ok := kind.byteSize(elements)
	if !ok {
		return c.fail("dimensions", fmt.Sprintf("%s of %s", list(shape), kind), "a size in bytes that is a 63-bit number")
	}
	offset, err := c.u64("offset")
	if err != nil {
		return err
	}
	h.entries = append(h.entries, Entry{Name: name, Kind: kind, Shape: ints(shape), size: int(size)})
	h.offsets = append(h.offsets, offset)
	return nil
}

// readShape gives the sizes outermost first; the file has them innermost first.
func readShape(c *cursor) ([]uint64, error) {
	dims, err := c.u32("number of dimensions")
	if err != nil {
		return nil, err
	}
	if dims > ggufMaxDims {
		return nil, c.fail("number of dimensions", strconv.Itoa(int(dims)), fmt.Sprintf("at most %d", ggufMaxDims))
	}
	shape := make([]uint64, dims)
	for i := range shape {
		if shape[i], err = c.u64("dimensions"); err != nil {
			return nil, err
		}
	}
	slices.Reverse(shape)
	return shape, nil
}

func innermost(shape []uint64) uint64 {
	if len(shape) == 0 {
		return 1
	}
	return shape[len(shape)-1]
}

// place checks that the tensors lie one behind the other in the order of their descriptions, each on the next aligned
// byte, with nothing behind the last, as the format says; and turns offsets into places in the file. A tensor of another
// type than it was written with does not pass, unless that takes as many bytes.
func (h *ggufHeader) place(path string, headerEnd, fileSize, alignment uint64) error {
	aligned := func(n uint64) uint64 { return (n + alignment - 1) / alignment * alignment }
	start := aligned(headerEnd)
	available := fileSize - min(start, fileSize)
	next, last := uint64(0), "the start of the data"
	for i := range h.entries {
		e, offset := &h.entries[i], h.offsets[i]
		field := fmt.Sprintf("tensor %q offset", clip(e.Name))
		if offset != next {
			return &FormatError{path, field, strconv.FormatUint(offset, 10),
				fmt.Sprintf("%d, the next multiple of %d behind %s (the file is damaged, or a tensor's type or size is)", next, alignment, last)}
		}
		if e.size > 0 && (offset > available || uint64(e.size) > available-offset) {
			return &FormatError{path, field, fmt.Sprintf("%d, with %d bytes of %s %s behind it", offset, e.size, e.Kind, list(e.Shape)),
				fmt.Sprintf("all within the %d bytes of data in the file (it is truncated or damaged)", available)}
		}
		e.offset = int(min(start+offset, fileSize)) // an empty tensor may stand behind the last byte
		next, last = aligned(offset+uint64(e.size)), fmt.Sprintf("tensor %q", clip(e.Name))
	}
	if len(h.entries) > 0 && available > next {
		return &FormatError{path, "data", fmt.Sprintf("%d bytes", available),
			fmt.Sprintf("at most the %d that the tensors take (the file is damaged, or a tensor's type or size is)", next)}
	}
	return nil
}
