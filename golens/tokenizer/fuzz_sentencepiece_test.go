package tokenizer

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// protoNode is a field of a protocol buffer as FuzzMutatedSentencePiece changes it: a message where nodes is set.
type protoNode struct {
	number, wire int
	value        uint64
	bytes        []byte
	nodes        []protoNode
	lie          int // by how much the written length is wrong
}

func protoNumber(n int, v uint64) protoNode { return protoNode{number: n, value: v} }
func protoText(n int, s string) protoNode   { return protoNode{number: n, wire: 2, bytes: []byte(s)} }
func protoFloat(n int, v float32) protoNode {
	return protoNode{number: n, wire: 5, value: uint64(math.Float32bits(v))}
}
func protoMessage(n int, f ...protoNode) protoNode { return protoNode{number: n, wire: 2, nodes: f} }

func encodeNodes(nodes []protoNode) []byte {
	var out []byte
	for _, n := range nodes {
		out = binary.AppendUvarint(out, uint64(n.number)<<3|uint64(n.wire))
		switch n.wire {
		case 0:
			out = binary.AppendUvarint(out, n.value)
		case 1:
			out = binary.LittleEndian.AppendUint64(out, n.value)
		case 5:
			out = binary.LittleEndian.AppendUint32(out, uint32(n.value))
		default:
			body := n.bytes
			if n.nodes != nil {
				body = encodeNodes(n.nodes)
			}
			out = binary.AppendUvarint(out, uint64(len(body)+n.lie))
			out = append(out, body...)
		}
	}
	return out
}

// sentencePieceSeed is a small whole model of one kind: pieces of every type, a trainer's and a normalizer's part.
func sentencePieceSeed(kind uint64) []protoNode {
	piece := func(s string, score float32, kind uint64) protoNode {
		return protoMessage(1, protoText(1, s), protoFloat(2, score), protoNumber(3, kind))
	}
	return []protoNode{
		piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3), piece("<0x61>", 0, 6), piece("<0xE4>", 0, 6),
		piece("▁", -1, 1), piece("a", -2, 1), piece("b", -3, 1), piece("▁a", -1.5, 1), piece("ab", -0.5, 1), piece("中", -4, 1),
		piece("<mask>", 0, 4), piece("gone", 0, 5),
		protoMessage(2, protoNumber(3, kind), protoNumber(35, 1), protoNumber(40, 0), protoNumber(41, 1), protoNumber(42, 2), protoNumber(43, math.MaxUint64), protoText(45, "<unk>")),
		protoMessage(3, protoText(1, "nmt_nfkc"), protoText(2, "\x08\x00\x00\x00\x00\x7c\x00\x00\x01\x00\x00\x00a\x00"), protoNumber(3, 1), protoNumber(4, 1), protoNumber(5, 1)),
	}
}

var (
	oddNumbers = []uint64{0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 1 << 31, 1<<32 - 1, 1 << 63, math.MaxUint64}
	oddFloats  = []float32{0, -0.5, 1e38, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	oddTexts   = []string{"", "a", "▁", "▁▁", "<s>", "<0x61>", "<0xZZ>", "\xff", "\x00", "ab", "aaaaaaaaaaaaaaaa", "e\u0301"}
)

// mutateNodes changes one field somewhere: its value, its number, its type or its length; or it goes, comes twice or moves.
func mutateNodes(rng *rand.Rand, nodes []protoNode) []protoNode {
	if len(nodes) == 0 {
		return nodes
	}
	i := rng.IntN(len(nodes))
	n := &nodes[i]
	if n.nodes != nil && rng.IntN(4) > 0 {
		n.nodes = mutateNodes(rng, n.nodes)
		return nodes
	}
	switch rng.IntN(9) {
	case 0:
		return append(nodes[:i:i], nodes[i+1:]...)
	case 1:
		return append(nodes, *n)
	case 2:
		j := rng.IntN(len(nodes))
		nodes[i], nodes[j] = nodes[j], nodes[i]
	case 3:
		n.number = rng.IntN(48)
	case 4:
		n.wire = rng.IntN(8)
	case 5:
		n.lie = rng.IntN(9) - 4
	default:
		switch n.wire {
		case 0:
			n.value = oddNumbers[rng.IntN(len(oddNumbers))]
		case 5:
			n.value = uint64(math.Float32bits(oddFloats[rng.IntN(len(oddFloats))]))
		default:
			n.nodes, n.bytes = nil, []byte(oddTexts[rng.IntN(len(oddTexts))])
		}
	}
	return nodes
}

// FuzzMutatedSentencePiece reads .model files with fields exchanged: an error, or a tokenizer that encodes text to its
// own ids and back.
func FuzzMutatedSentencePiece(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, uint8(seed), " ab 中é<mask>  a\x00gone")
	}
	classes := []string{"", "LlamaTokenizer", "T5Tokenizer", "XLMRobertaTokenizer", "GemmaTokenizer"}
	f.Fuzz(func(t *testing.T, seed uint64, class uint8, content string) {
		rng := rand.New(rand.NewPCG(seed, 2))
		nodes := sentencePieceSeed(1 + seed%4)
		for range rng.IntN(4) {
			nodes = mutateNodes(rng, nodes)
		}
		name := classes[int(class)%len(classes)]
		c := &folderConfig{class: name, defaults: classDefaults[name]}
		tok, err := c.fromSentencePiece(encodeNodes(nodes))
		if err == nil {
			err = c.apply(tok, false)
		}
		if err == nil {
			err = tok.settle()
		}
		if err != nil {
			return
		}
		ids, err := tok.Encode(content, true)
		if err != nil {
			return
		}
		for _, id := range ids {
			if _, ok := tok.IDToToken(id); !ok {
				t.Fatalf("%q became %v, of which %d is no token", content, ids, id)
			}
		}
		if _, err := tok.Decode(ids, false); err != nil {
			t.Fatalf("%v: %v", ids, err)
		}
	})
}

// TestSentencePieceSeedWorks makes sure that what the fuzzer starts from is read.
func TestSentencePieceSeedWorks(t *testing.T) {
	for kind := range uint64(2) {
		c := &folderConfig{class: "LlamaTokenizer", defaults: classDefaults["LlamaTokenizer"]}
		tok, err := c.fromSentencePiece(encodeNodes(sentencePieceSeed(kind + 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.apply(tok, false); err != nil {
			t.Fatal(err)
		}
		if err := tok.settle(); err != nil {
			t.Fatal(err)
		}
		if ids, err := tok.Encode("ab", false); err != nil || len(ids) == 0 {
			t.Errorf("kind %d: %v, %v", kind+1, ids, err)
		}
	}
}
