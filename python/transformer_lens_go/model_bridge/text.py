"""Text and tokens: the part of the model's interface that only needs its tokenizer and
configuration.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .._engine import arrays
from ..tokenizer import ModelTokenizer
from ..utilities.tensors import is_torch_tensor, to_numpy
from ..utilities.tokenize_utils import (
    get_input_with_manually_prepended_bos,
    get_tokens_with_bos_removed,
)
from .tokenizer_setup import configure_tokenizer, vocabulary_size


class TextMixin:
    """Text to ids and back. BOS is put before a text unless `prepend_bos` or the configuration says
    otherwise: pass `prepend_bos=False` for a text that is only a part of a prompt. Most tokenizers
    read " word" and "word" as different tokens.
    """

    cfg: Any
    _tokenizer: Any = None

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
            raise AssertionError(
                f"Cannot use {what} without a tokenizer: none was found beside the weights. Pass "
                "tokenizer=... to boot_transformers, set model.tokenizer, or use token ids"
            )
        return self._tokenizer

    def to_tokens(
        self,
        input: str | list[str],
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
        move_to_device: bool = True,
        truncate: bool = True,
    ) -> Any:
        """The ids of a text or of several, padded to one length: int64 [batch, pos].

        `prepend_bos` None means `cfg.default_prepend_bos`; `padding_side` None means the
        tokenizer's; `truncate` cuts to `cfg.n_ctx`.
        """
        tokenizer = self._need_tokenizer("to_tokens")
        if prepend_bos is None:
            prepend_bos = self.cfg.default_prepend_bos
        if padding_side is None:
            padding_side = getattr(tokenizer, "padding_side", "right")
        texts = [input] if isinstance(input, str) else list(input)
        if not texts:
            raise IndexError("to_tokens needs at least one text, got an empty list")
        if prepend_bos and not self.cfg.tokenizer_prepends_bos and _is_one_token(tokenizer):
            texts = get_input_with_manually_prepended_bos(tokenizer.bos_token, texts)
        encoded = tokenizer(
            texts,
            return_tensors="np",
            padding=True,
            padding_side=padding_side,
            truncation=truncate,
            max_length=self.cfg.n_ctx if truncate else None,
        )
        ids = np.asarray(encoded["input_ids"], dtype=np.int64)
        if self.cfg.tokenizer_appends_eos and tokenizer.eos_token_id is not None:
            while ids.shape[-1] > 1 and (ids[:, -1] == tokenizer.eos_token_id).all():
                ids = ids[:, :-1]
        if not prepend_bos and self.cfg.tokenizer_prepends_bos:
            ids = get_tokens_with_bos_removed(tokenizer, ids, padding_side=padding_side)
        tokens = arrays.from_numpy(np.ascontiguousarray(ids))
        return tokens.to(self.cfg.device) if move_to_device and is_torch_tensor(tokens) else tokens

    def to_string(self, tokens: Any) -> str | list[str]:
        """The text of ids [pos] (or of a single id), or the texts of ids [batch, pos]."""
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
        input: Any,
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
    ) -> list[Any]:
        """Each token as a string: of a text, of ids [pos] or [1, pos], or of each of a list of
        those.
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
        """The id of a string that is exactly one token."""
        ids = to_numpy(self.to_tokens(string, prepend_bos=False)).reshape(-1)
        if ids.size != 1:
            raise AssertionError(
                f"Input string: {string!r} is not a single token! It is {ids.size}: "
                f"{self.to_str_tokens(string, prepend_bos=False)}"
            )
        return int(ids[0])

    def to_single_str_token(self, int_token: int) -> str:
        """The string of one id."""
        if not isinstance(int_token, (int, np.integer)):
            raise AssertionError(f"expected one id as an int, got {type(int_token)}")
        return self.to_str_tokens(np.array([int_token]))[0]

    def get_token_position(
        self,
        single_token: str | int,
        input: Any,
        mode: str = "first",
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
    ) -> int:
        """Where a token (id, or string of one token) stands in a text or in ids [pos] or [1, pos].

        `mode` is "first" or "last" where there are several; AssertionError where there is none.
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
