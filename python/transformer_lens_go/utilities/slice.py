"""Slices of one axis of an array, as caches and stacks take them."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ..given import brief
from .tensors import is_torch_tensor, to_numpy

SliceInput = (
    int
    | np.integer
    | tuple[int]
    | tuple[int, int]
    | tuple[int, int, int]
    | list[int]
    | np.ndarray
    | Any  # a torch tensor
    | None
)
"""What a `Slice` is made of: an int, a tuple for `slice(*tuple)`, indices or a mask, or None for
all.
"""


def to_python_int(value: Any) -> int | None:
    """The int that `value` stands for (NumPy and torch scalars too, but no bool), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    if not (is_torch_tensor(value) or isinstance(value, np.ndarray)) or value.ndim != 0:
        return None
    return int(value.item()) if to_numpy(value).dtype.kind in "iu" else None


class Slice:
    """A selection along one axis.

    `mode` says how: "int" drops the axis, "slice" keeps a range (`(stop,)`, `(start, stop)` or
    `(start, stop, step)`), "array" takes the places of a list, array or boolean mask, and
    "identity" (None) changes nothing.
    """

    slice: int | slice | np.ndarray
    mode: str

    def __init__(self, input_slice: SliceInput = None) -> None:
        as_int = to_python_int(input_slice)
        if as_int is not None:
            self.slice, self.mode = as_int, "int"
        elif isinstance(input_slice, bool):  # True and False are the ints 1 and 0, as in upstream
            self.slice, self.mode = input_slice, "int"
        elif isinstance(input_slice, tuple):
            self.slice, self.mode = slice(*input_slice), "slice"
        elif isinstance(input_slice, slice):
            self.slice, self.mode = input_slice, "slice"
        elif isinstance(input_slice, (list, np.ndarray)) or is_torch_tensor(input_slice):
            self.slice, self.mode = to_numpy(input_slice), "array"
        elif input_slice is None:
            self.slice, self.mode = slice(None), "identity"
        else:
            raise ValueError(
                f"Invalid input_slice {brief(input_slice)}: expected an int, a tuple of up to three "
                "ints, a "
                "list or array of indices, or None"
            )

    def apply(self, tensor: Any, dim: int = 0) -> Any:
        """The selection of `tensor` (a torch tensor or NumPy array) along axis `dim`."""
        places: list[Any] = [slice(None)] * tensor.ndim
        places[dim] = self.slice
        return tensor[tuple(places)]

    def indices(self, max_ctx: int | None = None) -> np.ndarray:
        """The places selected on an axis of length `max_ctx`, "int" mode need not know it."""
        if self.mode == "int":
            return np.array([self.slice], dtype=np.int64)
        if max_ctx is None:
            raise ValueError("max_ctx must be specified if slice is not an integer")
        return np.arange(max_ctx, dtype=np.int64)[self.slice]

    def __repr__(self) -> str:
        return f"Slice: {self.slice} Mode: {self.mode} "

    @classmethod
    def unwrap(cls, slice_input: Slice | SliceInput) -> Slice:
        """A Slice of anything a Slice is made of; an int keeps its axis, with length 1."""
        if isinstance(slice_input, Slice):
            return slice_input
        if isinstance(slice_input, bool):  # a mask of length 1, as in upstream
            return Slice([slice_input])
        as_int = to_python_int(slice_input)
        return Slice(slice_input if as_int is None else [as_int])
