"""Which places of a batch are padding, and where its texts stand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..hook_names import outside_of_package
from ..utilities.tensors import to_numpy

__all__ = ["padded", "positions_of", "told_mask", "warn_of_empty", "warn_of_gaps"]


def told_mask(
    encoded: Any, ids: np.ndarray, tokenizer: Any, texts: list[str], side: str
) -> np.ndarray:
    """1 where `ids` [batch, pos] are text; of a tokenizer that does not say so, by each text's own length."""
    if "attention_mask" in encoded:
        return np.ascontiguousarray(encoded["attention_mask"], dtype=np.int64)
    width = ids.shape[-1]
    lengths = [width if len(texts) == 1 else len(tokenizer(text)["input_ids"]) for text in texts]
    place = np.arange(width)
    place = width - 1 - place if side == "left" else place
    return (place < np.array(lengths)[:, None]).astype(np.int64)


def padded(rows: list[np.ndarray], pad: int | None, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids as [batch, pos], and 1 where they are, 0 at padding."""
    width = max(row.size for row in rows)
    ids = np.full((len(rows), width), 0 if pad is None else pad, dtype=np.int64)
    real = np.zeros_like(ids)
    for index, row in enumerate(rows):
        place = slice(width - row.size, width) if side == "left" else slice(row.size)
        ids[index, place], real[index, place] = row, 1
    return ids, real


def positions_of(mask: Any) -> Any:
    """Positions counted among the real tokens of a mask [batch, pos]; padding gets position 1, as upstream."""
    counted = mask.cumsum(-1) - 1
    return counted * mask + (1 - mask)


def warn_of_empty(real: Any) -> None:
    """Warn of a text of a batch that has no tokens: alone it would be an error."""
    empty = [index for index, row in enumerate(real) if not row.any()]
    if empty:
        warnings.warn(
            f"text {empty[0]} of {len(real)} has no tokens, and its row is padding alone, whose numbers mean nothing: "
            "leave it out, or let BOS be put in front of it (prepend_bos=True)",
            UserWarning,
            stacklevel=outside_of_package(),
        )


def warn_of_gaps(mask: Any, windows: set[int]) -> None:
    """Warn of padding between tokens of a row, where attention reaches back over a window of positions: it counts the
    padding, as in transformers, and so a token sees less than it would in its text alone.
    """
    real = to_numpy(mask) != 0
    before = np.logical_or.accumulate(real, axis=1)
    behind = np.logical_or.accumulate(real[:, ::-1], axis=1)[:, ::-1]
    between = np.flatnonzero((before & behind & ~real).any(axis=1))
    if between.size:
        warnings.warn(
            f"row {between[0]} has padding between its tokens, and this model's attention reaches back over "
            f"{min(windows)} positions, padding included (as in transformers): the row is not what its text is alone. "
            'Pad on the left (padding_side="left") where tokens follow',
            UserWarning,
            stacklevel=outside_of_package(),
        )
