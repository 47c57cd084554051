"""`Tokenizer`: text to tokens and back as `tokenizers.Tokenizer` does it, by the engine. Needs no model.

The model's own tokenizer (`tokenizer.py`), which has the interface of transformers' tokenizers, is built on it.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ._engine.tokenizer import LIMITS, EngineTokenizer
from .async_encoding import AsyncEncoding
from .encoding import Encoding
from .given import brief
from .tokenizer_json import TokenizerFile

__all__ = ["AddedToken", "Tokenizer"]

STRATEGIES = ("longest_first", "only_first", "only_second")
SIDES = ("left", "right")


@dataclass
class AddedToken:
    """A token that is matched whole in text, before any model sees it.

    `normalized`: looked for in normalized text (the default unless it is special). `lstrip`, `rstrip`: takes
    the white space beside it. `single_word`: only where no word character touches it.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False

    def __post_init__(self) -> None:
        if self.normalized is None:
            self.normalized = not self.special

    def __str__(self) -> str:
        return self.content


class _How(NamedTuple):
    """How texts are given and encoded."""

    pretokenized: bool
    special: bool
    detailed: bool = True
    overflow: bool = True


class Tokenizer(TokenizerFile, AsyncEncoding):
    """A tokenizer that stands alone, with the interface of `tokenizers.Tokenizer`.

    Made by `from_file`, `from_str` or `from_buffer`. Truncation and padding that the file stores are in force.
    Texts with unpaired surrogates and whatever is no text are a TypeError.
    """

    def __init__(self, engine: EngineTokenizer) -> None:
        if not isinstance(engine, EngineTokenizer):
            raise TypeError("a Tokenizer is made by Tokenizer.from_file or Tokenizer.from_str")
        self._engine = engine
        self._truncation: dict[str, Any] | None = _stored_truncation(engine.info["truncation"])
        self._padding: dict[str, Any] | None = _stored_padding(engine.info["padding"])
        self.encode_special_tokens: bool = engine.info.get("split_special_tokens", False)
        """Whether special tokens that are written out in a text are encoded like other text."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a tokenizer.json; also the tokenizer of a model folder or of a GGUF file.

        FileNotFoundError where there is none, NotImplementedError for a component that is not known, by name,
        and ValueError for a file that makes no sense.

        Example:
            >>> tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
            >>> tokenizer.encode("The capital").ids
            [5, 6]
        """
        return cls(EngineTokenizer.open(path))

    @classmethod
    def from_str(cls, json: str) -> Tokenizer:
        """Read the text of a tokenizer.json; errors as for `from_file`."""
        if not isinstance(json, str):
            raise TypeError(
                f"from_str takes the text of a tokenizer.json, got {type(json).__name__}"
            )
        return cls(EngineTokenizer.parse(json))

    @classmethod
    def from_buffer(cls, buffer: bytes) -> Tokenizer:
        """Read the bytes of a tokenizer.json; errors as for `from_file`."""
        return cls.from_str(bytes(buffer).decode("utf-8"))

    # text to tokens

    def encode(
        self,
        sequence: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encode a text, or a pair of texts as one. With `is_pretokenized` a text is a list of words.

        Args:
            sequence, pair: texts; with `is_pretokenized` lists of words.
            add_special_tokens: put around them what the tokenizer's file says.

        Returns:
            An Encoding: `ids`, `tokens`, `offsets` [token] and more.

        Raises:
            TypeError: what is no text.

        Example:
            >>> encoding = tokenizer.encode("The capital of France")
            >>> encoding.tokens, encoding.offsets[1]
            (['The', 'capital', 'of', 'France'], (4, 11))
        """
        item = sequence if pair is None else (sequence, pair)
        how = _How(is_pretokenized, add_special_tokens)
        return self._encode([item], [pair is not None], how)[0]

    def encode_batch(
        self,
        input: Sequence[Any],
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> list[Encoding]:
        """Encode texts and pairs of texts (tuples), on all processors; padded to one length where padding is
        on.

        Example:
            >>> [encoding.ids for encoding in tokenizer.encode_batch(["The capital", "Paris"])]
            [[5, 6], [10]]
        """
        items, pairs = _batch(input, is_pretokenized)
        return self._encode(items, pairs, _How(is_pretokenized, add_special_tokens))

    def encode_batch_fast(
        self,
        input: Sequence[Any],
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
        *,
        keep_overflow: bool = True,
    ) -> list[Encoding]:
        """As `encode_batch`, for ids and masks: offsets, words and tokens cost as much again when they are asked
        for. Without `keep_overflow` what truncation cuts off is not kept.
        """
        items, pairs = _batch(input, is_pretokenized)
        how = _How(is_pretokenized, add_special_tokens, detailed=False, overflow=keep_overflow)
        return self._encode(items, pairs, how)

    def _encode(self, items: list[Any], pairs: list[bool], how: _How) -> list[Encoding]:
        """Encode items, each kind (texts, pairs) by itself."""
        kinds, padding = set(pairs), self._padding
        if len(kinds) < 2:
            return self._encode_kind(items, kinds == {True}, padding, how)
        while True:
            out: list[Any] = [None] * len(items)
            for kind in kinds:
                places = [i for i, is_pair in enumerate(pairs) if is_pair is kind]
                chosen = [items[i] for i in places]
                made = self._encode_kind(chosen, kind, padding, how)
                for i, encoding in zip(places, made, strict=True):
                    out[i] = encoding
            if padding is None or padding["length"] is not None:
                return out
            padding = {**padding, "length": max(map(len, out))}  # the longest of both kinds

    def _encode_kind(
        self, items: list[Any], pair: bool, padding: dict[str, Any] | None, how: _How
    ) -> list[Encoding]:
        texts = [text for item in items for text in item] if pair else items
        words = None
        if how.pretokenized:
            texts = [_words(text) for text in texts]
            words = [len(text) for text in texts]
            texts = [word for text in texts for word in text]
        split = bool(self.encode_special_tokens)
        cut = None
        if self._truncation is not None:
            cut = (*self._truncation.items(), ("keep_overflow", how.overflow))
        fill = None if padding is None else tuple(padding.items())
        options = _options(bool(how.special), pair, split, cut, fill)
        batch = self._engine.encode(texts, options, words, how.detailed)
        return [Encoding(batch, parts, 2 if pair else 1) for parts in batch.parts()]

    # tokens to text

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ids; those that no token has are left out, negative ones an OverflowError.

        Example:
            >>> tokenizer.decode([5, 6, 7])
            'The capital of'
        """
        return self._engine.decode([_sequence(ids)], skip_special_tokens)[0]

    def decode_batch(
        self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = True
    ) -> list[str]:
        """The text of each list of ids, on all processors."""
        return self._engine.decode([_sequence(ids) for ids in sequences], skip_special_tokens)

    # vocabulary

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as the vocabulary spells it."""
        return self._engine.token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """The spelling of the token of an id."""
        if id < 0:
            raise OverflowError(f"{id} is no token id: ids are not negative")
        try:
            return self._engine.id_to_token(id)
        except IndexError:
            return None

    def _id_to_tokens(self, ids: list[int]) -> list[str | None]:
        """`id_to_token` of each, without a question to the engine for each."""
        if ids and min(ids) < 0:
            raise OverflowError(f"{min(ids)} is no token id: ids are not negative")
        known = self._engine.spellings
        return [known[i] if i < len(known) else None for i in ids]

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """Every token and its id; a new dict."""
        return dict(self._engine.vocab if with_added_tokens else self._engine.base_vocab)

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """The number of tokens."""
        return self._engine.info["size" if with_added_tokens else "vocab_size"]

    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        out = {}
        for described in self._engine.info["added_tokens"] or []:
            fields: dict[str, Any] = dict(described)
            index = fields.pop("id")
            out[index] = AddedToken(**fields)
        return out

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """How many tokens are put around a text, or around a pair of texts."""
        return self._engine.info["special_count_pair" if is_pair else "special_count"]

    def add_tokens(self, tokens: Sequence[str | AddedToken]) -> int:
        """Have further tokens matched whole in text; the number of those that were new or changed."""
        return self._add(
            [token if _is_added(token) else AddedToken(_text(token)) for token in tokens]
        )

    def add_special_tokens(self, tokens: Sequence[str | AddedToken]) -> int:
        """As `add_tokens`, and decoding can leave them out."""
        made = []
        for token in tokens:
            if _is_added(token):
                made.append(AddedToken(**{**_fields(token), "special": True}))
            else:
                made.append(AddedToken(_text(token), special=True))
        return self._add(made)

    def _add(self, tokens: list[Any]) -> int:
        self._engine, count = self._engine.with_tokens([_fields(token) for token in tokens])
        return count

    # truncation and padding

    @property
    def truncation(self) -> dict[str, Any] | None:
        """The truncation that is on: max_length, stride, strategy, direction."""
        return None if self._truncation is None else dict(self._truncation)

    @property
    def padding(self) -> dict[str, Any] | None:
        """The padding that is on: length, pad_to_multiple_of, pad_id, pad_token, pad_type_id, direction."""
        return None if self._padding is None else dict(self._padding)

    def enable_truncation(
        self,
        max_length: int,
        stride: int = 0,
        strategy: str = "longest_first",
        direction: str = "right",
    ) -> None:
        """Cut encodings to `max_length` tokens, those that are put around texts included.

        Parts that are cut off share `stride` tokens with the part before. `strategy` says which text of a pair
        is cut: the longer, the first or the second.
        """
        _choose("strategy", strategy, STRATEGIES)
        _choose("direction", direction, SIDES)
        _unsigned("max_length", max_length)
        _unsigned("stride", stride)
        room = max_length - self.num_special_tokens_to_add(False)
        if max_length and stride > max(room, 0):
            raise ValueError(
                f"stride {stride} is more than the {room} tokens that max_length={max_length} leaves of a text"
            )
        self._truncation = {
            "max_length": max_length,
            "stride": stride,
            "strategy": strategy,
            "direction": direction,
        }

    def no_truncation(self) -> None:
        """Cut nothing."""
        self._truncation = None

    def enable_padding(
        self,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",
        length: int | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        """Fill encodings up to `length` tokens, or to the longest of the batch where it is None."""
        _choose("direction", direction, SIDES)
        for name, value in (("pad_id", pad_id), ("pad_type_id", pad_type_id)):
            _unsigned(name, value)
        for name, value in (("length", length), ("pad_to_multiple_of", pad_to_multiple_of)):
            if value is not None:
                _unsigned(name, value)
        self._padding = {
            "length": length,
            "pad_to_multiple_of": pad_to_multiple_of,
            "pad_id": pad_id,
            "pad_token": pad_token,
            "pad_type_id": pad_type_id,
            "direction": direction,
        }

    def no_padding(self) -> None:
        """Fill nothing up."""
        self._padding = None

    def __repr__(self) -> str:
        info = self._engine.info
        return f"Tokenizer(model={info['model']}, vocab_size={info['size']}, source={info['source']!r})"


@functools.lru_cache(maxsize=64)
def _options(special: bool, pairs: bool, split: bool, cut: tuple | None, fill: tuple | None) -> str:
    """The engine's options as JSON; `cut` and `fill` are the items of a truncation and a padding."""
    options: dict[str, Any] = {"AddSpecial": special, "Pairs": pairs, "SplitSpecial": split}
    if cut is not None:
        options["Truncation"] = {LIMITS[key]: value for key, value in cut}
    if fill is not None and dict(fill)["length"] != 0:
        options["Padding"] = {LIMITS[key]: value or 0 for key, value in fill}
        options["Padding"]["Token"] = dict(fill)["pad_token"]
    return json.dumps(options)


def _batch(items: Sequence[Any], pretokenized: bool) -> tuple[list[Any], list[bool]]:
    """The items of a batch, and which of them are pairs."""
    if isinstance(items, (str, bytes)):
        raise TypeError("encode_batch takes a list of texts, got one text: use encode")
    items = list(items)
    return items, [not isinstance(item, str) and _is_pair(item, pretokenized) for item in items]


def _stored_truncation(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    return {
        "max_length": stored["MaxLength"],
        "stride": stored["Stride"],
        "strategy": stored["Strategy"],
        "direction": stored["Side"],
    }


def _stored_padding(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    return {
        "length": stored["Length"] or None,
        "pad_to_multiple_of": stored["MultipleOf"] or None,
        "pad_id": stored["ID"],
        "pad_token": stored["Token"],
        "pad_type_id": stored["TypeID"],
        "direction": stored["Side"],
    }


def _is_pair(item: Any, pretokenized: bool) -> bool:
    """Whether an item of a batch is two texts: of words, two lists of them."""
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        if isinstance(item, (tuple, list)) and not pretokenized:
            raise TypeError(
                f"expected a text or a pair of texts, got {len(item)} items: {item!r:.80}"
            )
        return False
    return not pretokenized or all(isinstance(part, (tuple, list)) for part in item)


def _words(text: Any) -> list[str]:
    if isinstance(text, str) or not isinstance(text, Iterable):
        raise TypeError(f"is_pretokenized=True takes a list of words for a text, got {text!r:.80}")
    return list(text)


def _sequence(ids: Any) -> Any:
    if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__"):
        raise TypeError(f"expected a list of token ids, got {type(ids).__name__}")
    return ids


def _is_added(token: Any) -> bool:
    return not isinstance(token, str) and hasattr(token, "content")  # tokenizers' own class too


def _text(token: Any) -> str:
    if not isinstance(token, str):
        raise TypeError(
            f"expected a token as a string or an AddedToken, got {type(token).__name__}"
        )
    return token


def _fields(token: Any) -> dict[str, Any]:
    if isinstance(token, AddedToken):
        return asdict(token)
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    return {name: getattr(token, name) for name in names}


def _choose(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"unknown {name} {brief(value)}: expected {' or '.join(map(repr, choices))}"
        )


def _unsigned(name: str, value: Any) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if value < 0:
        raise OverflowError(f"{name}={value}: expected no negative number")
