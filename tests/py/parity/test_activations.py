"""Every activation that the reference caches: names, order, shapes, dtypes, values, shared aliases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import check_tensor

SETTERS = {
    "plain": [],
    "attn_result": ["set_use_attn_result"],
    "split_qkv": ["set_use_split_qkv_input"],
    "attn_in": ["set_use_attn_in"],
    "mlp_in": ["set_use_hook_mlp_in"],
    "result_split_mlp": ["set_use_attn_result", "set_use_split_qkv_input", "set_use_hook_mlp_in"],
}


def check_caches(got: Any, want: Any, where: str) -> None:
    """Compare two caches key by key, in order."""
    assert list(got.keys()) == list(want.keys()), where
    for name in want.keys():
        check_tensor(got[name], want[name], f"{where}: {name}")


def check_aliases(model: Any, cache: Any, where: str) -> None:
    """An alias and its canonical name hold the same memory."""
    for name, point in model.hook_dict.items():
        if name != point.name and name in cache.keys():
            assert cache[name].data_ptr() == cache[point.name].data_ptr(), f"{where}: {name}"


def check_everything(pair: libs.Pair, where: str, *args: Any, **kwargs: Any) -> None:
    (got_out, got), (want_out, want) = (
        model.run_with_cache(*args, **kwargs) for model in (pair.subject, pair.reference)
    )
    check_tensor(got_out, want_out, f"{where}: output")
    check_caches(got, want, where)
    check_aliases(pair.subject, got, where)


@pytest.mark.parametrize("kind", list(tiny.KINDS))
def test_ids(kind: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    check_everything(pair(kind), kind, tiny.random_tokens(seed, (2, 11)))


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "mistral", "qwen2", "llama_rope3"])
@pytest.mark.parametrize("layout", ["left", "right", "mixed", "holes", "ones"])
def test_attention_mask(
    kind: str, layout: str, pair: Callable[[str], libs.Pair], seed: int
) -> None:
    tokens = tiny.random_tokens(seed, (4, 12))
    mask = torch.ones_like(tokens)
    if layout in ("left", "mixed"):
        mask[0, :5] = 0
        mask[1, :1] = 0
    if layout in ("right", "mixed"):
        mask[2, 8:] = 0
    if layout == "right":
        mask[0, 3:] = 0
    if layout == "holes":
        mask[0, 4:6] = 0
        mask[1, [0, 3, 11]] = 0
    check_everything(pair(kind), f"{kind} {layout}", tokens, attention_mask=mask)


@pytest.mark.parametrize("kind", ["gpt2", "gpt2_gelu", "llama_gqa", "llama_head_dim", "qwen2"])
@pytest.mark.parametrize("side", ["left", "right", None])
def test_texts(kind: str, side: str | None, pair: Callable[[str], libs.Pair]) -> None:
    texts = ["hello world", "the", "the dog sat on the log and the mat"]
    check_everything(pair(kind), f"{kind} {side}", texts, padding_side=side)


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "llama_bias"])
@pytest.mark.parametrize("setters", list(SETTERS))
def test_gated(kind: str, setters: str, fresh_pair: Callable[..., libs.Pair], seed: int) -> None:
    models = fresh_pair(kind)
    for model in (models.reference, models.subject):
        for setter in SETTERS[setters]:
            getattr(model, setter)(True)
    check_everything(models, f"{kind} {setters}", tiny.random_tokens(seed, (2, 7)))


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_flags_written_to_cfg(kind: str, fresh_pair: Callable[..., libs.Pair], seed: int) -> None:
    models = fresh_pair(kind)
    for model in (models.reference, models.subject):
        model.cfg.use_attn_result = True
        model.cfg.use_hook_mlp_in = True
    check_everything(models, f"{kind} on", tiny.random_tokens(seed, (1, 7)))
    for model in (models.reference, models.subject):
        model.cfg.use_attn_result = False
    check_everything(models, f"{kind} off", tiny.random_tokens(seed, (1, 7)))


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "mistral"])
def test_embeddings_as_input(kind: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    width = pair(kind).reference.cfg.d_model
    generator = torch.Generator().manual_seed(seed)
    check_everything(pair(kind), kind, torch.randn(2, 6, width, generator=generator))


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "qwen2"])
def test_hook_names(kind: str, pair: Callable[[str], libs.Pair]) -> None:
    pair(kind).same(lambda m: {k: p.name for k, p in m.hook_dict.items()}, "hook_dict")
    pair(kind).same(lambda m: sorted({p.name for p in m.hook_points()}), "hook_points")


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_mod_dict(kind: str, pair: Callable[[str], libs.Pair]) -> None:
    """Every hook and component name of the reference is there (its Hugging Face internals are its own)."""
    names = {name for name in pair(kind).reference.mod_dict if "_original_component" not in name}
    theirs = {name for name in names if not name.startswith(("original_model", "_original"))}
    missing = sorted(theirs - set(pair(kind).subject.mod_dict))
    assert not missing
