// A tree of bytes that finds the tokens a text begins with. Used by the Unigram model.

package tokenizer

import "sort"

// trie is read-only once it is built. The children of a node lie side by side, sorted by their byte.
type trie struct {
	root  [256]int32 // child of the root for each first byte, 0 for none
	nodes []trieNode // nodes[0] is not used
}

type trieNode struct {
	children int32 // index of the first child
	count    int16
	label    byte
	id       int32 // token that ends here, or noToken
}

// newTrie takes tokens and their ids; an empty token is left out.
func newTrie(vocab map[string]int32) *trie {
	keys := make([]string, 0, len(vocab))
	for s := range vocab {
		if s != "" {
			keys = append(keys, s)
		}
	}
	sort.Strings(keys)
	t := &trie{nodes: make([]trieNode, 1, len(keys)+1)}
	type job struct {
		node, lo, hi, depth int // the children of a node come from keys[lo:hi]
	}
	jobs := []job{{0, 0, len(keys), 0}}
	for n := 0; n < len(jobs); n++ {
		j := jobs[n]
		first := len(t.nodes)
		for lo := j.lo; lo < j.hi; {
			c := keys[lo][j.depth]
			hi := lo + sort.Search(j.hi-lo, func(i int) bool { return keys[lo+i][j.depth] > c })
			node := trieNode{label: c, id: noToken}
			rest := lo
			if len(keys[lo]) == j.depth+1 {
				node.id = vocab[keys[lo]]
				rest++
			}
			if rest < hi {
				jobs = append(jobs, job{len(t.nodes), rest, hi, j.depth + 1})
			}
			t.nodes = append(t.nodes, node)
			lo = hi
		}
		t.nodes[j.node].children = int32(first)
		t.nodes[j.node].count = int16(len(t.nodes) - first)
	}
	for i := range int(t.nodes[0].count) {
		at := int(t.nodes[0].children) + i
		t.root[t.nodes[at].label] = int32(at)
	}
	return t
}

// child is the node after at for a byte, 0 when there is none.
func (t *trie) child(at int32, c byte) int32 {
	n := &t.nodes[at]
	lo, hi := n.children, n.children+int32(n.count)
	for hi-lo > 8 {
		mid := (lo + hi) / 2
		if t.nodes[mid].label <= c {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.nodes[lo].label == c {
			return lo
		}
	}
	return 0
}
