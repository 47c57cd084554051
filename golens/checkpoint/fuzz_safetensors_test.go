package checkpoint

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// looseTensor is a member of a safetensors header that need not make sense.
type looseTensor struct {
	name, dtype string
	shape       []uint64
	offsets     []uint64
	more        string // further members
}

// looseSafetensors is a file before it is written.
type looseSafetensors struct {
	tensors  []looseTensor
	metadata string
	behind   string // the header's closing brace
	length   int64  // added to the header's length
	data     int
}

func wellFormed() *looseSafetensors {
	return &looseSafetensors{metadata: `{"format":"pt"}`, data: 24 + 8 + 6, tensors: []looseTensor{
		{name: "a.weight", dtype: "F32", shape: []uint64{2, 3}, offsets: []uint64{0, 24}},
		{name: "a.bias", dtype: "BF16", shape: []uint64{4}, offsets: []uint64{24, 32}},
		{name: "b", dtype: "U8", shape: []uint64{3, 2}, offsets: []uint64{32, 38}},
		{name: "none", dtype: "F16", shape: []uint64{0, 5}, offsets: []uint64{38, 38}},
	}}
}

// mutate changes the structure in one way.
func (s *looseSafetensors) mutate(c *choices) {
	i, j := c.of(len(s.tensors)), c.of(len(s.tensors))
	a, b := &s.tensors[i], &s.tensors[j]
	switch c.of(16) {
	case 0:
		a.offsets, b.offsets = b.offsets, a.offsets
	case 1:
		a.name, b.name = b.name, a.name
	case 2:
		a.shape, b.shape = b.shape, a.shape
	case 3:
		a.dtype = c.pick("F16", "BF16", "F32", "F64", "I8", "U8", "F4", "F8_E4M3", "C64", "BOOL", "", "f32", "Q4_0")
	case 4:
		if len(a.shape) > 0 {
			k := c.of(len(a.shape))
			a.shape[k] = c.number(a.shape[k])
		}
	case 5:
		if len(a.offsets) > 0 {
			k := c.of(len(a.offsets))
			a.offsets[k] = c.number(a.offsets[k])
		}
	case 6:
		a.name = b.name
	case 7:
		s.tensors = slices.Delete(s.tensors, i, i+1)
	case 8:
		s.tensors = append(s.tensors, *b)
	case 9:
		a.shape = append(slices.Clone(a.shape), c.number(1))
	case 10:
		a.shape = a.shape[:len(a.shape)/2]
	case 11:
		a.offsets = append(slices.Clone(a.offsets), c.number(0))[c.of(2):]
	case 12:
		a.more = c.pick(`,"dtype":"F32"`, `,"x":1`, `,"shape":null`, `,"shape":{}`, `,"data_offsets":[0.5,1e2]`, `,"shape":[-1]`, `}`, `,`)
	case 13:
		s.metadata = c.pick(`{}`, `{"a":1}`, `null`, `[]`, `{"a":"b","a":"c"}`, `{"a":{"b":"c"}}`, strings.Repeat(`{"a":`, 200))
	case 14:
		s.behind = c.pick("", " ", "}", "{}", "\x00", "[", "\n\n")
		s.length = int64(c.of(5)) - 2
	case 15:
		s.data = int(min(c.number(uint64(s.data)), 1<<16))
	}
}

func (s *looseSafetensors) bytes() []byte {
	list := func(values []uint64) string {
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = strconv.FormatUint(v, 10)
		}
		return "[" + strings.Join(words, ",") + "]"
	}
	members := []string{`"__metadata__":` + s.metadata}
	for _, t := range s.tensors {
		members = append(members, fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":%s%s}`, t.name, t.dtype, list(t.shape),
			list(t.offsets), t.more))
	}
	header := "{" + strings.Join(members, ",") + "}" + s.behind
	out := binary.LittleEndian.AppendUint64(nil, uint64(int64(len(header))+s.length))
	return append(append(out, header...), make([]byte, s.data)...)
}

func FuzzSafetensorsStructure(f *testing.F) {
	f.Add([]byte{})
	for op := range byte(16) {
		f.Add([]byte{0, 1, op, 0, 2, op, 1, 0, 7})
	}
	f.Fuzz(func(t *testing.T, decisions []byte) {
		c, file := &choices{decisions[:min(len(decisions), 64)]}, wellFormed()
		for c.more() && len(file.tensors) > 0 {
			file.mutate(c)
		}
		data := file.bytes()
		frugal(t, data, func() {
			if entries, err := parseSafetensors("fuzz", data); err == nil {
				oneBehindTheOther(t, data, entries, 1)
			} else if len(decisions) == 0 {
				t.Fatal(err)
			}
		})
	})
}
