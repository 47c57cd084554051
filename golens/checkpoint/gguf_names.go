// What GGUF does to the names and layouts of a model's parameters, as llama.cpp's converter writes them, and how to
// undo it.
package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// ggufLayout is how one general.architecture names and stores what Hugging Face checkpoints hold.
type ggufLayout struct {
	prefix string // of Hugging Face names; base models lack it
	layers string // what stands before a layer's number
	top    map[string]string
	block  map[string]string
	// transposed weights are [out, in] in GGUF where the Hugging Face checkpoint has a Conv1D's [in, out].
	transposed []string
	// permuted projections have the rows of each head reordered so that rotary pairs are neighbours; the key counts
	// the heads.
	permuted map[string]string
}

var (
	llamaTop   = map[string]string{"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
	llamaBlock = map[string]string{
		"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
		"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
		"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
	}
	ggufLayouts = map[string]ggufLayout{
		"llama": {prefix: "model.", layers: "layers.", top: llamaTop, block: llamaBlock,
			permuted: map[string]string{"attn_q": "attention.head_count", "attn_k": "attention.head_count_kv"}},
		"qwen2": {prefix: "model.", layers: "layers.", top: llamaTop, block: llamaBlock},
		"gpt2": {prefix: "transformer.", layers: "h.",
			top: map[string]string{"transformer.wte": "token_embd", "transformer.wpe": "position_embd",
				"transformer.ln_f": "output_norm", "lm_head": "output"},
			block: map[string]string{"ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv",
				"attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
			transposed: []string{"attn_qkv", "attn_output", "ffn_up", "ffn_down"}},
	}
)

// layout finds how this file's architecture is stored.
func (g *GGUF) layout() (string, ggufLayout, error) {
	arch, err := g.String("general.architecture")
	if err != nil {
		return "", ggufLayout{}, err
	}
	l, ok := ggufLayouts[arch]
	if !ok {
		return arch, l, fmt.Errorf("checkpoint: %s: GGUF architecture %q: %w; known are gpt2, llama (Mistral too) and qwen2",
			g.path, arch, ErrUnsupported)
	}
	return arch, l, nil
}

// split takes a Hugging Face parameter name apart: GGUF's layer prefix ("blk.3." or ""), the module's GGUF name, and
// ".weight" or ".bias".
func (l ggufLayout) split(hfName string) (layer, module, suffix string, ok bool) {
	dot := strings.LastIndexByte(hfName, '.')
	if dot < 0 {
		return "", "", "", false
	}
	path, suffix := hfName[:dot], hfName[dot:]
	if suffix != ".weight" && suffix != ".bias" {
		return "", "", "", false
	}
	if module, ok = l.top[path]; ok {
		return "", module, suffix, true
	}
	if module, ok = l.top[l.prefix+path]; ok {
		return "", module, suffix, true
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(path, l.prefix), l.layers)
	if !ok {
		return "", "", "", false
	}
	number, name, _ := strings.Cut(rest, ".")
	if n, err := strconv.ParseUint(number, 10, 31); err != nil || strconv.FormatUint(n, 10) != number {
		return "", "", "", false
	}
	module, ok = l.block[name]
	return "blk." + number + ".", module, suffix, ok
}

// TensorName translates a Hugging Face parameter name ("model.layers.3.self_attn.q_proj.weight", with or without the
// "model." or "transformer." in front) to the file's ("blk.3.attn_q.weight"). The name is "" where the architecture
// has no such parameter; ok says that the file holds it: tied unembeddings have a name but are absent.
func (g *GGUF) TensorName(hfName string) (name string, ok bool) {
	_, l, err := g.layout()
	if err != nil {
		return "", false
	}
	layer, module, suffix, ok := l.split(hfName)
	if !ok {
		return "", false
	}
	name = layer + module + suffix
	_, ok = g.entries[name]
	return name, ok
}

// Transposed reports whether the file holds this parameter as [out, in] where the Hugging Face checkpoint has
// [in, out]: GPT-2's Conv1D weights.
func (g *GGUF) Transposed(hfName string) bool {
	_, l, err := g.layout()
	if err != nil {
		return false
	}
	_, module, suffix, ok := l.split(hfName)
	return ok && suffix == ".weight" && slices.Contains(l.transposed, module)
}

// PermutedHeads is the number of heads to hand to UnpermuteQK for this parameter, or 0 where the file keeps the rows
// in the Hugging Face order.
func (g *GGUF) PermutedHeads(hfName string) (int, error) {
	arch, l, err := g.layout()
	if err != nil {
		return 0, err
	}
	_, module, _, ok := l.split(hfName)
	if !ok || l.permuted[module] == "" {
		return 0, nil
	}
	params := &ggufParams{g: g, arch: arch}
	heads := params.size("attention.head_count", required)
	if key := l.permuted[module]; key != "attention.head_count" {
		heads = params.size(key, heads)
	}
	return heads, params.err
}

// UnpermuteQK undoes, in a new tensor, the reordering of query and key rows that llama.cpp's converter does for
// models of architecture llama: within each head, file rows 2i and 2i+1 are model rows i and i + d_head/2.
// t is [n_heads·d_head, …], weight or bias, of numbers or of blocks along its rows: these are moved whole.
func UnpermuteQK(t *tensor.Tensor, nHeads int) (*tensor.Tensor, error) {
	shape := t.Shape()
	if !t.Contiguous() || len(shape) == 0 || t.DType().Blocked() && len(shape) < 2 || !t.DType().Floating() && !t.DType().Blocked() {
		return nil, fmt.Errorf("checkpoint: unpermute query or key rows: got %v %v, expected contiguous rows of real numbers or blocks", t.DType(), shape)
	}
	if nHeads <= 0 || shape[0]%(2*nHeads) != 0 {
		return nil, fmt.Errorf("checkpoint: unpermute query or key rows: %d rows are no even number of rows for each of %d heads", shape[0], nHeads)
	}
	result, err := tensor.New(t.DType(), shape...)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: unpermute query or key rows: %w", err)
	}
	from, to := t.Bytes(), result.Bytes()
	if len(from) == 0 {
		return result, nil
	}
	dHead, width := shape[0]/nHeads, len(from)/shape[0]
	for row := range shape[0] {
		head, inHead := row/dHead, row%dHead
		source := head*dHead + inHead%(dHead/2)*2 + inHead/(dHead/2)
		copy(to[row*width:(row+1)*width], from[source*width:])
	}
	return result, nil
}
