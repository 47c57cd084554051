"""`BatchEncoding`: what calling a model's tokenizer gives, with the interface of transformers' class."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._engine import arrays
from .encoding import Encoding
from .given import brief


class BatchEncoding(UserDict):
    """Columns (`input_ids`, `attention_mask`, ...) by key or by attribute, and the encodings behind them by
    number.
    """

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        encodings: Sequence[Encoding] | None = None,
        tensor_type: str | None = None,
    ) -> None:
        super().__init__(data)
        self._encodings = None if encodings is None else list(encodings)
        self.convert_to_tensors(tensor_type)

    def __getitem__(self, item: Any) -> Any:
        """A column by its name, an encoding by its number, or a slice of every column."""
        if isinstance(item, str):
            return self.data[item]
        if self._encodings is not None:
            return self._encodings[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(
            f"this encoding has no {brief(item)}: expected one of {sorted(self.data)} or a slice"
        )

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})
        if name not in data:
            raise AttributeError(f"this encoding has no {brief(name)}, only {sorted(data)}")
        return data[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("data", ())})

    @property
    def is_batch(self) -> bool:
        """Whether the columns have rows: not where one text gave lists of numbers."""
        ids = self.data["input_ids"]
        return len(ids) > 0 and not isinstance(ids[0], int)

    @property
    def is_fast(self) -> bool:
        """Whether the encodings are there."""
        return self._encodings is not None

    @property
    def encodings(self) -> list[Encoding] | None:
        """The encodings, one for each row."""
        return self._encodings

    @property
    def n_sequences(self) -> int | None:
        """1 for texts, 2 for pairs, None when it is not known."""
        return self._encodings[0].n_sequences if self._encodings else None

    def _row(self, index: int) -> Encoding:
        if self._encodings is None:
            raise ValueError(
                "this encoding was not made by a tokenizer: it has columns and no tokens"
            )
        return self._encodings[index]

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row."""
        return self._row(batch_index).tokens

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Which text of a pair each token of a row is from."""
        return self._row(batch_index).sequence_ids

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """The word of each token of a row."""
        return self._row(batch_index).word_ids

    def _placed(self, first: int, second: int | None) -> tuple[Encoding, int]:
        """One number is a place in the first row, two are a row and a place; negative ones count back."""
        row, place = (0, first) if second is None else (first, second)
        encoding = self._row(row)
        return encoding, len(encoding) + place if place < 0 else place

    def token_to_sequence(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """The text that a token is from."""
        encoding, at = self._placed(batch_or_token_index, token_index)
        return encoding.token_to_sequence(at)

    def token_to_word(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """The word that a token is part of."""
        encoding, at = self._placed(batch_or_token_index, token_index)
        return encoding.token_to_word(at)

    def token_to_chars(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> tuple[int, int] | None:
        """The characters that a token stands for."""
        encoding, at = self._placed(batch_or_token_index, token_index)
        return encoding.token_to_chars(at)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> tuple[int, int] | None:
        """The tokens of a word, first and one past the last."""
        encoding, at = self._placed(batch_or_word_index, word_index)
        return encoding.word_to_tokens(at, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> tuple[int, int] | None:
        """The characters of a word."""
        encoding, at = self._placed(batch_or_word_index, word_index)
        return encoding.word_to_chars(at, sequence_index)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token that stands for a character."""
        encoding, at = self._placed(batch_or_char_index, char_index)
        return encoding.char_to_token(at, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The word that a character is part of."""
        encoding, at = self._placed(batch_or_char_index, char_index)
        return encoding.char_to_word(at, sequence_index)

    def convert_to_tensors(self, tensor_type: str | None = None) -> BatchEncoding:
        """Make arrays of the columns: "pt" for torch, "np" for NumPy, None for lists as they are."""
        for key, value in self.data.items() if tensor_type is not None else ():
            self.data[key] = as_tensor(key, value, str(getattr(tensor_type, "value", tensor_type)))
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Move every tensor to `device`."""
        options = {"non_blocking": True} if non_blocking else {}
        self.data = {
            key: value.to(device, **options) if hasattr(value, "to") else value
            for key, value in self.data.items()
        }
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "encodings": self._encodings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.data, self._encodings = state["data"], state["encodings"]


def as_tensor(name: str, rows: Any, tensor_type: str) -> Any:
    """Rows of numbers as an int64 array [row, token]; "np" of rows of different lengths as an array of arrays."""
    if tensor_type not in ("pt", "np"):
        raise ValueError(f"return_tensors must be 'pt', 'np' or None, got {brief(tensor_type)}")
    if isinstance(rows, np.ndarray) or (arrays.torch and isinstance(rows, arrays.torch.Tensor)):
        return rows
    if len({len(row) for row in rows if isinstance(row, list)}) > 1:
        if tensor_type == "np":
            return np.array(
                [np.array(row) for row in rows], dtype=object
            )  # ragged, as transformers has it
        raise ValueError(
            f"texts of different lengths make no tensor ({name}): pass padding=True, and truncation=True "
            "where there are limits"
        )
    array = np.array(rows, dtype=np.int64)
    if tensor_type == "np":
        return array
    if arrays.torch is None:
        raise ImportError("return_tensors='pt' needs torch; use return_tensors='np'")
    return arrays.torch.from_numpy(array)


def assemble(
    encodings: Sequence[Encoding],
    columns: dict[str, bool],
    single: bool,
    overflowing: bool,
    tensor_type: str | None,
) -> BatchEncoding:
    """Encodings as columns: ids, and those that are asked for by transformers' names.

    Lists of one text have no rows, unless what overflowed is asked for, which makes rows of its own.
    """
    rows, origin = list(encodings), list(range(len(encodings)))
    if overflowing:
        groups = [[encoding, *encoding.overflowing] for encoding in encodings]
        rows = [part for group in groups for part in group]
        origin = [i for i, group in enumerate(groups) for _ in group]
    read = {
        "input_ids": lambda e: e.ids,
        "token_type_ids": lambda e: e.type_ids,
        "attention_mask": lambda e: e.attention_mask,
        "special_tokens_mask": lambda e: e.special_tokens_mask,
        "offset_mapping": lambda e: e.offsets,
        "length": len,
    }
    data: dict[str, Any] = {
        name: [take(row) for row in rows]
        for name, take in read.items()
        if name == "input_ids" or columns[name]
    }
    if overflowing:
        data["overflow_to_sample_mapping"] = origin
    elif single and tensor_type is None:
        data = {
            name: values[0] if isinstance(values[0], list) else values
            for name, values in data.items()
        }
    return BatchEncoding(data, rows, tensor_type)
