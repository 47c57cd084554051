"""Tiny GGUF files: transformers widens them for the reference, the subject opens them itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import f64, libs, tiny, tiny_gguf
from .test_activations import check_everything

_SIZES = dict(intermediate_size=64, hidden_size=64, vocab_size=320)
KINDS = {
    "llama": tiny.Kind("llama", _SIZES, tokenizer="instruct"),
    "llama_tied": tiny.Kind(
        "llama", dict(_SIZES, tie_word_embeddings=True, num_key_value_heads=1), tokenizer="instruct"
    ),
    "qwen2": tiny.Kind("qwen2", dict(_SIZES, tie_word_embeddings=True), tokenizer="gpt2"),
}


@pytest.mark.parametrize("stored", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_gguf(
    kind: str,
    stored: str,
    tmp_path: Path,
    seed: int,
    everything: bool,
    reference: libs.Lib,
    subject: libs.Lib,
) -> None:
    if not everything and kind != "llama" and stored not in ("F32", "Q4_1"):
        pytest.skip("sampled out; --all runs it")
    file = tiny_gguf.save(KINDS[kind], seed, tmp_path / "model.gguf", stored)
    pair = libs.Pair(reference.boot(file), subject.boot(file))
    tokens = tiny.random_tokens(seed, (2, 19))
    check_everything(pair, f"{kind} {stored}", tokens)
    exact = f64.logits(f64.load(file), tokens)
    errors = [
        (m(tokens).double() - exact).abs().max().item() for m in (pair.subject, pair.reference)
    ]
    print(f"{kind} {stored}: ours {errors[0]:.3g}, torch {errors[1]:.3g}")
    # one seed only: the bound over five seeds is test_logits.py's
    assert errors[0] <= 2 * f64.bound(errors[1], exact)
    for text in ("hello world the cat", ["the mat", "and the dog sat on the log"]):
        pair.same(lambda m, t=text: m.to_tokens(t), f"{kind}: {text}")
        pair.same(lambda m, t=text: m.to_str_tokens(t), f"{kind}: {text}")
