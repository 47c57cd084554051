"""What of `Tokenizer` has to do with its file: writing a tokenizer.json, pickles and copies, its components.

A base of `core_tokenizer.Tokenizer`; it knows the engine's tokenizer, and truncation and padding as that keeps them.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any, Self

from ._engine.tokenizer import EngineTokenizer

NORMALIZER, PRE_TOKENIZER, MODEL = "normalizer", "pre_tokenizer", "model"
POST_PROCESSOR, DECODER = "post_processor", "decoder"


class Component:
    """A component of a tokenizer as its tokenizer.json has it: to look at, and to put into another tokenizer.

    It does nothing by itself: the whole tokenizer encodes and decodes.
    """

    def __init__(self, role: str, described: str) -> None:
        self._role, self._described = role, described

    @property
    def type(self) -> str:
        """Its kind, by the name that tokenizer.json gives it."""
        return json.loads(self._described)["type"]

    def __getstate__(self) -> bytes:
        return self._described.encode()

    def __reduce__(self) -> tuple:
        return Component, (self._role, self._described)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and self._described == other._described

    def __hash__(self) -> int:
        return hash(self._described)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python and notebooks ask whether these are there
            raise AttributeError(name)
        raise NotImplementedError(
            f"a tokenizer's {self._role} cannot be used by itself: {name!r} is not supported. Its options are in "
            f"Tokenizer.to_str(); encode and decode by the tokenizer"
        )

    def __repr__(self) -> str:
        return f"<{self._role} {self._described:.200}>"


class TokenizerFile:
    """Writing, copying and the components of a tokenizer."""

    _engine: EngineTokenizer
    _truncation: dict[str, Any] | None
    _padding: dict[str, Any] | None
    encode_special_tokens: bool

    def to_str(self, pretty: bool = False) -> str:
        """The text of a tokenizer.json: tokens added since and the truncation and padding in force included."""
        text = self._engine.to_json(self._truncation, self._padding)
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2) if pretty else text

    def save(self, path: str | os.PathLike[str], pretty: bool = True) -> None:
        """Write a tokenizer.json."""
        Path(path).write_text(self.to_str(pretty), encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls, identifier: str, revision: str = "main", token: str | None = None
    ) -> Self:
        """The tokenizer of a repository on the Hugging Face hub: of the local hub cache, else fetched.

        `identifier` may be a path too. FileNotFoundError where it is not there and must not be fetched.
        """
        from .model_bridge import hub  # which imports what is built on this

        return cls(EngineTokenizer.open(hub.find_tokenizer(identifier, revision, token)))  # type: ignore[call-arg]

    def __getstate__(self) -> bytes:
        return self.to_str().encode()

    def __setstate__(self, state: bytes) -> None:
        made = type(self).from_str(state.decode())  # type: ignore[attr-defined]
        self.__dict__.update(made.__dict__)

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict) -> Self:
        twin = copy.copy(self)  # the engine's tokenizer never changes
        twin._truncation, twin._padding = copy.deepcopy((self._truncation, self._padding), memo)
        return twin

    # components

    def _component(self, role: str) -> Any:
        described = json.loads(self._engine.to_json(None, None))[role]
        if described is None:
            return None
        return Component(role, json.dumps(described, ensure_ascii=False))

    def _exchange(self, role: str, value: Any) -> None:
        """Put a component into the place of another: a `Component`, one of Hugging Face's, or None."""
        described = json.loads(self._engine.to_json(None, None))
        described[role] = None if value is None else _described(role, value)
        self._engine = EngineTokenizer.parse(json.dumps(described, ensure_ascii=False))

    normalizer = property(
        lambda self: self._component(NORMALIZER),
        lambda self, value: self._exchange(NORMALIZER, value),
        doc="What is done to text before it is cut, None for nothing; can be exchanged.",
    )
    pre_tokenizer = property(
        lambda self: self._component(PRE_TOKENIZER),
        lambda self, value: self._exchange(PRE_TOKENIZER, value),
        doc="What cuts text into words, None for nothing; can be exchanged.",
    )
    model = property(
        lambda self: self._component(MODEL),
        lambda self, value: self._exchange(MODEL, value),
        doc="What cuts words into tokens; can be exchanged.",
    )
    post_processor = property(
        lambda self: self._component(POST_PROCESSOR),
        lambda self, value: self._exchange(POST_PROCESSOR, value),
        doc="What puts tokens around texts, None for nothing; can be exchanged.",
    )
    decoder = property(
        lambda self: self._component(DECODER),
        lambda self, value: self._exchange(DECODER, value),
        doc="What makes text of tokens, None for joining them with spaces; can be exchanged.",
    )

    # what only Hugging Face's tokenizers do

    def post_process(self, encoding: Any, pair: Any = None, add_special_tokens: bool = True) -> Any:
        """Not supported: texts are finished where they are encoded."""
        raise NotImplementedError(
            "post_process is not supported: encode(text, pair, add_special_tokens=True) puts the special tokens "
            "around and cuts and pads, in one go"
        )

    def train(self, files: Any, trainer: Any = None) -> None:
        """Not supported."""
        raise NotImplementedError(_TRAINING)

    def train_from_iterator(self, iterator: Any, trainer: Any = None, length: Any = None) -> None:
        """Not supported."""
        raise NotImplementedError(_TRAINING)


_TRAINING = (
    "tokenizers are not trained here: train with the package tokenizers, and read what it saves by "
    "Tokenizer.from_file"
)


def _described(role: str, value: Any) -> Any:
    """A component as tokenizer.json has it."""
    state = value.__getstate__() if hasattr(value, "__getstate__") else None
    if not isinstance(state, bytes):
        raise TypeError(
            f"expected a {role} as the package tokenizers makes it, one of another Tokenizer, or None; got "
            f"{type(value).__name__}"
        )
    return json.loads(state)
