package checkpoint

import (
	"os"
	"testing"
)

// exercise reads every tensor that a parser let through, so that an entry outside the file is a fault here.
func exercise(t *testing.T, data []byte, entries []Entry) {
	for _, e := range entries {
		if e.offset < 0 || e.size < 0 || e.offset > len(data) || e.size > len(data)-e.offset {
			t.Fatalf("entry %+v lies outside %d bytes", e, len(data))
		}
		if e.Len()/e.Kind.BlockLen()*e.Kind.BlockBytes() != e.size {
			t.Fatalf("entry %+v: shape and size differ", e)
		}
		if e.Kind.Loadable() && e.Len() < 1<<20 {
			widen(e.Kind, make([]float32, e.Len()), data[e.offset:e.offset+e.size])
		}
		e.byteShape()
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(twoTensorsFile())
	f.Add(safetensorsBytes(`{}`, nil))
	f.Add(safetensorsBytes(`{"x":{"dtype":"F4","shape":[0,2],"data_offsets":[0,0]}}`, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entries, err := parseSafetensors("fuzz", data); err == nil {
			exercise(t, data, entries)
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if index, err := parseIndex("fuzz", data); err == nil && len(index.tensors) != len(index.file) {
			t.Fatalf("%d tensors, %d files", len(index.tensors), len(index.file))
		}
	})
}

func FuzzGGUF(f *testing.F) {
	data, err := os.ReadFile("testdata/metadata.gguf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(append(smallGGUF(3), make([]byte, 8)...))
	f.Add(smallGGUF(2))
	f.Add(hyper("llama", llamaValues(nil), "output.weight"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseGGUF("fuzz", data)
		if err != nil {
			return
		}
		exercise(t, data, h.entries)
		g := &GGUF{catalog: catalog{path: "fuzz", entries: byName(nil, h.entries)}, keys: h.keys, meta: h.meta}
		// What the configuration says does not matter here, only that it comes or an error does.
		_, _ = g.HFConfig()
		_, _ = g.PermutedHeads("model.layers.0.self_attn.k_proj.weight")
	})
}

// TestEveryByteChanged is a fuzzing that every test run does: each byte of small files takes each of a few values.
func TestEveryByteChanged(t *testing.T) {
	stored, err := os.ReadFile("testdata/metadata.gguf")
	if err != nil {
		t.Fatal(err)
	}
	gguf := func(data []byte) ([]Entry, error) {
		h, err := parseGGUF("changed", data)
		if err != nil {
			return nil, err
		}
		return h.entries, nil
	}
	safetensors := func(data []byte) ([]Entry, error) { return parseSafetensors("changed", data) }
	for _, c := range []struct {
		parse func([]byte) ([]Entry, error)
		whole []byte
	}{{gguf, stored}, {gguf, append(smallGGUF(3), make([]byte, 8)...)}, {safetensors, twoTensorsFile()}} {
		refused := 0
		for i, was := range c.whole {
			for _, now := range []byte{0, 1, 0x7f, 0x80, 0xff, was + 1, was - 1, was ^ 0x20} {
				c.whole[i] = now
				entries, err := c.parse(c.whole)
				if err != nil {
					refused++
					continue
				}
				exercise(t, c.whole, entries)
			}
			c.whole[i] = was
		}
		if refused == 0 {
			t.Error("no change was noticed")
		}
	}
}
