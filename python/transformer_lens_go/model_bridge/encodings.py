"""What a tokenizer gave, as the input of a model: `model(encoding)` and `model(**encoding)`.

An encoding is a BatchEncoding, of transformers or of this package, or any mapping with "input_ids".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._engine import arrays
from .._engine.inputs import token_ids

__all__ = ["unpacked", "unpacked_prompt"]

# What tokenizers give besides, and no model here reads.
_UNREAD = (
    "length",
    "num_truncated_tokens",
    "offset_mapping",
    "overflow_to_sample_mapping",
    "overflowing_tokens",
    "special_tokens_mask",
    "token_type_ids",
)


def unpacked(api: str, input: Any, attention_mask: Any, others: dict[str, Any]) -> tuple[Any, Any]:
    """The input and the mask of a call, of which either may be in an encoding.

    `input` is that encoding, or None where its columns came as keywords, among `others`. Columns that say more (labels,
    position_ids) join `others`; what models do not read leaves it.

    Raises TypeError where there is no input or two, ValueError for two masks or rows of different lengths.
    """
    if isinstance(input, Mapping):
        columns = {str(name): input[name] for name in input}
        if not hasattr(columns.get("input_ids"), "__len__"):
            raise TypeError(
                f"token ids must be a tensor, an array or nested lists of numbers, got {type(input).__name__}: an "
                f"encoding has 'input_ids' that are; this one has {columns or 'nothing'}"
            )
        twice = sorted(name for name in columns if others.get(name) is not None)
        if twice:
            raise ValueError(
                f"{api}() got {', '.join(twice)} twice: in the encoding, and by keyword"
            )
        others.update(columns)
    elif "input_ids" not in others:
        if input is None:
            raise TypeError(
                f"{api}() needs an input: text, a list of texts, ids [batch, pos], embeddings, or what a tokenizer gave"
            )
        return input, attention_mask
    elif input is not None:
        raise TypeError(f"{api}() got two inputs, one of them as input_ids")
    for name in _UNREAD:
        others.pop(name, None)
    ids = _ids(others.pop("input_ids"))
    mask = others.pop("attention_mask", None)
    if mask is not None and attention_mask is not None:
        raise ValueError(f"{api}() got attention_mask twice: in the encoding, and by keyword")
    mask = attention_mask if mask is None else mask
    if mask is not None:  # of one text, whose ids are a row of their own
        mask = arrays.asarray(mask)
        mask = mask[None] if mask.ndim == 1 else mask
    return ids, mask


def unpacked_prompt(
    api: str, input: Any, attention_mask: Any, others: dict[str, Any]
) -> tuple[Any, Any]:
    """As `unpacked`, of what generation starts from: without an input it is the empty text, and labels are not read."""
    if "input_ids" in others and isinstance(input, str) and not input:
        input = None
    given = unpacked(api, input, attention_mask, others)
    others.pop("labels", None)
    return given


def _ids(column: Any) -> Any:
    """Ids [batch, pos] of the column "input_ids"."""
    if isinstance(column, (list, tuple)):
        lengths = {len(row) for row in column if hasattr(row, "__len__")}
        if len(lengths) > 1:
            raise ValueError(
                f"the rows of input_ids have {min(lengths)} to {max(lengths)} ids: pass padding=True to the tokenizer, "
                "and the attention_mask that it gives"
            )
    return token_ids(column)
