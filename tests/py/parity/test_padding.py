"""Padded batches, where the subject does what the reference does with each text alone, and what exact arithmetic says.

The reference's own batches are not that: docs/differences.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from . import f64, libs
from .compare import check_same

KINDS = ["gpt2", "llama_gqa", "mistral", "qwen2"]


def texts(model: Any) -> list[str]:
    pad = model.tokenizer.pad_token
    return ["hello world", f"{pad}the", f"the dog sat{pad} on the log and the mat", f"the mat{pad}"]


def own(row: torch.Tensor, length: int, side: str) -> torch.Tensor:
    """The part of a row [pos, ...] that is its text's."""
    return row[-length:] if side == "left" else row[:length]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bos", [None, True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_the_reference_of_its_text(
    kind: str, bos: bool | None, side: str, pair: Callable[[str], libs.Pair]
) -> None:
    """Logits, an activation and the losses."""
    both = pair(kind)
    given = texts(both.subject)
    logits, cache = both.subject.run_with_cache(given, prepend_bos=bos, padding_side=side)
    losses = both.subject(
        given, return_type="loss", loss_per_token=True, prepend_bos=bos, padding_side=side
    )
    mean = both.subject(given, return_type="loss", prepend_bos=bos, padding_side=side)
    expected = []
    for index, text in enumerate(given):
        want, alone = both.reference.run_with_cache(text, prepend_bos=bos)
        length = want.shape[1]
        check_same(own(logits[index], length, side), want[0], f"logits of {text!r}")
        name = "blocks.1.attn.hook_z"
        check_same(own(cache[name][index], length, side), alone[name][0], f"{name} of {text!r}")
        loss = both.reference(text, return_type="loss", loss_per_token=True, prepend_bos=bos)[0]
        check_same(own(losses[index], length - 1, side), loss, f"losses of {text!r}")
        expected.append(loss)
    check_same(mean, torch.cat(expected).mean(), "the loss")


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_goes_on_as_the_reference_of_its_texts(
    kind: str, bos: bool, pair: Callable[[str], libs.Pair]
) -> None:
    both = pair(kind)
    given = texts(both.subject)
    options: dict[str, Any] = {
        "max_new_tokens": 5,
        "do_sample": False,
        "repetition_penalty": 1.3,
        "stop_at_eos": False,
        "verbose": False,
        "return_type": "tokens",
        "prepend_bos": bos,
    }
    new = both.subject.generate(given, **options)[:, -5:]
    for index, text in enumerate(given):
        alone = both.reference.generate(text, **options)[0, -5:]
        assert new[index].tolist() == alone.tolist(), text


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_with_a_mask_stand_where_they_would_alone(
    kind: str, pair: Callable[[str], libs.Pair]
) -> None:
    both = pair(kind)
    generator = torch.Generator().manual_seed(3)
    embeds = torch.randn(2, 5, both.reference.cfg.d_model, generator=generator)
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    got = both.subject(embeds, attention_mask=mask)
    check_same(got[0, 2:], both.reference(embeds[:1, 2:])[0], "padded on the left")
    check_same(got[1], both.reference(embeds[1:])[0], "not padded")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_as_close_to_exact_as_its_text_alone(
    kind: str, side: str, checkpoint: Callable[..., Path], pair: Callable[[str], libs.Pair]
) -> None:
    """Against transformers in float64, each text by itself."""
    both = pair(kind)
    exact = f64.load(checkpoint(kind))
    given = texts(both.subject)
    batch = both.subject(given, prepend_bos=False, padding_side=side)
    for index, text in enumerate(given):
        ids = both.subject.to_tokens(text, prepend_bos=False)
        want = f64.logits(exact, ids)[0]
        reference = both.reference(ids)[0]
        bound = f64.bound((reference - want).abs().max().item(), want)
        distance = (own(batch[index], ids.shape[1], side) - want).abs().max().item()
        assert distance <= bound, f"{text!r}: {distance} from exact, {bound} allowed"
