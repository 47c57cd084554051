"""When generation ends: EOS tokens, strings, and criteria of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..given import brief, integer
from ..utilities.tensors import to_numpy

__all__ = ["Stops", "criteria_of", "eos_tokens"]


def eos_tokens(eos_token_id: Any, cfg: Any, tokenizer: Any) -> tuple[list[int], int]:
    """The ids that end a sequence, and the one that finished rows are filled up with.

    AssertionError where nothing says what they are.
    """
    own = getattr(tokenizer, "eos_token_id", None)
    if eos_token_id is None:
        eos_token_id = getattr(cfg, "eos_token_id", None)
    if eos_token_id is None:
        if own is None:
            raise AssertionError(
                "Must pass eos_token_id if stop_at_eos is True and tokenizer is None or has no eos_token_id"
            )
        eos_token_id = own
    if isinstance(eos_token_id, (int, np.integer)):
        return [int(eos_token_id)], int(eos_token_id)
    if isinstance(eos_token_id, (str, bytes)) or not isinstance(eos_token_id, Iterable):
        raise TypeError(f"eos_token_id must be an id or a list of ids, got {brief(eos_token_id)}")
    ids = [integer("eos_token_id", token) for token in eos_token_id]
    if own is None and not ids:
        raise IndexError("eos_token_id is an empty list, and the tokenizer has no EOS token")
    return ids, ids[0] if own is None else own


class Stops:
    """Whether each row's text ends with one of some strings: within the last token, at any place of it.

    The text is the whole sequence, prompt and all; a string may begin in earlier tokens.
    """

    def __init__(self, strings: Sequence[str], tokenizer: Any) -> None:
        self._strings = list(strings)
        self._longest = max(map(len, strings))
        self._decode = tokenizer.decode
        self._pieces: dict[int, str] = {}
        # what a token adds behind another: some tokenizers drop a space in front of the first
        self._before = tokenizer("a", add_special_tokens=False)["input_ids"]
        self._skip = len(self._text(self._before))

    def _text(self, ids: list[int]) -> str:
        return self._decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def _piece(self, token: int) -> str:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._text([*self._before, token])[self._skip :]
        return piece

    def __call__(self, tokens: Any, scores: Any) -> np.ndarray:
        """[batch] bools for sequences [batch, pos]."""
        return np.array([self._ends(row) for row in to_numpy(tokens)])

    def _ends(self, row: np.ndarray) -> bool:
        last = self._piece(int(row[-1]))
        text, at = last, len(row) - 2
        while at >= 0 and len(text) - len(last) < self._longest:
            text = self._piece(int(row[at])) + text
            at -= 1
        before = len(text) - len(last)
        return any(text.find(s, max(before - len(s) + 1, 0)) >= 0 for s in self._strings)


def criteria_of(
    stop_strings: Any, stopping_criteria: Any, tokenizer: Any
) -> list[Callable[[Any, Any], Any]]:
    """Functions of (tokens [batch, pos], logits [batch, d_vocab]) that say which rows end: one bool, or one a row.

    ValueError for strings without a tokenizer, TypeError for what is no criterion.
    """
    found: list[Callable[[Any, Any], Any]] = []
    if stop_strings is not None:
        strings = [stop_strings] if isinstance(stop_strings, str) else list(stop_strings)
        strings = [string for string in strings if string]
        if strings and tokenizer is None:
            raise ValueError(
                "stop_strings needs a tokenizer, and this model has none; pass a stopping_criteria on token ids"
            )
        if strings:
            found.append(Stops(strings, tokenizer))
    if stopping_criteria is None:
        return found
    given = (
        stopping_criteria if isinstance(stopping_criteria, (list, tuple)) else [stopping_criteria]
    )
    for criterion in given:
        if not callable(criterion):
            raise TypeError(
                "stopping_criteria must be a function of (tokens, logits), such as a StoppingCriteria of "
                f"transformers', or a list of those, not {type(criterion).__name__}"
            )
    return [*found, *given]
