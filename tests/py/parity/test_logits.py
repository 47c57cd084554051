"""Logits against float64: as close as torch's own, by the bound of the numerics contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from . import f64, libs, tiny
from .table import FIGURE

SEEDS = 12  # the largest of so many is a steady figure; of five it is a matter of luck
SAMPLE = [
    "gpt2",
    "gpt2_odd",
    "gpt2_gelu",
    "llama_gqa",
    "llama_rope3",
    "llama_bias",
    "mistral",
    "qwen2",
]


def _errors(model, exact_model, tokens: torch.Tensor) -> tuple[float, torch.Tensor]:
    exact = f64.logits(exact_model, tokens)
    got = model(tokens)
    assert got.dtype == torch.float32 and got.shape == exact.shape
    return (got.double() - exact).abs().max().item(), exact


@pytest.mark.parametrize("kind", list(tiny.KINDS))
def test_close_to_float64(
    kind: str,
    everything: bool,
    seed: int,
    reference: libs.Lib,
    subject: libs.Lib,
    checkpoint: Callable[..., Path],
    record_property: Callable[[str, object], None],
) -> None:
    if not everything and kind not in SAMPLE:
        pytest.skip("sampled out; --all runs it")
    ours, theirs, allowed = [], [], []
    for offset in range(SEEDS):
        folder = checkpoint(kind, seed + offset)
        tokens = tiny.random_tokens(seed + offset, (8, 23))
        exact_model = f64.load(folder)
        ours.append(_errors(subject.boot(folder), exact_model, tokens)[0])
        error, exact = _errors(reference.boot(folder), exact_model, tokens)
        theirs.append(error)
        allowed.append(f64.bound(error, exact))
    figures = [f"{max(errors):.3g}" for errors in (ours, theirs, allowed)]
    print(f"{kind}: ours, torch, allowed: {figures}")
    record_property(FIGURE, (kind, *figures))
    assert max(ours) <= max(allowed)


@pytest.mark.parametrize("kind", list(tiny.KINDS))
def test_every_kind_agrees(kind: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    tokens = tiny.random_tokens(seed, (3, 31))
    pair(kind).same(lambda m: m(tokens), kind, tolerance=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 17, 64])
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "mistral"])
def test_lengths(kind: str, length: int, pair: Callable[[str], libs.Pair], seed: int) -> None:
    tokens = tiny.random_tokens(seed, (1, length))
    pair(kind).same(lambda m: m(tokens), f"{kind} at {length}", tolerance=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_hf_model_in_memory(
    kind: str,
    checkpoint: Callable[..., Path],
    reference: libs.Lib,
    subject: libs.Lib,
    seed: int,
) -> None:
    from transformers import AutoModelForCausalLM

    from .tiny_tokenizers import load_tokenizer

    folder = checkpoint(kind)
    tokens = tiny.random_tokens(seed, (2, 9))
    models = []
    for lib in (reference, subject):
        hf_model = AutoModelForCausalLM.from_pretrained(str(folder)).eval()
        models.append(lib.boot("a name", hf_model=hf_model, tokenizer=load_tokenizer(folder)))
    pair = libs.Pair(*models)
    pair.same(lambda m: m(tokens), kind, tolerance=1e-5)
    pair.same(lambda m: m.to_tokens("hello the cat"), "tokens")
