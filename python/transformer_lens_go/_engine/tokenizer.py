"""The engine's tokenizers: handles, texts in (`texts.py`), numbers out (`encoded.py`)."""

from __future__ import annotations

import functools
import json
import os
from array import array
from collections.abc import Sequence
from typing import Any

from ..given import brief
from . import errors
from .compiled import glue, go
from .encoded import Asked, EncodedBatch
from .texts import pack, unpack

_LONG = 1 << 17  # characters, from which on tokenizing looks for signals
_INT64 = 0x4000  # DLPack's type code | bits << 8

LIMITS = {
    "max_length": "MaxLength",
    "stride": "Stride",
    "strategy": "Strategy",
    "direction": "Side",
    "keep_overflow": "KeepOverflow",
    "length": "Length",
    "pad_to_multiple_of": "MultipleOf",
    "pad_id": "ID",
    "pad_type_id": "TypeID",
    "pad_token": "Token",
}
"""Go's names of what truncation and padding are made of."""


class EngineTokenizer:
    """One tokenizer of the engine, closed with its last reference. It never changes."""

    def __init__(self, owned: glue.Owned, recipe: tuple[Any, ...] | None = None) -> None:
        self._owned = owned
        self._handle: int = owned.id
        self.info: dict[str, Any] = json.loads(errors.call(go.TokenizerInfo, self._handle))
        # how to make it again, in another process too
        self._recipe = recipe or (EngineTokenizer.open, self.info["source"])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> EngineTokenizer:
        """The tokenizer of a model folder, a tokenizer.json or a GGUF file."""
        path = os.fspath(path)
        return cls(_own(go.TokenizerOpen, path, glue.Dispatcher(None)), (cls.open, path))

    @classmethod
    def parse(cls, text: str) -> EngineTokenizer:
        """The tokenizer that the text of a tokenizer.json describes."""
        if "\0" in text:
            raise ValueError("not a tokenizer.json: the text has a NUL character")
        return cls(_own(go.TokenizerParse, text, glue.Dispatcher(None)), (cls.parse, text))

    def with_tokens(self, tokens: Sequence[dict[str, Any]]) -> tuple[EngineTokenizer, int]:
        """A tokenizer with further added tokens, and the number of those that are new or changed."""
        owned = _own(go.TokenizerWithTokens, self._handle, json.dumps(tokens))
        made = EngineTokenizer(owned, (_remake, "with_tokens", self, list(tokens)))
        return made, made.info["newly_added"]

    def with_template(self, bos: str, eos: str) -> EngineTokenizer:
        """A tokenizer that puts `bos` before each text and `eos` after it; "" for none."""
        for token in (bos, eos):
            if "\0" in token:
                raise ValueError(
                    f"{brief(token)} has a NUL character and is no token to put around text"
                )
        owned = _own(go.TokenizerWithTemplate, self._handle, bos, eos)
        return EngineTokenizer(owned, (_remake, "with_template", self, bos, eos))

    def to_json(self, truncation: dict[str, Any] | None, padding: dict[str, Any] | None) -> str:
        """The text of a tokenizer.json, with a truncation and a padding by Python's names, None for none."""
        if padding is not None and padding["length"] == 0:
            padding = None  # fills nothing up; no length at all would mean the longest text's
        limits = {
            "Truncation": truncation and {LIMITS[key]: value for key, value in truncation.items()},
            "Padding": padding and {LIMITS[key]: value or 0 for key, value in padding.items()},
        }
        return errors.call(go.TokenizerJSON, self._handle, json.dumps(limits))

    def encode(
        self,
        texts: Sequence[str],
        options: str = "{}",
        words: Sequence[int] | None = None,
        detailed: bool = False,
    ) -> EncodedBatch:
        """Encode texts. `options` are JSON of `tokenizer.Options` of the Go side and `Pairs`; `words` says how
        many of `texts` make one text.
        """
        counts = "-" if words is None else ",".join(map(str, words))
        return EncodedBatch(self, (options, counts, pack(texts)), detailed)

    def numbers(self, asked: Asked, detailed: bool) -> memoryview:
        """What TokenizerEncode gives (see pybind/encodings.go)."""
        looks = len(asked[2]) > _LONG
        callback = glue.Dispatcher(None) if looks else None
        made = glue.Owned(None, go.TokenizerEncode, self._handle, *asked, detailed, looks, callback)
        with made:
            return memoryview(glue.Tensor(made))

    def decode(self, ids: Sequence[Sequence[int]], skip_special: bool = False) -> list[str]:
        """The text of each list of ids."""
        if len(ids) == 1:
            flat = array("q", ids[0])
            lengths = str(len(flat))
        else:
            flat = array("q", [index for row in ids for index in row])
            lengths = ",".join([str(len(row)) for row in ids])
        address, count = flat.buffer_info()
        with glue.Lent() as lent:
            handle = lent.lend(flat, address, _INT64, (count,))
            return unpack(
                errors.call(go.TokenizerDecode, self._handle, handle, lengths, skip_special)
            )

    def join(self, tokens: Sequence[str]) -> str:
        """The text that tokens, as the vocabulary spells them, stand for."""
        return unpack(errors.call(go.TokenizerJoin, self._handle, pack(tokens)))[0]

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

    def __deepcopy__(self, memo: dict) -> EngineTokenizer:
        return self

    def __reduce__(self) -> tuple:
        return self._recipe[0], self._recipe[1:]


def _own(make: Any, *args: Any) -> glue.Owned:
    return glue.Owned(go.TokenizerClose, make, *args)


def _remake(method: str, base: EngineTokenizer, *args: Any) -> EngineTokenizer:
    made = getattr(base, method)(*args)
    return made[0] if isinstance(made, tuple) else made
