"""Attention masks as upstream's components are passed them: [batch, 1, query, key] of the stream's dtype, 0 or its
least number.

The engine masks by causality, its windows, and the keys that are padding; these forms translate between the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arrays
from .inputs import attention_mask

__all__ = ["for_components", "of_keys"]


def _seen(keys: np.ndarray, queries: int, window: int) -> np.ndarray:
    """Which keys [batch, key] each of the last `queries` positions sees: bool [batch, query, key]."""
    total = keys.shape[1]
    behind = np.arange(total - queries, total)[:, None] - np.arange(total)[None]
    seen = behind >= 0
    if window:
        seen &= behind < window
    return seen[None] & keys[:, None]


def for_components(keys: Any, stream: Any, window: int) -> Any:
    """The mask for the positions of `stream`, which see those `keys` [batch, key] (None: all) within a window (0: no
    limit)."""
    batch, queries = stream.shape[:2]
    if keys is None:
        real = np.ones((batch, queries), bool)
    else:
        real = np.asarray(keys) != 0
    hidden = ~_seen(real, queries, window)[:, None]
    mask = arrays.zeros(hidden.shape, arrays.dtype_name(stream))
    mask[arrays.from_numpy(hidden)] = arrays.least(stream)
    return mask


def of_keys(mask: Any, batch: int, pos: int, window: int | None, what: str) -> Any:
    """The keys [batch, pos] (int64, 1 or 0) that a mask leaves, of one with two axes or with four.

    Raises NotImplementedError for a mask with four axes that is not causality, the layer's window and left-out keys;
    `window` None: for any.
    """
    if getattr(mask, "ndim", 0) != 4 or window is None:
        return attention_mask(mask, batch, pos)
    given = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)
    seen = given if given.dtype == bool else given == 0
    fits = given.dtype == bool or bool((seen | (given < -1e30)).all())
    if fits and seen.shape[1:] == (1, pos, pos) and seen.shape[0] in (1, batch):
        seen = np.broadcast_to(seen[:, 0], (batch, pos, pos))
        keys = np.diagonal(seen, axis1=1, axis2=2)
        if np.array_equal(seen, _seen(keys, pos, window)):
            return arrays.from_numpy(keys.astype(np.int64))
    raise NotImplementedError(
        f"{what}: a mask with four axes must leave out later positions (and what lies outside of the layer's "
        f"window) and whole keys, nothing else; got {tuple(given.shape)}. Pass one of shape [batch, pos], or edit "
        "hook_attn_scores"
    )
