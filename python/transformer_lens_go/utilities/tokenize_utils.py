"""BOS and padding in batches of ids. Tokenizers are anything with Hugging Face's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._engine import arrays
from .._not_built import names_of
from .tensors import is_torch_tensor, to_numpy


def get_input_with_manually_prepended_bos(
    bos_token: str | None, input: str | list[str]
) -> str | list[str]:
    """The text or texts with `bos_token` written before each; unchanged when there is none."""
    if bos_token is None:
        return input
    return bos_token + input if isinstance(input, str) else [bos_token + text for text in input]


def get_tokens_with_bos_removed(
    tokenizer: Any, tokens: Any, padding_side: str | None = None
) -> Any:
    """`tokens` [..., pos] without the BOS that the tokenizer put in each row: [..., pos - 1].

    Under right padding that is the first column; under left padding the first token after the
    padding, or the last of the leading ones where BOS and padding are the same token.
    """
    if tokenizer.bos_token_id is None:
        return tokens
    if (padding_side or tokenizer.padding_side) == "right":
        return tokens[..., 1:]

    ids = to_numpy(tokens)
    leading = _leading(ids, tokenizer.pad_token_id)
    if tokenizer.bos_token_id == tokenizer.pad_token_id:
        places, has_bos = leading - 1, leading > 0
    else:
        starts = [tokenizer.bos_token_id, getattr(tokenizer, "cls_token_id", None)]
        places, has_bos = leading, leading < ids.shape[-1]
        if ids.shape[-1] > 0:
            first = np.minimum(leading, ids.shape[-1] - 1)[..., None]
            found = np.take_along_axis(ids, first, axis=-1)[..., 0]
            has_bos &= np.isin(found, [start for start in starts if isinstance(start, int)])
    if not has_bos.all():
        raise ValueError(
            f"Cannot remove BOS: {int((~has_bos).sum())} left-padded row(s) do not start with the "
            "BOS "
            f"token (id {tokenizer.bos_token_id}) after their padding."
        )
    keep = np.arange(ids.shape[-1]) != places[..., None]
    return _like(tokens, ids[keep].reshape(*ids.shape[:-1], ids.shape[-1] - 1))


def get_attention_mask(
    tokenizer: Any, tokens: Any, prepend_bos: bool, padding_side: str | None = None
) -> Any:
    """1 where a token of `tokens` [batch, pos] is text, 0 where it is padding; int64, same shape.

    Only the run of pad tokens at the padded end is padding. Where BOS and padding are the same
    token and `prepend_bos` says that there is a BOS, the last leading one is it.
    """
    ids = to_numpy(tokens)
    mask = np.ones_like(ids)
    if tokenizer is not None:
        if (padding_side or tokenizer.padding_side) == "right":
            trailing = _leading(ids[..., ::-1], tokenizer.pad_token_id)
            mask[np.arange(ids.shape[-1]) >= (ids.shape[-1] - trailing)[..., None]] = 0
        else:
            leading = _leading(ids, tokenizer.pad_token_id)
            if prepend_bos and tokenizer.bos_token_id == tokenizer.pad_token_id:
                leading = leading - 1  # a row without any loses nothing: arange >= -1
            mask[np.arange(ids.shape[-1]) < leading[..., None]] = 0
    return _like(tokens, mask)


def _leading(ids: np.ndarray, pad_token_id: int | None) -> np.ndarray:
    """How many pad tokens each row starts with."""
    if pad_token_id is None:
        return np.zeros(ids.shape[:-1], dtype=np.int64)
    return (np.cumsum(ids != pad_token_id, axis=-1) == 0).sum(axis=-1)


def _like(tokens: Any, result: np.ndarray) -> Any:
    if is_torch_tensor(tokens):
        return arrays.torch.from_numpy(result).to(tokens.device)
    return result


__getattr__ = names_of(__name__)
