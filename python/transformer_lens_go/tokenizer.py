"""`model.tokenizer` where no Hugging Face tokenizer was passed in: the engine's tokenizer with the interface of
transformers' tokenizers. Knows nothing of models.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from ._engine.tokenizer import EngineTokenizer
from .array_types import Array
from .batch_encoding import BatchEncoding, assemble
from .chat import ChatTemplates
from .core_tokenizer import SIDES, STRATEGIES, Tokenizer
from .encoding import Encoding
from .given import brief
from .saving import TokenizerSaving
from .special_tokens import ROLES

__all__ = ["BatchEncoding", "ModelTokenizer"]

_UNLIMITED = int(1e30)  # what transformers says when a tokenizer knows no length
_LARGE = int(1e20)  # a length above it is none
_CLEANED = (
    *((f" {mark}", mark) for mark in ".?!,"),
    (" ' ", "'"),
    *((f" {ending}", ending) for ending in ("n't", "'m", "'s", "'ve", "'re")),
)


class ModelTokenizer(ChatTemplates, TokenizerSaving):
    """Exact tokenization in the engine, called as transformers' tokenizers are.

    `add_bos_token` says whether BOS is put before each text, `add_eos_token` whether EOS comes after it;
    writing either replaces what the tokenizer's file puts around texts. A model's tokenizer begins with BOS
    where there is one, as transformer_lens opens tokenizers. Special tokens can be set by name or id:
    `tokenizer.pad_token = tokenizer.eos_token`.
    """

    is_fast = True
    pad_token_type_id = 0

    def __init__(
        self, engine: EngineTokenizer, name_or_path: str = "", add_bos_token: bool | None = True
    ) -> None:
        info = engine.info
        self._core = Tokenizer(engine)
        self._core.no_truncation()
        self._core.no_padding()
        self._special: dict[str, str | None] = {r: info.get(f"{r}_token") for r in ROLES}
        for own in info.get("own_roles") or ():
            self._special[own["Role"].removesuffix("_token")] = own["Text"]
        self._extra_special = list(info.get("extra_special_tokens") or [])
        self.name_or_path = name_or_path or info.get("source") or ""
        self.padding_side: str = info.get("padding_side") or "right"
        self.truncation_side: str = info.get("truncation_side") or "right"
        self.model_max_length: int = info.get("model_max_length") or _UNLIMITED
        self.model_input_names: list[str] = info.get("input_names") or [
            "input_ids",
            "attention_mask",
        ]
        self.clean_up_tokenization_spaces: bool = info.get("clean_up", False)
        self.split_special_tokens: bool = info.get("split_special_tokens", False)
        self.chat_template: str | dict[str, str] | None = info.get("chat_templates") or info.get(
            "chat_template"
        )
        self._add_eos: bool = info["add_eos_token"]
        self._add_bos = bool(add_bos_token)
        if add_bos_token is not None:
            self._set_around()

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike[str], add_bos_token: bool | None = None
    ) -> ModelTokenizer:
        """The tokenizer of a model folder, a tokenizer.json or a GGUF file on this machine.

        Tokens are put around texts as the files say, unless `add_bos_token` is given.
        """
        return cls(EngineTokenizer.open(path), os.fspath(path), add_bos_token)

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The tokenizer underneath, with the interface of `tokenizers.Tokenizer`."""
        return self._core

    @property
    def add_bos_token(self) -> bool:
        """Whether BOS is put before each text."""
        return self._add_bos

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        object.__setattr__(self, "_add_bos", bool(value))
        self._set_around()

    @property
    def add_eos_token(self) -> bool:
        """Whether EOS is put after each text."""
        return self._add_eos

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        object.__setattr__(self, "_add_eos", bool(value))
        self._set_around()

    def _set_around(self) -> None:
        bos, eos = self._special["bos"], self._special["eos"]
        object.__setattr__(self, "_add_bos", self._add_bos and bos is not None)
        object.__setattr__(self, "_add_eos", self._add_eos and eos is not None)
        before, after = bos if self._add_bos else None, eos if self._add_eos else None
        self._core._engine = self._core._engine.with_template(before or "", after or "")

    # text to ids

    def __call__(
        self,
        text: str | Sequence[Any] | None = None,
        text_pair: str | Sequence[Any] | None = None,
        text_target: str | Sequence[Any] | None = None,
        text_pair_target: str | Sequence[Any] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
    ) -> BatchEncoding:
        """Tokenize a text or a list of them, each by itself or with its `text_pair`.

        `truncation` cuts to `max_length` (True or "longest_first", "only_first", "only_second"; the model's
        length where none is given), special tokens counted; `padding` fills up to the longest text (True or
        "longest") or to `max_length` ("max_length"), and then to a multiple. Lists of ids come back, of lists
        for a list of texts; `return_tensors` "pt" or "np" asks for arrays [text, token]. The other options ask
        for further columns by transformers' names.

        Returns:
            A BatchEncoding: a mapping with `input_ids`, `attention_mask` and so on, which are attributes too.

        Raises:
            ValueError: no text; an unknown padding, truncation or `return_tensors`; rows of unlike length as arrays.

        Example:
            >>> model.tokenizer(["The capital", "Paris"], padding=True, return_tensors="np")["input_ids"].tolist()
            [[1, 5, 6], [1, 10, 2]]
        """
        if text is None and text_target is None:
            raise ValueError("give a text to tokenize, or text_target=")
        limits = self._limits(
            padding, truncation, max_length, pad_to_multiple_of, stride, padding_side
        )
        columns = {
            "token_type_ids": self._wanted(return_token_type_ids, "token_type_ids"),
            "attention_mask": self._wanted(return_attention_mask, "attention_mask"),
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        split = self.split_special_tokens if split_special_tokens is None else split_special_tokens

        def made(texts: Any, pairs: Any) -> BatchEncoding:
            single, items = _inputs(texts, pairs, is_split_into_words)
            encodings = self._encodings(
                items,
                is_split_into_words,
                add_special_tokens,
                limits,
                split,
                return_overflowing_tokens,
            )
            if verbose and max_length is None:
                self._warn_of_length(encodings)
            return assemble(encodings, columns, single, return_overflowing_tokens, return_tensors)

        if text is None:
            return made(text_target, text_pair_target)
        out = made(text, text_pair)
        if text_target is not None:
            out["labels"] = made(text_target, text_pair_target)["input_ids"]
        return out

    def _wanted(self, asked: bool | None, name: str) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _limits(
        self,
        padding: bool | str,
        truncation: bool | str | None,
        max_length: int | None,
        multiple: int | None,
        stride: int,
        side: str | None,
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The truncation and the padding that the arguments of a call ask for."""
        if max_length is not None and padding is False and truncation is None:
            truncation = True
        fill = _strategy("padding", padding, "longest", ("longest", "max_length", "do_not_pad"))
        cut = _strategy("truncation", truncation, "longest_first", (*STRATEGIES, "do_not_truncate"))
        known = None if self.model_max_length > _LARGE else self.model_max_length
        length = known if max_length is None else max_length
        if fill == "max_length" and length is None:
            fill = None
        if cut and length is None:
            cut = None
        if fill and self.pad_token_id is None:
            raise ValueError(
                "padding needs a pad token and this tokenizer has none: set "
                "tokenizer.pad_token = tokenizer.eos_token"
            )
        if cut and fill and multiple and length is not None and length % multiple:
            raise ValueError(f"max_length={length} is no multiple of pad_to_multiple_of={multiple}")
        truncating = {
            "max_length": length,
            "stride": stride,
            "strategy": cut,
            "direction": _side("truncation_side", self.truncation_side),
        }
        padded = {
            "length": length if fill == "max_length" else None,
            "direction": _side("padding_side", self.padding_side if side is None else side),
            "pad_id": self.pad_token_id,
            "pad_token": self.pad_token,
            "pad_type_id": self.pad_token_type_id,
            "pad_to_multiple_of": multiple,
        }
        return truncating if cut else None, padded if fill else None

    def _encodings(
        self,
        items: list[Any],
        split_into_words: bool,
        special: bool,
        limits: tuple[dict[str, Any] | None, dict[str, Any] | None],
        split_special: bool,
        overflow: bool,
    ) -> list[Encoding]:
        core = copy.copy(self._core)  # calls from other threads must not see these limits
        core.encode_special_tokens = split_special
        truncating, padded = limits
        if truncating:
            core.enable_truncation(**truncating)
        if padded:
            core.enable_padding(**padded)
        return core.encode_batch_fast(
            items,
            is_pretokenized=split_into_words,
            add_special_tokens=special,
            keep_overflow=overflow,
        )

    def _warn_of_length(self, encodings: list[Encoding]) -> None:
        longest = max(map(len, encodings), default=0)
        if longest > self.model_max_length and not self.__dict__.get("_warned_of_length"):
            object.__setattr__(self, "_warned_of_length", True)
            warnings.warn(
                f"a text has {longest} tokens, and the model takes {self.model_max_length}: pass "
                "truncation=True, or the model will refuse them",
                stacklevel=4,
            )

    def encode(
        self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, **options: Any
    ) -> Any:
        """The ids of one text or pair; options as in calling the tokenizer."""
        return self(text, text_pair, add_special_tokens=add_special_tokens, **options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The tokens of a text as the vocabulary spells them."""
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many tokens are put around a text, or a pair of texts."""
        return self._core.num_special_tokens_to_add(pair)

    # ids to text

    def decode(
        self,
        token_ids: int | Sequence[Any] | Array,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> Any:
        """The text of one id or a list of ids; of each list when `token_ids` is two-dimensional.

        `clean_up_tokenization_spaces` (as the tokenizer's files say, by default not) takes the space before
        English punctuation out, except of models of byte pairs, where it would do harm.

        Example:
            >>> model.tokenizer.decode([5, 6, 7])
            'The capital of'
        """
        ids = _as_lists(token_ids)
        if isinstance(ids, (list, tuple)) and ids and isinstance(ids[0], (list, tuple)):
            return self._decode(list(ids), skip_special_tokens, clean_up_tokenization_spaces)
        ids = [ids] if isinstance(ids, int) else ids
        return self._decode([ids], skip_special_tokens, clean_up_tokenization_spaces)[0]

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """The text of each sequence; of a flat list of ids the text of them all, in a list of one."""
        sequences = _as_lists(sequences)
        if isinstance(sequences, (list, tuple)):
            sequences = [_as_lists(row) for row in sequences]
        found = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        return [found] if isinstance(found, str) else found

    def _decode(self, rows: list[Any], skip_special: bool, clean_up: bool | None) -> list[str]:
        texts = self._core.decode_batch(rows, skip_special_tokens=skip_special)
        clean_up = self.clean_up_tokenization_spaces if clean_up is None else clean_up
        if clean_up and self._core._engine.info["model"] != "BPE":
            texts = [self.clean_up_tokenization(text) for text in texts]
        return texts

    @staticmethod
    def clean_up_tokenization(text: str) -> str:
        """English text without spaces before punctuation and contractions."""
        for written, meant in _CLEANED:
            text = text.replace(written, meant)
        return text

    # vocabulary

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The spelling of one id, or of each of a list; None for an id that no token has."""
        ids = _as_lists(ids)
        if isinstance(ids, int):
            return self._core.id_to_token(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        return self._core._id_to_tokens([i for i in map(int, ids) if i not in skipped])

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """The id of one token as the vocabulary spells it, or of each of a list; unknown: the unk id."""
        return self._ids([tokens])[0] if isinstance(tokens, str) else self._ids(list(tokens))

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """The text that tokens spell."""
        return self._core._engine.join(list(tokens))

    def get_vocab(self) -> dict[str, int]:
        """Every token and its id, added tokens included."""
        return self._core.get_vocab()

    @property
    def vocab(self) -> dict[str, int]:
        """Every token and its id, added tokens included."""
        return self.get_vocab()

    @property
    def vocab_size(self) -> int:
        """Size of the base vocabulary, without added tokens."""
        return self._core.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self._core.get_vocab_size()

    def __bool__(self) -> bool:
        return True

    def __deepcopy__(self, memo: dict) -> ModelTokenizer:
        twin = copy.copy(self)
        for name in ("_special", "_extra_special", "model_input_names", "chat_template", "_core"):
            object.__setattr__(twin, name, copy.copy(self.__dict__[name]))
        return twin

    def __repr__(self) -> str:
        return (
            f"ModelTokenizer(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"padding_side={self.padding_side!r}, special_tokens={self.special_tokens_map})"
        )


def _strategy(name: str, asked: Any, default: str, known: tuple[str, ...]) -> str | None:
    """The strategy that an argument names, None for doing nothing; the last of those known is nothing too."""
    asked = getattr(asked, "value", asked)  # transformers' enums
    if asked is None or asked is False or asked == known[-1]:
        return None
    if asked is True:
        return default
    if asked not in known:
        raise ValueError(
            f"{name} must be True, False or one of {', '.join(known)}, got {brief(asked)}"
        )
    return asked


def _side(name: str, side: str) -> str:
    if side not in SIDES:
        raise ValueError(f"{name} must be 'left' or 'right', got {brief(side)}")
    return side


def _inputs(texts: Any, pairs: Any, split_into_words: bool) -> tuple[bool, list[Any]]:
    """Whether there is one text only, and the texts or pairs of them."""
    if not isinstance(texts, (str, list, tuple)) or not isinstance(
        pairs, (str, list, tuple, type(None))
    ):
        wrong = pairs if isinstance(texts, (str, list, tuple)) else texts
        raise ValueError(
            f"a text to tokenize must be a str, a list of str, or lists of words with is_split_into_words=True; "
            f"got {type(wrong).__name__}"
        )
    batched = isinstance(texts, (list, tuple))
    if split_into_words:
        batched = batched and bool(texts) and isinstance(texts[0], (list, tuple))
    if not batched:
        return True, [(texts, pairs)] if pairs else [texts]
    if isinstance(pairs, str):
        raise TypeError("text is a list: text_pair must be a list of as many texts")
    if pairs is None:
        return False, list(texts)
    if len(texts) != len(pairs):
        raise ValueError(f"{len(texts)} texts and {len(pairs)} for text_pair: expected as many")
    return False, list(zip(texts, pairs, strict=True))


def _as_lists(ids: Any) -> Any:
    return ids.tolist() if hasattr(ids, "tolist") else ids
