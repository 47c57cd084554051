"""Text and tokens: the part of the model's interface that only needs its tokenizer and
configuration.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .._engine import arrays
from ..array_types import Array, Tensor
from ..given import brief
from ..hook_names import outside_of_package
from ..tokenizer import ModelTokenizer
from ..utilities.tensors import is_torch_tensor, to_numpy
from ..utilities.tokenize_utils import get_input_with_manually_prepended_bos
from .padding import padded, told_mask
from .tokenizer_setup import configure_tokenizer, vocabulary_size


class TextMixin:
    """Text to ids and back. BOS is put before a text unless `prepend_bos` or the configuration says
    otherwise: pass `prepend_bos=False` for a text that is only a part of a prompt. Most tokenizers
    read " word" and "word" as different tokens.
    """

    cfg: Any
    _tokenizer: Any = None
    _tokenizer_error: str | None = None  # why the one beside the weights could not be read

    @property
    def tokenizer(self) -> ModelTokenizer | Any:
        """The tokenizer: the engine's own, or the one passed in; None when there is none."""
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, value: Any) -> None:
        self.set_tokenizer(value)

    def set_tokenizer(self, tokenizer: Any, default_padding_side: str | None = None) -> None:
        """Use another tokenizer (None: none), and note in `cfg` how it treats BOS and EOS.

        A later one also sets `cfg.d_vocab` and `cfg.d_vocab_out` to its size, as in
        transformer_lens.
        """
        if tokenizer is not None:
            tokenizer = configure_tokenizer(tokenizer, self.cfg, default_padding_side)
            replaces = self._tokenizer is not None
            if replaces or self.cfg.d_vocab == -1:
                self.cfg.d_vocab = vocabulary_size(tokenizer)
            if replaces or self.cfg.d_vocab_out == -1:
                self.cfg.d_vocab_out = self.cfg.d_vocab
        self._tokenizer = tokenizer

    def _need_tokenizer(self, what: str) -> Any:
        if self._tokenizer is None:
            found = (
                f"the one beside the weights cannot be read ({self._tokenizer_error})"
                if self._tokenizer_error
                else "none was found beside the weights"
            )
            raise AssertionError(
                f"Cannot use {what} without a tokenizer: {found}. Pass tokenizer=... to boot_transformers, "
                "set model.tokenizer, or use token ids"
            )
        return self._tokenizer

    def to_tokens(
        self,
        input: str | list[str],
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
        move_to_device: bool = True,
        truncate: bool = True,
    ) -> Tensor:
        """The ids of a text or of several, padded to one length: int64 [batch, pos].

        Args:
            input: a text, or several.
            prepend_bos: whether BOS stands before each; None means `cfg.default_prepend_bos`.
            padding_side: None means the tokenizer's.
            move_to_device: put them where the model is.
            truncate: cut to `cfg.n_ctx`.

        Raises:
            AssertionError: the model has no tokenizer.
            IndexError: an empty list.

        Example:
            >>> model.to_tokens("The capital of France is").tolist()  # BOS, and a token a word
            [[1, 5, 6, 7, 8, 9]]
            >>> tuple(model.to_tokens(["Paris", "The capital of"], prepend_bos=False).shape)
            (2, 3)
        """
        ids, _ = self._tokenized(input, prepend_bos, padding_side, truncate)
        tokens = arrays.from_numpy(ids)
        return tokens.to(self.cfg.device) if move_to_device and is_torch_tensor(tokens) else tokens

    def _tokenized(
        self,
        input: str | list[str],
        prepend_bos: bool | None,
        padding_side: str | None,
        truncate: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ids of texts as `to_tokens` gives them, and 1 where they are text, 0 where they are
        padding: int64 [batch, pos] both.

        The tokenizer says which is which: ids do not, where a text has the pad token in it.
        """
        tokenizer = self._need_tokenizer("to_tokens")
        if prepend_bos is None:
            prepend_bos = self.cfg.default_prepend_bos
        elif not isinstance(prepend_bos, (bool, np.bool_)):
            raise TypeError(f"prepend_bos must be True, False or None, got {brief(prepend_bos)}")
        side: str = padding_side or getattr(tokenizer, "padding_side", "right")
        texts: Any = [input] if isinstance(input, str) else list(input)
        if not texts:
            raise IndexError("to_tokens needs at least one text, got an empty list")
        if prepend_bos and not self.cfg.tokenizer_prepends_bos and _is_one_token(tokenizer):
            texts = get_input_with_manually_prepended_bos(tokenizer.bos_token, texts)
        encoded = tokenizer(
            texts,
            return_tensors="np",
            padding=True,
            padding_side=side,
            truncation=truncate,
            max_length=self.cfg.n_ctx if truncate else None,
            return_attention_mask=True,
        )
        ids = np.ascontiguousarray(encoded["input_ids"], dtype=np.int64)
        real = told_mask(encoded, ids, tokenizer, texts, side)
        if truncate and ids.shape[-1] >= self.cfg.n_ctx:
            self._warn_of_cut(texts, real)
        drops_bos = not prepend_bos and self.cfg.tokenizer_prepends_bos
        eos = tokenizer.eos_token_id if self.cfg.tokenizer_appends_eos else None
        if drops_bos or eos is not None:
            rows = [row[seen != 0] for row, seen in zip(ids, real, strict=True)]
            if eos is not None:
                rows = [_without_eos(row, eos) for row in rows]
            if drops_bos:
                rows = _without_bos(rows, tokenizer)
            ids, real = padded(rows, tokenizer.pad_token_id, side)
        return ids, real

    def _warn_of_cut(self, texts: list[str], real: np.ndarray) -> None:
        """Say so where texts were longer than the context: a text that fills it may just fit."""
        full = np.flatnonzero(real.sum(axis=-1) >= self.cfg.n_ctx)
        lengths = [len(self._tokenizer(texts[i])["input_ids"]) for i in full]
        cut = [length for length in lengths if length > self.cfg.n_ctx]
        if not cut:
            return
        which = "a text" if len(texts) == 1 else f"{len(cut)} of {len(texts)} texts"
        warnings.warn(
            f"{which} of {max(cut)} tokens was cut to the {self.cfg.n_ctx} of the model's context (n_ctx); pass "
            "shorter texts, or to_tokens(..., truncate=False) to get all of the ids",
            UserWarning,
            stacklevel=outside_of_package(),
        )

    def to_string(self, tokens: Array | int | Sequence[Any]) -> str | list[str]:
        """The text of ids [pos] (or of a single id), or the texts of ids [batch, pos].

        Raises:
            AssertionError: the model has no tokenizer.
            ValueError: ids with three axes.

        Example:
            >>> model.to_string([5, 6, 7])
            'The capital of'
        """
        tokenizer = self._need_tokenizer("to_string")
        ids = to_numpy(tokens)
        if ids.ndim > 2:
            raise ValueError(
                f"Invalid shape passed in: {ids.shape}; to_string takes [pos] or [batch, pos]"
            )
        decode = tokenizer.batch_decode if ids.ndim == 2 else tokenizer.decode
        return decode(ids.tolist(), clean_up_tokenization_spaces=False)

    def to_str_tokens(
        self,
        input: str | Array | Sequence[Any],
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
    ) -> list[Any]:
        """Each token as a string: of a text, of ids [pos] or [1, pos], or of each of a list of
        those.

        Args:
            input: a text, an array of ids, or a list of those.
            prepend_bos, padding_side: see `to_tokens`; for texts.

        Raises:
            AssertionError: the model has no tokenizer; ids of more than one row.
            ValueError: an input of another kind.

        Example:
            >>> model.to_str_tokens("The capital of")
            ['<s>', 'The', 'capital', 'of']
        """
        tokenizer = self._need_tokenizer("to_str_tokens")
        if isinstance(input, list):
            return [self.to_str_tokens(item, prepend_bos, padding_side) for item in input]
        if isinstance(input, str):
            ids = to_numpy(self.to_tokens(input, prepend_bos, padding_side))[0]
        elif isinstance(input, np.ndarray) or is_torch_tensor(input):
            ids = np.atleast_1d(to_numpy(input).squeeze())
            if ids.ndim != 1:
                raise AssertionError(
                    f"Invalid tokens input to to_str_tokens, has shape: {tuple(ids.shape)}; "
                    "expected "
                    "one row of ids"
                )
        else:
            raise ValueError(
                f"Invalid input type to to_str_tokens: {type(input)}; expected text, an array of "
                "ids, "
                "or a list of those"
            )
        if ids.size == 0:
            return [""]  # what transformers makes of no tokens
        rows = [[index] for index in ids.tolist()]
        return tokenizer.batch_decode(rows, clean_up_tokenization_spaces=False)

    def to_single_token(self, string: str) -> int:
        """The id of a string that is exactly one token.

        Raises:
            AssertionError: it is none, or several; the error says which.

        Example:
            >>> model.to_single_token("Paris")
            10
        """
        ids = to_numpy(self.to_tokens(string, prepend_bos=False)).reshape(-1)
        if ids.size != 1:
            raise AssertionError(
                f"Input string: {brief(string)} is not a single token! It is {ids.size}: "
                f"{self.to_str_tokens(string, prepend_bos=False)}"
            )
        return int(ids[0])

    def to_single_str_token(self, int_token: int) -> str:
        """The string of one id.

        Raises:
            AssertionError: no int.

        Example:
            >>> model.to_single_str_token(10)
            'Paris'
        """
        if not isinstance(int_token, (int, np.integer)):
            raise AssertionError(f"expected one id as an int, got {type(int_token)}")
        return self.to_str_tokens(np.array([int_token]))[0]

    def get_token_position(
        self,
        single_token: str | int,
        input: str | Array,
        mode: str = "first",
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
    ) -> int:
        """Where a token (id, or string of one token) stands in a text or in ids [pos] or [1, pos].

        `mode` is "first" or "last" where there are several; AssertionError where there is none.

        Example:
            >>> model.get_token_position("France", "The capital of France is")
            4
        """
        if mode not in ("first", "last"):
            raise ValueError(f"mode must be 'first' or 'last', not {mode}")
        if isinstance(input, str):
            input = self.to_tokens(input, prepend_bos=prepend_bos, padding_side=padding_side)
        ids = to_numpy(input)
        if ids.ndim == 2:
            if ids.shape[0] != 1:
                raise AssertionError(
                    f"If tokens are rank two, they must have shape [1, seq_len], not {ids.shape}"
                )
            ids = ids[0]
        if isinstance(single_token, str):
            single_token = self.to_single_token(single_token)
        places = np.flatnonzero(ids == int(single_token))
        if places.size == 0:
            raise AssertionError("The token does not occur in the prompt")
        return int(places[0] if mode == "first" else places[-1])


def _is_one_token(tokenizer: Any) -> bool:
    """Whether BOS, written as text, reads as one token; a fallback BOS may not."""
    bos = tokenizer.bos_token
    return bos is not None and len(tokenizer(bos, add_special_tokens=False)["input_ids"]) == 1


def _without_eos(row: np.ndarray, eos: int) -> np.ndarray:
    """A text's ids without EOS behind them; at least one is left."""
    while row.size > 1 and row[-1] == eos:
        row = row[:-1]
    return row


def _without_bos(rows: list[np.ndarray], tokenizer: Any) -> list[np.ndarray]:
    """Texts' ids without the BOS that the tokenizer put in front of each."""
    if tokenizer.bos_token_id is None:
        return rows
    starts = (tokenizer.bos_token_id, getattr(tokenizer, "cls_token_id", None))
    without = [index for index, row in enumerate(rows) if not row.size or row[0] not in starts]
    if without:
        raise ValueError(
            f"Cannot remove BOS: {len(without)} row(s), text {without[0]} the first of them, do not start with the "
            f"BOS token (id {tokenizer.bos_token_id}), which this tokenizer wrote when the model took it. Set "
            "model.tokenizer again after changing what it adds"
        )
    return [row[1:] for row in rows]
