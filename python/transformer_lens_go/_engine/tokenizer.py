"""The engine's tokenizer: text to ids and back. BOS, truncation and padding are not its business.

Texts cross the boundary as JSON, since a C string would end at the first NUL.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from typing import Any

from . import errors, fork
from .native import go


class EngineTokenizer:
    """One tokenizer of the engine, closed with its last reference. It never changes."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        fork.finalize(self, go.TokenizerClose, handle)
        self.info: dict[str, Any] = json.loads(errors.call(go.TokenizerInfo, handle))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> EngineTokenizer:
        """The tokenizer of a model folder, a tokenizer.json or a GGUF file."""
        return cls(errors.call(go.TokenizerOpen, os.fspath(path)))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without special tokens around them."""
        return json.loads(errors.call(go.TokenizerEncode, self._handle, _pack(texts), False))

    def decode(self, ids: Sequence[Sequence[int]], skip_special: bool = False) -> list[str]:
        """The text of each list of ids."""
        packed = json.dumps([[int(index) for index in row] for row in ids])
        return json.loads(errors.call(go.TokenizerDecode, self._handle, packed, skip_special))

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as the vocabulary spells it; None when it has no such token."""
        index = errors.call(go.TokenizerTokenToID, self._handle, token)
        return None if index < 0 else index

    def id_to_token(self, index: int) -> str:
        """The spelling of a token in the vocabulary."""
        return errors.call(go.TokenizerIDToToken, self._handle, index)

    @functools.cached_property
    def vocab(self) -> dict[str, int]:
        """Every token and its id, added ones too."""
        return json.loads(errors.call(go.TokenizerVocab, self._handle))

    def __deepcopy__(self, memo: dict) -> EngineTokenizer:
        return self

    def __reduce__(self) -> tuple:
        return EngineTokenizer.open, (self.info["source"],)


def _pack(texts: Sequence[str]) -> str:
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"expected text to tokenize, got {type(text).__name__}: {text!r}")
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            raise ValueError(f"text with an unpaired surrogate cannot be tokenized: {text!r}")
    return json.dumps(list(texts))
