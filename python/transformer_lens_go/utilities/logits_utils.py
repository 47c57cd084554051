"""Choosing the next token from logits, for torch tensors and NumPy arrays alike.

With torch, draws come from torch's default generator by the same call as in transformer_lens, so that a script
seeded with `torch.manual_seed` draws the same tokens. Without torch they come from NumPy's global generator: seed
it with `numpy.random.seed`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._engine import arrays
from .._not_built import names_of
from ..given import brief, check_number
from .tensors import is_torch_tensor, library_of, to_numpy

__all__ = [
    "SamplingError",
    "check_sampling",
    "cooled",
    "draw",
    "keep_top_k",
    "keep_top_p",
    "penalize_repetition",
    "sample_logits",
]


class SamplingError(ValueError, AssertionError):
    """A way of choosing tokens that there is not: a ValueError, and the AssertionError that transformer_lens raises."""


def sample_logits(
    final_logits: Any,
    top_k: int | None = None,
    top_p: float | None = None,
    temperature: float = 1.0,
    freq_penalty: float = 0.0,
    repetition_penalty: float = 1.0,
    tokens: Any | None = None,
    attention_mask: Any | None = None,
) -> Any:
    """One token [batch] for each row of logits [batch, d_vocab].

    In this order: `repetition_penalty` (Keskar et al. 2019, https://arxiv.org/abs/1909.05858: the logits of tokens
    that occur in `tokens` [batch, pos] are divided by it where positive and multiplied by it where negative),
    division by `temperature`, minus `freq_penalty` times how often each token occurs in `tokens`, then the `top_k`
    likeliest, or else the fewest whose probabilities reach `top_p` (Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751), then a draw in float32. Temperature 0 takes the likeliest, after the
    repetition penalty alone. Tokens that `attention_mask` [batch, pos] has as 0 are padding, and count for nothing.

    Raises SamplingError, which is a ValueError and an AssertionError, for a number out of range (`check_sampling`);
    AssertionError for a frequency penalty without `tokens`.
    """
    check_sampling(top_k, top_p, temperature, freq_penalty, repetition_penalty)
    if repetition_penalty != 1.0 and tokens is not None:
        final_logits = penalize_repetition(final_logits, tokens, repetition_penalty, attention_mask)
    if temperature == 0.0:
        return final_logits.argmax(-1)
    final_logits = cooled(final_logits, temperature)
    if freq_penalty > 0:
        final_logits = final_logits - freq_penalty * _counts(tokens, final_logits, attention_mask)
    if top_k is not None:
        final_logits = keep_top_k(final_logits, top_k)
    elif top_p is not None:
        final_logits = keep_top_p(final_logits, top_p)
    return draw(final_logits)


def cooled(logits: Any, temperature: float) -> Any:
    """Logits divided by a temperature above 0. Raises SamplingError where it is so small that they overflow."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        divided = logits / temperature
    if temperature < 0.01:  # nothing overflows that is divided by more
        library = library_of(logits)
        if bool((library.isfinite(logits) & ~library.isfinite(divided)).any()):
            raise SamplingError(
                f"temperature={temperature} is too small: logits divided by it are beyond their dtype's numbers; "
                "temperature=0 takes the likeliest token"
            )
    return divided


def check_sampling(
    top_k: int | None = None,
    top_p: float | None = None,
    temperature: float = 1.0,
    freq_penalty: float = 0.0,
    repetition_penalty: float = 1.0,
) -> None:
    """Raise SamplingError, saying what is allowed, for a number with which no token can be chosen."""
    for name, value in (("top_k", top_k), ("top_p", top_p)):
        if value is not None:
            check_number(name, value)
    check_number("temperature", temperature)
    check_number("freq_penalty", freq_penalty)
    check_number("repetition_penalty", repetition_penalty)
    for name, value, fits, allowed in (
        ("top_k", top_k, top_k is None or top_k > 0, "greater than 0, or None for all tokens"),
        ("top_p", top_p, top_p is None or 0.0 < top_p <= 1.0, "in (0, 1], or None for all tokens"),
        ("temperature", temperature, temperature >= 0, "0 (the likeliest token) or greater"),
        ("freq_penalty", freq_penalty, freq_penalty >= 0, "non-negative (0: none)"),
        (
            "repetition_penalty",
            repetition_penalty,
            repetition_penalty > 0,
            "greater than 0 (1: none)",
        ),
    ):
        if not fits:  # NaN fits nowhere
            raise SamplingError(f"{name} has to be {allowed}, got {brief(value)}")


