"""Losses of language models: by the engine where it can, else by torch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .._engine import arrays, loss
from .._engine.inputs import check_mask
from ..hook_names import outside_of_package
from .tensors import is_torch_tensor


def lm_cross_entropy_loss(
    logits: Any, tokens: Any, attention_mask: Any | None = None, per_token: bool = False
) -> Any:
    """The mean loss of predicting each next token, or with `per_token` each loss: [batch, pos - 1].

    `logits` [batch, pos, d_vocab] at pos t are scored against `tokens` [batch, pos] at t + 1. With
    `attention_mask` [batch, pos], pairs with a masked token give 0 and do not count in the mean. Where no pair is
    left the mean is NaN, with a warning.
    """
    tokens = _same_kind(tokens, logits)
    mask: Any = None
    if attention_mask is not None:
        mask = _same_kind(attention_mask, logits)
        check_mask(mask)
        mask = mask != 0
        if tuple(mask.shape) != tuple(tokens.shape):
            raise AssertionError(
                "attention_mask must have the same shape as tokens, got "
                f"{tuple(mask.shape)} and {tuple(tokens.shape)}"
            )
    if not _suits_engine(logits):
        return told(_torch_loss(logits, tokens, mask, per_token), _pairs(tokens, mask))
    pairs = _pairs(tokens, mask)
    mask = None if mask is None else _contiguous(mask, "int64")
    if not is_torch_tensor(logits) and not arrays.is_floating(np.asarray(logits)):
        logits = np.asarray(logits, dtype=np.float32)
    return told(loss.next_token_loss(logits, _contiguous(tokens, "int64"), mask, per_token), pairs)


def told(loss: Any, pairs: Any) -> Any:
    """The loss as it is, with a warning where it is the mean over none of `pairs` (bool [batch, pos - 1])."""
    if loss.ndim == 0 and not pairs.any():
        warnings.warn(
            "the loss is the mean over nothing, NaN: it is about predicting the next token, and there is no pair of "
            "neighbouring real tokens. Give texts of at least two tokens, BOS included",
            UserWarning,
            stacklevel=outside_of_package(),
        )
    return loss


def _pairs(tokens: Any, mask: Any | None) -> Any:
    """Which neighbours of tokens [batch, pos] are both real: bool [batch, pos - 1]."""
    return tokens[:, 1:] == tokens[:, 1:] if mask is None else mask[:, :-1] & mask[:, 1:]


def lm_accuracy(logits: Any, tokens: Any, per_token: bool = False) -> Any:
    """How often the likeliest next token is the right one, or with `per_token` where: bool [batch,
    pos - 1].
    """
    hits = logits.argmax(-1)[:, :-1] == _same_kind(tokens, logits)[:, 1:]
    return hits if per_token else hits.sum() / (hits.shape[0] * hits.shape[1])


def _suits_engine(logits: Any) -> bool:
    """Whether the engine computes with logits like these; torch takes the others."""
    return not is_torch_tensor(logits) or (
        logits.is_floating_point() and logits.device.type == "cpu" and logits.ndim == 3
    )


def _torch_loss(logits: Any, tokens: Any, mask: Any | None, per_token: bool) -> Any:
    log_probs = arrays.torch.log_softmax(logits[..., :-1, :], dim=-1)
    losses = -log_probs.gather(-1, tokens[..., 1:, None])[..., 0]
    if mask is None:
        return losses if per_token else losses.sum() / losses.numel()
    pairs = mask[:, :-1] & mask[:, 1:]
    losses = losses.masked_fill(~pairs, 0.0)
    return losses if per_token else losses.sum() / pairs.sum()


def _same_kind(values: Any, like: Any) -> Any:
    """`values` as the kind of array that `like` is, on its device."""
    if is_torch_tensor(like):
        return arrays.asarray(values).to(like.device)
    return np.asarray(values)


def _contiguous(array: Any, name: str) -> Any:
    if is_torch_tensor(array):
        return array.to(getattr(arrays.torch, name)).contiguous()
    return np.ascontiguousarray(array, dtype=name)
