"""The native models under comparison: configurations that between them use every operation, and both libraries' model
of one, with the same weights."""

from __future__ import annotations

from typing import Any

import torch

from . import libs, tiny
from .compare import Mismatch

_SIZES: dict[str, Any] = dict(
    d_model=24, d_head=8, n_layers=2, n_ctx=16, d_vocab=37, act_fn="relu", seed=0
)
_LLAMA3 = dict(
    rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=8,
)  # fmt: skip

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gelu": dict(act_fn="gelu", d_mlp=19, eps=1e-3, d_vocab_out=11),
    "bare": dict(normalization_type=None, d_head=5, n_heads=3),
    "attn_only": dict(attn_only=True, normalization_type="LNPre", n_layers=3),
    "attn_only_bare": dict(attn_only=True, normalization_type=None, n_heads=1, d_head=24),
    "solu": dict(act_fn="solu", normalization_type="LNPre"),
    "solu_ln": dict(act_fn="solu_ln"),
    "gated": dict(gated_mlp=True, act_fn="silu", normalization_type="RMS", final_rms=True),
    "gated_solu": dict(gated_mlp=True, act_fn="solu_ln", normalization_type="RMSPre"),
    "final_rms": dict(final_rms=True, act_fn="gelu_new", n_key_value_heads=1),
    "bidirectional": dict(attention_dir="bidirectional", act_fn="swish"),
    "capped": dict(attn_scores_soft_cap=1.5, output_logits_soft_cap=2.0, attn_scale=3.0),
    "rotary": dict(positional_embedding_type="rotary", n_heads=6, n_key_value_heads=2),
    "rotary_part": dict(
        positional_embedding_type="rotary", rotary_dim=4, rotary_base=500, normalization_type="lnpre"
    ),
    "rotary_linear": dict(
        positional_embedding_type="rotary", rope_scaling=dict(type="linear", factor=2.5)
    ),
    "rotary_ntk": dict(
        positional_embedding_type="rotary", rope_scaling=dict(rope_type="dynamic", factor=2.0)
    ),
    "rotary_llama3": dict(positional_embedding_type="rotary", rope_scaling=_LLAMA3),
}  # fmt: skip
SAMPLE = ("bare", "attn_only", "solu_ln", "gated", "capped", "bidirectional", "rotary")

# fields of the configuration that its constructor does not take
_LATER = ("rope_scaling",)


def config(lib: libs.Lib, **changes: Any) -> Any:
    """The library's own TransformerBridgeConfig."""
    values = {**_SIZES, **changes}
    later = {name: values.pop(name) for name in _LATER if name in values}
    made = lib.module.TransformerBridgeConfig(**values)
    for name, value in later.items():
        setattr(made, name, value)
    return made


def boot(lib: libs.Lib, kind: str | dict[str, Any], **changes: Any) -> Any:
    """The library's native model of a kind."""
    settings = KINDS[kind] if isinstance(kind, str) else kind
    return lib.bridge().boot_native(config(lib, **{**settings, **changes}))


def pair(reference: libs.Lib, subject: libs.Lib, kind: str, seed: int) -> libs.Pair:
    """Both libraries' models, with weights that leave no bias at 0 and no norm at 1."""
    models = libs.Pair(boot(reference, kind), boot(subject, kind))
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in models.reference.state_dict().items():
        noise = torch.randn(value.shape, generator=generator) * 0.2
        is_norm = name.rpartition(".")[0].endswith(("ln1", "ln2", "ln", "ln_final"))
        state[name] = noise + 1 if is_norm and name.endswith("weight") else noise
    state["unembed.bias"] = torch.zeros_like(state["unembed.bias"])  # stands for one that is absent
    with torch.no_grad():
        models.reference.load_state_dict(state)
        for name, value in models.subject.state_dict().items():
            value.copy_(state[name])
    return models


def tokens(seed: int, shape: tuple[int, int]) -> torch.Tensor:
    """Ids of the native models' vocabulary."""
    return tiny.random_tokens(seed, shape, vocab=37)


def check_equal(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor]) -> None:
    """Names, order and bits of two state dicts."""
    if list(got) != list(want):
        raise Mismatch(f"got {list(got)}, want {list(want)}")
    for name, value in want.items():
        if not torch.equal(got[name], value):
            raise Mismatch(f"{name} differs by {(got[name] - value).abs().max()}")
