"""Losses: of logits that anybody has, with masks and labels, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformer_lens_go.model_bridge.loss import labels_loss, loss_fn
from transformer_lens_go.utilities import lm_accuracy, lm_cross_entropy_loss

from .reference import to_library, to_numpy, uses_torch

BATCH, POS, VOCAB = 3, 5, 11
GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.standard_normal((BATCH, POS, VOCAB)).astype(np.float32) * 3
TOKENS = GENERATOR.integers(0, VOCAB, (BATCH, POS))
MASK = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 1, 0, 1]])


def each_loss(logits: np.ndarray = LOGITS, tokens: np.ndarray = TOKENS) -> np.ndarray:
    """Minus the log-probability of each next token, in float64: [batch, pos - 1]."""
    wide = logits.astype(np.float64)
    log_probs = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    return -np.take_along_axis(log_probs[:, :-1], tokens[:, 1:, None], axis=-1)[..., 0]


def given(values: np.ndarray) -> Any:
    return to_library(values)


def test_the_loss() -> None:
    want = each_loss()
    per_token = to_numpy(lm_cross_entropy_loss(given(LOGITS), given(TOKENS), per_token=True))
    assert per_token.dtype == np.float32
    assert per_token == pytest.approx(want, rel=1e-5)
    assert lm_cross_entropy_loss(given(LOGITS), given(TOKENS)).item() == pytest.approx(want.mean())


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32, bool])
def test_masks(dtype: type) -> None:
    pairs = (MASK[:, :-1] * MASK[:, 1:]).astype(bool)
    mask = given(MASK.astype(dtype))
    per_token = to_numpy(lm_cross_entropy_loss(given(LOGITS), given(TOKENS), mask, True))
    assert per_token == pytest.approx(np.where(pairs, each_loss(), 0.0), rel=1e-5)
    mean = lm_cross_entropy_loss(given(LOGITS), given(TOKENS), mask).item()
    assert mean == pytest.approx(each_loss()[pairs].mean())
    longer = given(np.concatenate([np.ones((BATCH, 2)), MASK], axis=1).astype(dtype))
    assert loss_fn(given(LOGITS), given(TOKENS), longer).item() == pytest.approx(mean)


@pytest.mark.parametrize(
    ("shape", "match"),
    [((BATCH, POS - 1), "cover every"), ((BATCH + 1, POS), "batch"), ((POS,), "2D")],
)
def test_masks_that_do_not_fit(shape: tuple[int, ...], match: str) -> None:
    mask = given(np.ones(shape))
    with pytest.raises(ValueError, match=match):
        loss_fn(given(LOGITS), given(TOKENS), mask)
    with pytest.raises(AssertionError, match="same shape"):
        lm_cross_entropy_loss(given(LOGITS), given(TOKENS), mask)


def test_labels() -> None:
    labels = TOKENS.copy()
    labels[0, 2:], labels[1, 1] = -100, -100
    counted = labels[:, 1:] != -100
    want = np.where(counted, each_loss(tokens=np.where(labels == -100, 0, labels)), 0.0)
    got = labels_loss(given(LOGITS), given(labels), per_token=True)
    assert to_numpy(got) == pytest.approx(want, rel=1e-5)
    mean = labels_loss(given(LOGITS), given(labels)).item()
    assert mean == pytest.approx(want.sum() / counted.sum())
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        labels_loss(given(LOGITS), given(labels[:, :-1]))


def test_accuracy() -> None:
    hits = LOGITS.argmax(-1)[:, :-1] == TOKENS[:, 1:]
    assert np.array_equal(to_numpy(lm_accuracy(given(LOGITS), given(TOKENS), True)), hits)
    assert lm_accuracy(given(LOGITS), given(TOKENS)).item() == pytest.approx(hits.mean())


@pytest.mark.skipif(not uses_torch(), reason="gradients are torch's")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("per_token", [False, True])
def test_gradients(masked: bool, per_token: bool) -> None:
    import torch

    mask = given(MASK) if masked else None
    gradients = []
    for dtype in (torch.float32, torch.float64):  # the engine's loss, and torch's
        logits = given(LOGITS).to(dtype).requires_grad_()
        loss = lm_cross_entropy_loss(logits * 2, given(TOKENS), mask, per_token)
        assert loss.dtype == dtype
        (loss * loss).sum().backward()
        gradients.append(logits.grad.double())
    assert torch.allclose(*gradients, atol=1e-5)
    assert gradients[0][:, -1].abs().max() == 0
    with torch.no_grad():
        plain = lm_cross_entropy_loss(given(LOGITS) * 2, given(TOKENS), mask, per_token)
    assert not plain.requires_grad
