"""Tiny random checkpoints as Hugging Face folders: config.json, safetensors, tokenizer files.

Every checkpoint is a pure function of its kind and seed. Weights are drawn wide (0.2, norms and biases random
too), so that attention is neither flat nor saturated and a wrong bias or scale shows in the logits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from .tiny_tokenizers import save_tokenizer


@dataclass(frozen=True)
class Kind:
    """One sort of checkpoint: how to configure it, and how it is written."""

    family: str
    config: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = "gpt2"
    dtype: torch.dtype = torch.float32
    shard_size: str | None = None
    old_rope_keys: bool = (
        False  # config.json as transformers 4 wrote it: rope_theta and rope_scaling
    )


_GPT2 = dict(
    n_layer=2,
    n_head=4,
    n_embd=32,
    n_positions=64,
    vocab_size=300,
    bos_token_id=0,
    eos_token_id=0,
)
_LLAMA = dict(
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    hidden_size=32,
    intermediate_size=48,
    vocab_size=300,
    max_position_embeddings=128,
)
_LLAMA3_ROPE = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)

KINDS: dict[str, Kind] = {
    "gpt2": Kind("gpt2", {}),
    "gpt2_odd": Kind("gpt2", dict(n_layer=3, n_head=5, n_embd=30, n_inner=37, vocab_size=307)),
    "gpt2_inverse": Kind("gpt2", dict(n_layer=3, scale_attn_by_inverse_layer_idx=True)),
    "gpt2_gelu": Kind("gpt2", dict(activation_function="gelu"), tokenizer="distinct"),
    "gpt2_gelu_tanh": Kind("gpt2", dict(activation_function="gelu_pytorch_tanh")),
    "gpt2_relu": Kind("gpt2", dict(activation_function="relu", layer_norm_epsilon=1e-3)),
    "gpt2_untied": Kind("gpt2", dict(tie_word_embeddings=False, vocab_size=311)),
    "gpt2_f16": Kind("gpt2", {}, dtype=torch.float16),
    "llama_gqa": Kind("llama", {}, tokenizer="distinct"),
    "llama_mqa": Kind("llama", dict(num_key_value_heads=1, tie_word_embeddings=True)),
    "llama_mha": Kind("llama", dict(num_key_value_heads=4, num_hidden_layers=3, vocab_size=307)),
    "llama_rope3": Kind("llama", dict(rope_parameters=_LLAMA3_ROPE, hidden_size=64)),
    "llama_rope3_old": Kind("llama", dict(rope_parameters=_LLAMA3_ROPE), old_rope_keys=True),
    "llama_linear": Kind(
        "llama", dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.5))
    ),
    "llama_bias": Kind("llama", dict(attention_bias=True, mlp_bias=True, rms_norm_eps=1e-3)),
    "llama_head_dim": Kind("llama", dict(head_dim=12), tokenizer="instruct"),
    "llama_bf16": Kind("llama", {}, dtype=torch.bfloat16),
    "llama_sharded": Kind("llama", dict(num_hidden_layers=3), shard_size="20KB"),
    "mistral": Kind("mistral", dict(sliding_window=5), tokenizer="distinct"),
    "mistral_full": Kind("mistral", dict(sliding_window=None, head_dim=16)),
    "qwen2": Kind("qwen2", dict(tie_word_embeddings=True), tokenizer="qwen2"),
    "qwen2_untied": Kind(
        "qwen2",
        dict(num_key_value_heads=1, tie_word_embeddings=False),
        tokenizer="qwen2",
    ),
}

_FAMILIES: dict[str, tuple[dict[str, Any], Callable[..., Any], type[PreTrainedModel]]] = {
    "gpt2": (_GPT2, GPT2Config, GPT2LMHeadModel),
    "llama": (_LLAMA, LlamaConfig, LlamaForCausalLM),
    "mistral": (_LLAMA, MistralConfig, MistralForCausalLM),
    "qwen2": (_LLAMA, Qwen2Config, Qwen2ForCausalLM),
}


def randomise(model: PreTrainedModel, seed: int, spread: float = 0.2) -> None:
    """Fill every parameter from one generator: norms around 1, all else around 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * spread
            is_norm_weight = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(noise + 1.0 if is_norm_weight else noise)


def build(kind: str | Kind, seed: int) -> PreTrainedModel:
    """The model of a kind, in evaluation mode and float32."""
    spec = kind if isinstance(kind, Kind) else KINDS[kind]
    base, make_config, make_model = _FAMILIES[spec.family]
    config = make_config(**{**base, **spec.config})
    model = make_model(config).eval()
    randomise(model, seed)
    return model


def save(kind: str | Kind, seed: int, folder: Path) -> Path:
    """Write the checkpoint of a kind and seed to `folder`, which it returns."""
    spec = kind if isinstance(kind, Kind) else KINDS[kind]
    model = build(spec, seed).to(spec.dtype)
    extra = {"max_shard_size": spec.shard_size} if spec.shard_size else {}
    model.save_pretrained(str(folder), **extra)
    if spec.old_rope_keys:
        _write_old_rope_keys(folder / "config.json")
    save_tokenizer(folder, spec.tokenizer)
    return folder


def _write_old_rope_keys(path: Path) -> None:
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope
    path.write_text(json.dumps(config, indent=2))


def random_tokens(seed: int, shape: tuple[int, ...], vocab: int = 290) -> torch.Tensor:
    """Token ids of `shape`, none of them a special token of the tiny tokenizers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(5, vocab, shape, generator=generator)
