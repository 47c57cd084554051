"""Tiny GGUF files of the Llama kind, as llama.cpp's converter would write them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from . import tiny
from .tiny_tokenizers import save_tokenizer

_BLOCK = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def _gguf_name(name: str) -> str:
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    _, _, layer, rest = name.split(".", 3)
    module, leaf = rest.rsplit(".", 1)
    return f"blk.{layer}.{_BLOCK[module]}.{leaf}"


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp rotates adjacent rows: the two halves of each head are interleaved, [heads * e, ...] as before."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _write_tokenizer(writer: gguf.GGUFWriter, style: str, pre: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(Path(folder), style)
        core = json.loads((Path(folder) / "tokenizer.json").read_text("utf-8"))
        names = json.loads((Path(folder) / "tokenizer_config.json").read_text("utf-8"))
    vocabulary = core["model"]["vocab"]
    special = {token["content"] for token in core["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    kinds = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([kinds[token in special] for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in core["model"]["merges"]])
    writer.add_bos_token_id(vocabulary[names["bos_token"]])
    writer.add_eos_token_id(vocabulary[names["eos_token"]])


def save(kind: tiny.Kind, seed: int, path: Path, stored: str = "F32") -> Path:
    """Write a checkpoint with its matrices stored as `stored`: a GGML type that gguf-py can write."""
    model = tiny.build(kind, seed)
    config: Any = model.config
    writer = gguf.GGUFWriter(str(path), kind.family)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    _write_tokenizer(writer, kind.tokenizer, "qwen2" if kind.family == "qwen2" else "gpt-2")
    quantised = gguf.GGMLQuantizationType[stored]
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        if kind.family == "llama" and ("q_proj" in name or "k_proj" in name):
            of_keys = "k_proj" in name
            heads = config.num_key_value_heads if of_keys else config.num_attention_heads
            values = _interleaved(values, heads)
        wanted = quantised if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        packed = gguf.quants.quantize(np.ascontiguousarray(values), wanted)
        writer.add_tensor(_gguf_name(name), packed, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
