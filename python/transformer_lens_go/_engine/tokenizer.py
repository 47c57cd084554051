"""The engine's tokenizers: handles, texts in, numbers out.

Texts cross the boundary as JSON, since a C string would end at the first NUL; encodings come back as one
array of numbers (`EncodedBatch`).
"""

from __future__ import annotations

import functools
import json
import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import arrays, errors, fork
from .native import go

_LEAN = ("ids", "type_ids", "attention_mask", "special_tokens_mask")
_DETAILED = (*_LEAN, "begins", "ends", "word_ids", "sequence_ids")


# Go's names of what truncation and padding are made of.
_LIMITS = {
    "max_length": "MaxLength",
    "stride": "Stride",
    "strategy": "Strategy",
    "direction": "Side",
    "length": "Length",
    "pad_to_multiple_of": "MultipleOf",
    "pad_id": "ID",
    "pad_type_id": "TypeID",
    "pad_token": "Token",
}


class EngineTokenizer:
    """One tokenizer of the engine, closed with its last reference. It never changes."""

    def __init__(self, handle: int, recipe: tuple[Any, ...] | None = None) -> None:
        self._handle = handle
        fork.finalize(self, go.TokenizerClose, handle)
        self.info: dict[str, Any] = json.loads(errors.call(go.TokenizerInfo, handle))
        # how to make it again, in another process too
        self._recipe = recipe or (EngineTokenizer.open, self.info["source"])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> EngineTokenizer:
        """The tokenizer of a model folder, a tokenizer.json or a GGUF file."""
        return cls(errors.call(go.TokenizerOpen, os.fspath(path)), (cls.open, os.fspath(path)))

    @classmethod
    def parse(cls, text: str) -> EngineTokenizer:
        """The tokenizer that the text of a tokenizer.json describes."""
        if "\0" in text:
            raise ValueError("not a tokenizer.json: the text has a NUL character")
        return cls(errors.call(go.TokenizerParse, text), (cls.parse, text))

    def with_tokens(self, tokens: Sequence[dict[str, Any]]) -> tuple[EngineTokenizer, int]:
        """A tokenizer with further added tokens, and the number of those that are new or changed."""
        made = json.loads(errors.call(go.TokenizerWithTokens, self._handle, json.dumps(tokens)))
        recipe = (_remake, "with_tokens", self, list(tokens))
        return EngineTokenizer(made["handle"], recipe), made["added"]

    def with_template(self, bos: str, eos: str) -> EngineTokenizer:
        """A tokenizer that puts `bos` before each text and `eos` after it; "" for none."""
        for token in (bos, eos):
            if "\0" in token:
                raise ValueError(
                    f"{token!r} has a NUL character and is no token to put around text"
                )
        handle = errors.call(go.TokenizerWithTemplate, self._handle, bos, eos)
        return EngineTokenizer(handle, (_remake, "with_template", self, bos, eos))

    def to_json(self, truncation: dict[str, Any] | None, padding: dict[str, Any] | None) -> str:
        """The text of a tokenizer.json, with a truncation and a padding by Python's names, None for none."""
        if padding is not None and padding["length"] == 0:
            padding = None  # fills nothing up; no length at all would mean the longest text's
        limits = {
            "Truncation": truncation and {_LIMITS[key]: value for key, value in truncation.items()},
            "Padding": padding and {_LIMITS[key]: value or 0 for key, value in padding.items()},
        }
        return errors.call(go.TokenizerJSON, self._handle, json.dumps(limits))

    def encode(self, texts: Sequence[str], options: dict[str, Any] | None = None) -> EncodedBatch:
        """Encode texts; `options` are `tokenizer.Options` of the Go side, `Pairs` and `Words`."""
        return EncodedBatch(self, json.dumps(options or {}), pack(texts))

    def decode(self, ids: Sequence[Sequence[int]], skip_special: bool = False) -> list[str]:
        """The text of each list of ids."""
        return json.loads(errors.call(go.TokenizerDecode, self._handle, _dump(ids), skip_special))

    def join(self, tokens: Sequence[str]) -> str:
        """The text that tokens, as the vocabulary spells them, stand for."""
        return json.loads(errors.call(go.TokenizerJoin, self._handle, pack(tokens)))

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as the vocabulary spells it; None when it has no such token."""
        if "\0" in token:
            return self.vocab.get(token)
        index = errors.call(go.TokenizerTokenToID, self._handle, token)
        return None if index < 0 else index

    def id_to_token(self, index: int) -> str:
        """The spelling of a token in the vocabulary; IndexError where no token has that id."""
        return errors.call(go.TokenizerIDToToken, self._handle, index)

    @functools.cached_property
    def vocab(self) -> dict[str, int]:
        """Every token and its id, added ones too."""
        return json.loads(errors.call(go.TokenizerVocab, self._handle, True))

    @functools.cached_property
    def base_vocab(self) -> dict[str, int]:
        """Every token of the model and its id, without those added beside it."""
        return json.loads(errors.call(go.TokenizerVocab, self._handle, False))

    @functools.cached_property
    def spellings(self) -> list[str | None]:
        """Tokens by id; None where no token has that id."""
        return json.loads(errors.call(go.TokenizerSpellings, self._handle))

    def numbers(self, options: str, texts: str) -> np.ndarray:
        """What TokenizerEncode gives (see pybind/tokenizers.go)."""
        return arrays.take_numpy(errors.call(go.TokenizerEncode, self._handle, options, texts))

    def details(self, options: str, texts: str) -> tuple[np.ndarray, dict[int, str]]:
        """What TokenizerEncodeInDetail gives: numbers, and tokens that read other than their id says."""
        made = json.loads(errors.call(go.TokenizerEncodeInDetail, self._handle, options, texts))
        surface = {int(index): text for index, text in made["surface"].items()}
        return arrays.take_numpy(made["handle"]), surface

    def __deepcopy__(self, memo: dict) -> EngineTokenizer:
        return self

    def __reduce__(self) -> tuple:
        return self._recipe[0], self._recipe[1:]


def _remake(method: str, base: EngineTokenizer, *args: Any) -> EngineTokenizer:
    made = getattr(base, method)(*args)
    return made[0] if isinstance(made, tuple) else made


class EncodedBatch:
    """What encoding texts gave. Ids and masks are there; offsets, words and the spelling of tokens cost
    about as much again, and are made for the whole batch when first asked for.
    """

    __slots__ = (
        "_details",
        "_engine",
        "_head",
        "_numbers",
        "_options",
        "_surface",
        "_texts",
        "_total",
    )

    def __init__(self, engine: EngineTokenizer, options: str, texts: str) -> None:
        self._engine, self._options, self._texts = engine, options, texts
        self._numbers = engine.numbers(options, texts)
        self._head = int(self._numbers[0])
        self._total = (len(self._numbers) - self._head) // len(_LEAN)
        self._details: np.ndarray | None = None
        self._surface: dict[int, str] = {}

    @property
    def has_post_processor(self) -> bool:
        """Whether the tokenizer finishes encodings in any way."""
        return self._engine.info["post_processor"]

    def parts(self) -> list[list[tuple[int, int]]]:
        """For each encoding where it begins and ends in the columns, and then what overflowed of it."""
        head = self._numbers[1 : self._head].tolist()
        out, at, place = [], 1, 0
        for _ in range(head[0]):
            row = []
            for length in head[at + 1 : at + 1 + head[at]]:
                row.append((place, place + length))
                place += length
            at += 1 + head[at]
            out.append(row)
        return out

    def rows(self, name: str) -> list[list[int]]:
        """A column (ids, type_ids, attention_mask, special_tokens_mask) for each encoding."""
        return [self.column(name, *parts[0]) for parts in self.parts()]

    def column(self, name: str, begin: int, end: int) -> list[int]:
        """A stretch of a column."""
        which = _DETAILED.index(name)
        numbers = self._numbers if which < len(_LEAN) else self._detailed()
        at = self._head + which * self._total
        return numbers[at + begin : at + end].tolist()

    def tokens(self, begin: int, end: int) -> list[str]:
        """The spelling of a stretch of tokens."""
        self._detailed()
        known = self._engine.spellings
        return [
            self._surface[at] if at in self._surface else known[index] or ""
            for at, index in enumerate(self.column("ids", begin, end), begin)
        ]

    def _detailed(self) -> np.ndarray:
        if self._details is None:
            self._details, self._surface = self._engine.details(self._options, self._texts)
        return self._details


def pack(texts: Sequence[str]) -> str:
    """Texts as JSON; lone surrogates are no text."""
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"expected text to tokenize, got {type(text).__name__}: {text!r}")
    packed = json.dumps(list(texts), ensure_ascii=False)
    try:
        packed.encode()
    except UnicodeEncodeError:
        bad = next(text for text in texts if any("\ud800" <= c <= "\udfff" for c in text))
        raise TypeError(f"text with an unpaired surrogate cannot be tokenized: {bad!r}") from None
    return packed


def _dump(ids: Sequence[Sequence[int]]) -> str:
    rows = [list(map(operator.index, row)) for row in ids]
    least = min((min(row) for row in rows if row), default=0)
    if least < 0:
        raise OverflowError(f"{least} is no token id: ids are not negative")
    return json.dumps(rows)
