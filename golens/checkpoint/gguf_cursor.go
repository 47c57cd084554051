// The reading of GGUF's primitive values from mapped bytes. No count or length is believed before the bytes that it
// stands for are known to be there.
package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The types of metadata values, as numbered in the file.
const (
	ggufUint8 = iota
	ggufInt8
	ggufUint16
	ggufInt16
	ggufUint32
	ggufInt32
	ggufFloat32
	ggufBool
	ggufString
	ggufArray
	ggufUint64
	ggufInt64
	ggufFloat64
	ggufTypes
)

// maxArrayDepth bounds arrays of arrays; writers make none deeper than two.
const maxArrayDepth = 4

// minimum is the fewest bytes that a value of each type can take.
var minimum = [ggufTypes]uint64{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8}

// cursor walks over the file. where says what is being read, for errors.
type cursor struct {
	path  string
	data  []byte
	pos   int
	where string
}

func (c *cursor) left() uint64 { return uint64(len(c.data) - c.pos) }

func (c *cursor) fail(part, found, want string) error {
	return &FormatError{c.path, c.where + " " + part, found, want}
}

func (c *cursor) take(n uint64, part string) ([]byte, error) {
	if n > c.left() {
		return nil, c.fail(part, fmt.Sprintf("%d bytes claimed at byte %d", n, c.pos),
			fmt.Sprintf("at most the %d left in the file (it is truncated or damaged)", c.left()))
	}
	b := c.data[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return b, nil
}

func (c *cursor) u32(part string) (uint32, error) {
	b, err := c.take(4, part)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64(part string) (uint64, error) {
	b, err := c.take(8, part)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things that take at least size bytes each, at most limit of them.
func (c *cursor) count(size, limit uint64, part string) (uint64, error) {
	n, err := c.u64(part)
	if err != nil {
		return 0, err
	}
	if n > c.left()/size {
		return 0, c.fail(part, fmt.Sprint(n), fmt.Sprintf("at most %d, as many as fit in the %d bytes left in the file", c.left()/size, c.left()))
	}
	if n > limit {
		return 0, c.fail(part, fmt.Sprint(n), fmt.Sprintf("at most %d", limit))
	}
	return n, nil
}

func (c *cursor) bytes(part string) ([]byte, error) {
	n, err := c.u64(part + " length")
	if err != nil {
		return nil, err
	}
	return c.take(n, part)
}

// value reads one value of a type. Strings are copied: metadata outlives the mapping.
func (c *cursor) value(kind uint32, depth int) (any, error) {
	if kind == ggufString {
		b, err := c.bytes("string")
		return string(b), err
	}
	if kind == ggufArray {
		return c.array(depth)
	}
	if kind >= ggufTypes {
		return nil, c.fail("type", fmt.Sprint(kind), fmt.Sprintf("0 to %d", ggufTypes-1))
	}
	b, err := c.take(minimum[kind], "value")
	if err != nil {
		return nil, err
	}
	switch kind {
	case ggufUint8:
		return b[0], nil
	case ggufInt8:
		return int8(b[0]), nil
	case ggufUint16:
		return binary.LittleEndian.Uint16(b), nil
	case ggufInt16:
		return int16(binary.LittleEndian.Uint16(b)), nil
	case ggufUint32:
		return binary.LittleEndian.Uint32(b), nil
	case ggufInt32:
		return int32(binary.LittleEndian.Uint32(b)), nil
	case ggufFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(b)), nil
	case ggufUint64:
		return binary.LittleEndian.Uint64(b), nil
	case ggufInt64:
		return int64(binary.LittleEndian.Uint64(b)), nil
	case ggufFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	}
	if b[0] > 1 { // ggufBool
		return nil, c.fail("value", fmt.Sprint(b[0]), "0 or 1, a bool")
	}
	return b[0] == 1, nil
}

// array reads an array as a slice of its element type; arrays of arrays come as []any.
func (c *cursor) array(depth int) (any, error) {
	if depth == maxArrayDepth {
		return nil, c.fail("array", fmt.Sprintf("more than %d levels", maxArrayDepth), "less nesting")
	}
	kind, err := c.u32("element type")
	if err != nil {
		return nil, err
	}
	if kind >= ggufTypes {
		return nil, c.fail("element type", fmt.Sprint(kind), fmt.Sprintf("0 to %d", ggufTypes-1))
	}
	n, err := c.count(minimum[kind], math.MaxUint64, "array length")
	if err != nil {
		return nil, err
	}
	switch kind {
	case ggufString:
		return c.strings(n)
	case ggufArray:
		return elements[any](c, kind, n, depth+1)
	case ggufBool:
		return elements[bool](c, kind, n, depth)
	}
	b, err := c.take(n*minimum[kind], "array")
	if err != nil {
		return nil, err
	}
	return numbers(kind, b, int(n)), nil
}

func elements[T any](c *cursor, kind uint32, n uint64, depth int) ([]T, error) {
	all := []T{} // grown as elements are read: a lying n costs nothing
	for range n {
		v, err := c.value(kind, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, v.(T))
	}
	return all, nil
}

// numbers decodes n numbers whose bytes have been checked to be there.
func numbers(kind uint32, b []byte, n int) any {
	switch kind {
	case ggufUint8:
		return append([]uint8{}, b...)
	case ggufInt8:
		return decode[int8](b, n)
	case ggufUint16:
		return decode[uint16](b, n)
	case ggufInt16:
		return decode[int16](b, n)
	case ggufUint32:
		return decode[uint32](b, n)
	case ggufInt32:
		return decode[int32](b, n)
	case ggufFloat32:
		return decode[float32](b, n)
	case ggufUint64:
		return decode[uint64](b, n)
	case ggufInt64:
		return decode[int64](b, n)
	}
	return decode[float64](b, n)
}

func decode[T any](b []byte, n int) []T {
	values := make([]T, n)
	// The only error is too few bytes, which the caller has ruled out.
	_, _ = binary.Decode(b, binary.LittleEndian, values)
	return values
}

// strings reads n strings into one piece of memory: vocabularies have a hundred thousand of them.
func (c *cursor) strings(n uint64) ([]string, error) {
	start := c.pos
	for range n {
		if _, err := c.bytes("string"); err != nil {
			return nil, err
		}
	}
	text := string(c.data[start:c.pos])
	all := make([]string, n)
	for i, at := 0, 0; i < len(all); i++ {
		length := int(binary.LittleEndian.Uint64(c.data[start+at:]))
		all[i] = text[at+8 : at+8+length]
		at += 8 + length
	}
	return all, nil
}
