"""What forward returns on stored checkpoints, against transformer_lens 4.3.0, with torch and without."""

from __future__ import annotations

from typing import Any

import pytest

from .reference import NAMES, TEXTS, check, model, reference, thinned

pytestmark = pytest.mark.parametrize("name", NAMES)


def test_logits_and_loss(name: str) -> None:
    stored, m = reference(name), model(name)
    tokens = stored.ids()
    stored.check(m(tokens), "logits")
    logits, loss = m(tokens, return_type="both")
    stored.check(logits, "logits")
    stored.check(loss, "loss")
    stored.check(m(tokens, return_type="loss"), "loss")
    stored.check(m(tokens, return_type="loss", loss_per_token=True), "loss_per_token")
    assert m(tokens, return_type=None) is None


def test_a_row_alone(name: str) -> None:
    stored, m = reference(name), model(name)
    for row in range(2):
        alone = m(stored.ids()[row : row + 1])
        check(alone, stored.arrays["logits"][row : row + 1], f"{name}: row {row} alone")


def test_attention_mask(name: str) -> None:
    stored, m = reference(name), model(name)
    tokens, mask = stored.ids(), stored.ids("mask")
    stored.check(thinned(m(tokens, attention_mask=mask)), "masked")
    loss = m(tokens, attention_mask=mask, return_type="loss", loss_per_token=True)
    stored.check(loss, "masked_loss")


def test_texts(name: str) -> None:
    stored, m = reference(name), model(name)
    stored.check(thinned(m(TEXTS, padding_side="left")), "texts_left")
    stored.check(thinned(m(TEXTS, padding_side="right")), "texts_right")
    stored.check(m(TEXTS, padding_side="left", return_type="loss"), "texts_left_loss")
    stored.check(thinned(m(TEXTS[0])), "text")
    stored.check(thinned(m(TEXTS[0], prepend_bos=False)), "text_without_bos")


def test_part_of_the_layers(name: str) -> None:
    stored, m = reference(name), model(name)
    tokens = stored.ids()
    stored.check(m(tokens, stop_at_layer=1), "stopped")
    stored.check(m(tokens, stop_at_layer=-1), "stopped")
    stored.check(m(tokens, stop_at_layer=0), "embedded")
    cache = m.run_with_cache(tokens)[1]
    stored.check(thinned(m(cache["resid_pre", 1] * 0.5, start_at_layer=1)), "started")
    stored.check(thinned(m(cache["embed"])), "from_embeddings")


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def test_text_functions(name: str) -> None:
    want, m = reference(name).facts["texts"], model(name)
    got = {
        "tokens": m.to_tokens(TEXTS),
        "tokens_left": m.to_tokens(TEXTS, padding_side="left"),
        "tokens_without_bos": m.to_tokens(TEXTS, prepend_bos=False),
        "tokens_left_without_bos": m.to_tokens(TEXTS, prepend_bos=False, padding_side="left"),
        "truncated": m.to_tokens(TEXTS[2] * 30),
        "str_tokens": m.to_str_tokens(TEXTS[2]),
        "string": m.to_string(m.to_tokens(TEXTS[0])[0]),
        "strings": m.to_string(m.to_tokens(TEXTS)),
        "single_token": m.to_single_token(" the"),
        "position": m.get_token_position(" the", TEXTS[2]),
        "last_position": m.get_token_position(" the", TEXTS[2], mode="last"),
    }
    assert {what: _listed(value) for what, value in got.items()} == want