def penalize_repetition(
    logits: Any, tokens: Any, penalty: float, attention_mask: Any | None = None
) -> Any:
    """Logits [batch, d_vocab] made less likely where their token occurs in `tokens` [batch, pos], padding left out."""
    there = _counts(tokens, logits, attention_mask) > 0
    library = library_of(logits)
    return library.where(
        there, library.where(logits > 0, logits / penalty, logits * penalty), logits
    )


def _counts(tokens: Any, logits: Any, attention_mask: Any | None) -> Any:
    """How often each token of the vocabulary occurs in each row of `tokens`: like the logits."""
    if tokens is None:
        raise AssertionError("Must provide input_tokens if applying a frequency penalty")
    if tokens.ndim != 2:
        raise AssertionError("Frequency penalty do not support input in the form of embeddings")
    rows = tokens
    if attention_mask is not None:
        rows = [row[mask != 0] for row, mask in zip(tokens, attention_mask, strict=True)]
    width = logits.shape[-1]
    if is_torch_tensor(logits):
        torch = arrays.torch
        return torch.stack([torch.bincount(row, minlength=width) for row in rows])
    return np.stack([np.bincount(row, minlength=width) for row in rows]).astype(logits.dtype)


def keep_top_k(logits: Any, top_k: int) -> Any:
    """-inf for all but the `top_k` largest logits of each row, and those equal to the last of these."""
    top_k = min(top_k, logits.shape[-1])
    if is_torch_tensor(logits):
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        return logits.masked_fill(logits < least, -float("inf"))
    least = np.partition(logits, -top_k, axis=-1)[..., -top_k : logits.shape[-1] - top_k + 1]
    return np.where(logits < least, np.array(-np.inf, logits.dtype), logits)


def keep_top_p(logits: Any, top_p: float) -> Any:
    """-inf for all but the likeliest tokens of each row, as many as it takes to pass `top_p`."""
    if is_torch_tensor(logits):
        ordered, order = arrays.torch.sort(logits, descending=True)
        total = ordered.softmax(dim=-1).cumsum(dim=-1)
        drop = total > top_p
        drop[..., 1:] = drop[..., :-1].clone()
        drop[..., 0] = False
        return logits.masked_fill(drop.scatter(-1, order, drop), -float("inf"))
    order = np.argsort(-logits, axis=-1, kind="stable")
    total = np.cumsum(_softmax(np.take_along_axis(logits, order, axis=-1)), axis=-1)
    drop = np.concatenate([np.zeros_like(total[..., :1], bool), total[..., :-1] > top_p], axis=-1)
    dropped = np.empty_like(drop)
    np.put_along_axis(dropped, order, drop, axis=-1)
    return np.where(dropped, np.array(-np.inf, logits.dtype), logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def draw(logits: Any) -> Any:
    """A token [batch] drawn from the softmax of each row of logits [batch, d_vocab], in float32.

    ValueError where a row is NaN, or has no token left.
    """
    if library_of(logits) is np:
        probabilities = _softmax(to_numpy(logits).astype(np.float32))
        if np.isnan(probabilities).any():
            raise ValueError("the logits to draw from have NaN, or a row without any finite one")
        total = np.cumsum(probabilities.astype(np.float64), axis=-1)
        places = np.random.random_sample(len(total))[:, None] * total[:, -1:]
        return (total <= places).sum(axis=-1).astype(np.int64)
    logits = logits.to(arrays.torch.float32)
    logits = logits - logits.logsumexp(dim=-1, keepdim=True)
    probabilities = logits.softmax(dim=-1)
    if bool(probabilities.isnan().any()):
        raise ValueError("the logits to draw from have NaN, or a row without any finite one")
    return arrays.torch.multinomial(probabilities, 1, True)[:, 0]


__getattr__ = names_of(__name__)
