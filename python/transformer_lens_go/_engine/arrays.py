"""The seam between torch and NumPy: the only `import torch` of the package.

Users get torch tensors when torch is installed, else NumPy arrays; `TRANSFORMER_LENS_GO_ARRAYS=numpy` chooses
NumPy although torch is there. Both are views of the engine's memory, made without a copy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from operator import attrgetter
from typing import Any

import numpy as np

from .compiled import glue

__all__ = [
    "asarray",
    "concat",
    "device",
    "dtype",
    "dtype_name",
    "expand",
    "from_numpy",
    "in_order",
    "is_array",
    "is_floating",
    "kind",
    "least",
    "made",
    "no_grad",
    "np",
    "numpy_view",
    "place",
    "set_data",
    "shareable",
    "stack",
    "start",
    "torch",
    "view",
    "zeros",
]


_BFLOAT16_MAX = (2 - 2**-7) * 2.0**127


def _import_torch() -> Any:
    choice = os.environ.get("TRANSFORMER_LENS_GO_ARRAYS", "")
    if choice not in ("", "numpy", "torch"):
        raise ValueError(
            f"TRANSFORMER_LENS_GO_ARRAYS={choice!r}: expected 'numpy', 'torch' or nothing"
        )
    if choice == "numpy":
        return None
    try:
        import torch
    except ImportError:
        if choice == "torch":
            raise
        return None
    return torch


torch: Any = _import_torch()

kind = "torch" if torch is not None else "numpy"
"""Which arrays users get: "torch" or "numpy"."""

device: Any = torch.device("cpu") if torch is not None else "cpu"


def _bfloat16() -> np.dtype:
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            "this value is bfloat16, which NumPy does not have: install ml_dtypes, or torch"
        ) from error
    return np.dtype(ml_dtypes.bfloat16)


def numpy_view(handle: Any) -> np.ndarray:
    """A NumPy array over the memory behind a handle, which stays open."""
    array = np.asarray(glue.Tensor(handle))
    return array.view(_bfloat16()) if array.dtype.char == "H" else array


if torch is not None:
    # torch.from_dlpack does the same after 0.1 µs of questions about devices and streams
    _from_dlpack, _capsule = torch._C._from_dlpack, glue.capsule

    def view(handle: Any) -> Any:
        """An array over the memory behind a handle, which stays open."""
        return _from_dlpack(_capsule(handle))

else:
    view = numpy_view

start: Any = torch.Tensor.data_ptr if torch is not None else id
"""Where an array begins: with NumPy, whose arrays stay where they are, which array it is."""

in_order: Any = (
    torch.Tensor.is_contiguous if torch is not None else attrgetter("flags.c_contiguous")
)
"""Whether an array is in row-major order."""


def made(function: Any, *args: Any) -> Any:
    """The array that `function(*args)` of the engine makes."""
    with glue.Owned(None, function, *args) as owned:
        return view(owned)


def dtype(name: str) -> Any:
    """The torch or NumPy dtype of that name."""
    if torch is not None:
        return getattr(torch, name)
    return _bfloat16() if name == "bfloat16" else np.dtype(name)


def dtype_name(value: Any) -> str:
    """ "float32" and the like, of an array, a dtype or its name."""
    found = value if isinstance(value, type) else getattr(value, "dtype", value)
    if found is np.bool_:
        return "bool"
    return str(np.dtype(found) if isinstance(found, type) else found).removeprefix("torch.")


def is_array(value: Any) -> bool:
    """Whether a value is an array of the user's kind or a NumPy array."""
    return isinstance(value, np.ndarray) or (torch is not None and isinstance(value, torch.Tensor))


def is_floating(value: Any) -> bool:
    """Whether an array holds real floating numbers."""
    if torch is not None and isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return value.dtype.kind == "f" or dtype_name(value) == "bfloat16"


def least(value: Any) -> float:
    """The least finite number of an array's dtype."""
    if torch is not None:
        return torch.finfo(value.dtype).min
    if dtype_name(value) == "bfloat16":
        return -_BFLOAT16_MAX
    return float(np.finfo(value.dtype).min)


def from_numpy(array: np.ndarray) -> Any:
    """The user's kind of array over a NumPy array's memory.

    A copy of it where torch has no such arrays, as `shareable` says.
    """
    return array if torch is None else torch.from_numpy(shareable(array))


def shareable(array: np.ndarray) -> np.ndarray:
    """The NumPy array itself, where its memory can be that of a tensor; else a copy.

    It cannot where it is read-only or not aligned, where the bytes of its numbers or an axis are in reverse, and where
    its steps are no whole numbers of entries.
    """
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    flags = array.flags
    if flags.carray or (
        flags.behaved and all(step >= 0 and step % array.itemsize == 0 for step in array.strides)
    ):
        return array
    return array.copy()


def asarray(value: Any) -> Any:
    """The user's kind of array of any array or nested list; arrays of that kind come back as they are."""
    if torch is not None:
        if isinstance(value, torch.Tensor):
            return value
        return from_numpy(value.copy()) if isinstance(value, np.ndarray) else torch.tensor(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def no_grad() -> Any:
    """A context without autograd; without torch there is none anyway."""
    return torch.no_grad() if torch is not None else nullcontext()


def place(array: Any) -> tuple[Any, ...]:
    """Where an array lies: the same memory in the same order gives the same."""
    if torch is not None:
        return array.data_ptr(), array.shape, array.stride(), array.dtype
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype


def set_data(tensor: Any, data: Any) -> None:
    """`tensor.data = data`, of torch, without the GIL.

    The attribute waits with the GIL for a lock which a forward pass in another thread holds while it waits for the
    GIL: both would wait for ever.
    """
    torch.ops.aten.set_data(tensor, data)


def zeros(shape: Sequence[int], name: str = "float32") -> Any:
    """A zero array of the user's kind."""
    library = torch if torch is not None else np
    return library.zeros(tuple(shape), dtype=dtype(name))


def expand(array: Any, shape: Sequence[int]) -> Any:
    """An array as one of that shape, its memory repeated along axes of one."""
    return array.expand(*shape) if torch is not None else np.broadcast_to(array, shape)


def stack(values: Sequence[Any]) -> Any:
    """Arrays of one shape, copied into one array along a new first axis."""
    return torch.stack(list(values)) if torch is not None else np.stack(list(values))


def concat(values: Sequence[Any], axis: int = 0) -> Any:
    """Arrays copied into one along an axis."""
    if torch is not None:
        return torch.cat(list(values), dim=axis)
    return np.concatenate(list(values), axis=axis)
