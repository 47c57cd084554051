"""What generation returns: decoded text, text in pieces, and sequences with their logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .._engine import arrays
from ..utilities.tensors import to_numpy

__all__ = ["GenerateOutput", "TextStream", "decoded"]


@dataclass
class GenerateOutput:
    """Sequences [batch, pos], and for each new token the logits (and scores) [batch, d_vocab] it was chosen from.

    `past_key_values` is the KV cache of all but the last token, where `hf_generate` had one. Entries are
    attributes, keys and, without those that are None, items of a tuple, as in transformers.
    """

    sequences: Any
    scores: tuple[Any, ...] | None = None
    logits: tuple[Any, ...] | None = None
    past_key_values: Any = None

    def keys(self) -> list[str]:
        """The names of the entries that are there."""
        return [f.name for f in fields(self) if getattr(self, f.name) is not None]

    def to_tuple(self) -> tuple[Any, ...]:
        """The entries that are there."""
        return tuple(getattr(self, name) for name in self.keys())

    def __getitem__(self, key: str | int | slice) -> Any:
        if not isinstance(key, str):
            return self.to_tuple()[key]
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


def decoded(tokenizer: Any, sequences: Any) -> str | list[str]:
    """The texts of ids [batch, pos] without special tokens; a single one by itself."""
    texts = [
        tokenizer.decode(row, skip_special_tokens=True) for row in to_numpy(sequences).tolist()
    ]
    return texts[0] if len(texts) == 1 else texts


class TextStream:
    """The text of rows of tokens that come piece by piece, no character before all its bytes are there."""

    def __init__(self, tokenizer: Any, batch: int) -> None:
        self._tokenizer = tokenizer
        self._told = [0] * batch  # characters
        self._tokens: Any = None

    def add(self, tokens: Any) -> str | list[str]:
        """What is new in the text with these tokens [batch, new]."""
        known = self._tokens
        self._tokens = tokens if known is None else arrays.concat([known, tokens], 1)
        new = self._new(hold=True)
        return new[0] if len(new) == 1 else new

    def rest(self) -> str | list[str] | None:
        """What was held back, or None."""
        if self._tokens is None:
            return None
        new = self._new(hold=False)
        if not any(new):
            return None
        return new[0] if len(new) == 1 else new

    def _new(self, hold: bool) -> list[str]:
        new = []
        for row, ids in enumerate(to_numpy(self._tokens).tolist()):
            text = self._tokenizer.decode(ids, skip_special_tokens=True)
            if hold:
                text = text.rstrip("\ufffd")
            new.append(text[self._told[row] :])
            self._told[row] = len(text)
        return new
