package checkpoint

import (
	"encoding/binary"
	"slices"
	"testing"
)

// loosePair and looseInfo are parts of a GGUF header that need not make sense.
type loosePair struct {
	key   string
	kind  uint32
	value []byte
}

type looseInfo struct {
	name   string
	kind   uint32
	dims   []uint64
	offset uint64
}

// looseGGUF is a file before it is written; tensors and pairs are added to the counts.
type looseGGUF struct {
	pairs          []loosePair
	infos          []looseInfo
	moreTensors    uint64
	morePairs      uint64
	version        uint32
	data, trailing int
}

func wellFormedGGUF() *looseGGUF {
	number := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	text := func(s string) []byte { return ggufBytes{}.str(s) }
	return &looseGGUF{version: 3, data: 64 + 64 + 32 + 64,
		pairs: []loosePair{
			{"general.architecture", ggufString, text("llama")}, {"general.alignment", ggufUint32, number(32)},
			{"llama.block_count", ggufUint32, number(1)}, {"llama.context_length", ggufUint32, number(16)},
			{"llama.embedding_length", ggufUint32, number(8)}, {"llama.attention.head_count", ggufUint32, number(2)},
			{"llama.feed_forward_length", ggufUint32, number(16)}, {"llama.attention.layer_norm_rms_epsilon", ggufFloat32, floatBytes(1e-5)},
			{"tokenizer.ggml.tokens", ggufArray, ggufBytes{}.u32(ggufString).u64(2).str("a").str("b")},
			{"llama.attention.head_count_kv", ggufArray, ggufBytes{}.u32(ggufUint32).u64(2).u32(1).u32(1)},
		},
		infos: []looseInfo{
			{"token_embd.weight", 0, []uint64{8, 2}, 0}, {"a", 1, []uint64{32}, 64}, {"b", 2, []uint64{32}, 128}, {"none", 0, []uint64{0}, 160},
			{"c", 0, []uint64{4, 4}, 160},
		}}
}

func (g *looseGGUF) mutate(c *choices) {
	i, j := c.of(len(g.infos)), c.of(len(g.infos))
	a, b := &g.infos[i], &g.infos[j]
	k, l := c.of(len(g.pairs)), c.of(len(g.pairs))
	p, q := &g.pairs[k], &g.pairs[l]
	switch c.of(20) {
	case 0:
		a.offset, b.offset = b.offset, a.offset
	case 1:
		a.offset = c.number(a.offset)
	case 2:
		a.kind = uint32(c.of(48))
	case 3:
		a.name, b.name = b.name, a.name
	case 4:
		a.name = b.name
	case 5:
		if len(a.dims) > 0 {
			at := c.of(len(a.dims))
			a.dims[at] = c.number(a.dims[at])
		}
	case 6:
		a.dims = append(slices.Clone(a.dims), c.number(1))
	case 7:
		a.dims, b.dims = b.dims, a.dims
	case 8:
		g.infos = slices.Delete(g.infos, i, i+1)
	case 9:
		g.infos = append(g.infos, *b)
	case 10:
		g.moreTensors = c.number(0)
	case 11:
		g.morePairs = c.number(0)
	case 12:
		g.version = uint32(c.number(uint64(g.version)))
	case 13:
		g.data = int(min(c.number(uint64(g.data)), 1<<16))
	case 14:
		g.trailing = c.of(300)
	case 15:
		p.value, q.value, p.kind, q.kind = q.value, p.value, q.kind, p.kind
	case 16:
		p.kind = uint32(c.of(14))
	case 17:
		if len(p.value) >= 8 { // a length, or a number
			p.value = slices.Clone(p.value)
			at := c.of(len(p.value) - 7)
			binary.LittleEndian.PutUint64(p.value[at:], c.number(binary.LittleEndian.Uint64(p.value[at:])))
		} else if len(p.value) >= 4 {
			p.value = binary.LittleEndian.AppendUint32(nil, uint32(c.number(uint64(binary.LittleEndian.Uint32(p.value)))))
		}
	case 18:
		p.key = c.pick(q.key, "llama.attention.causal", "llama.rope.scaling.type", "llama.rope.freq_base", "", "llama.", "split.count", "\xff")
	case 19:
		nested := ggufBytes{}
		for range c.of(8) {
			nested = nested.u32(ggufArray).u64(c.number(1))
		}
		p.kind, p.value = ggufArray, append(nested, p.value...)
	}
}

func (g *looseGGUF) bytes() []byte {
	b := ggufHead(g.version, uint64(len(g.infos))+g.moreTensors, uint64(len(g.pairs))+g.morePairs)
	for _, p := range g.pairs {
		b = append(b.str(p.key).u32(p.kind), p.value...)
	}
	for _, one := range g.infos {
		b = b.tensorInfo(one.name, one.kind, one.offset, one.dims...)
	}
	return append(b.pad(32), make([]byte, g.data+g.trailing)...)
}

func FuzzGGUFStructure(f *testing.F) {
	f.Add([]byte{})
	for op := range byte(20) {
		f.Add([]byte{0, 1, 2, 3, op, 0, 1, 2, 3, 4, op, 5, 2, 1, 9})
	}
	f.Fuzz(func(t *testing.T, decisions []byte) {
		c, file := &choices{decisions[:min(len(decisions), 64)]}, wellFormedGGUF()
		for c.more() && len(file.infos) > 0 {
			file.mutate(c)
		}
		data := file.bytes()
		frugal(t, data, func() {
			h, err := parseGGUF("fuzz", data)
			if err != nil {
				if len(decisions) == 0 {
					t.Fatal(err)
				}
				return
			}
			alignment, err := h.alignment("fuzz")
			if err != nil {
				t.Fatal(err)
			}
			oneBehindTheOther(t, data, h.entries, int(alignment))
			g := &GGUF{catalog: catalog{path: "fuzz", entries: byName(nil, h.entries)}, keys: h.keys, meta: h.meta}
			// What the configuration says does not matter here, only that it comes or an error does.
			_, err = g.HFConfig()
			if err != nil && len(decisions) == 0 {
				t.Fatal(err)
			}
			_, _ = g.PermutedHeads("model.layers.0.self_attn.k_proj.weight")
		})
	})
}
