"""What users pass in, as memory that the engine can read: contiguous, on the CPU, of a dtype it knows.

A borrowed handle names memory that stays the caller's. The engine holds what owns it, and lets go of it with the last
handle, tensor or view: nothing in Python need keep an array for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arrays
from .compiled import glue

__all__ = [
    "CODES",
    "Borrowed",
    "attention_mask",
    "float_input",
    "in_rows",
    "memory",
    "pinned",
    "token_ids",
    "wanted_positions",
]

_BY_NAME = {  # DLPack's type code | bits << 8
    "float32": 0x2002,
    "float64": 0x4002,
    "float16": 0x1002,
    "bfloat16": 0x1004,
    "int64": 0x4000,
    "int32": 0x2000,
    "uint8": 0x0801,
    "bool": 0x0806,
}


class _Codes(dict):
    """NumPy's bfloat16 comes from another package, which is not imported before somebody uses it."""

    def __missing__(self, dtype: Any) -> int:
        code = _BY_NAME.get(str(dtype))
        if code is None:
            raise TypeError(f"the engine has no dtype {dtype}; it has {', '.join(_BY_NAME)}")
        self[dtype] = code
        return code


CODES = _Codes({np.dtype(n): c for n, c in _BY_NAME.items() if n != "bfloat16"})
"""The engine's code of each dtype it has, torch's and NumPy's."""
if arrays.torch is not None:
    CODES.update((getattr(arrays.torch, name), code) for name, code in _BY_NAME.items())


if arrays.torch is not None:

    def pinned(array: Any) -> Any:
        """The array, whose storage can be resized no more: `resize_` would free memory that the engine looks into.

        For arrays that the engine keeps when the call has ended. torch does the same for what it lends to NumPy.
        """
        whole = arrays.torch.empty(0, dtype=arrays.torch.uint8).set_(array.untyped_storage())
        whole.numpy()  # of the bytes, for NumPy has not every dtype
        return array

else:

    def pinned(array: Any) -> Any:
        """The array: NumPy refuses to resize one that somebody holds."""
        return array


def memory(array: Any) -> tuple[Any, int, int, tuple[int, ...], tuple[int, ...]]:
    """An array as `lend` takes it: what owns its memory, address, dtype code, shape, and strides in elements."""
    code = CODES[array.dtype]
    if arrays.torch is not None and isinstance(array, arrays.torch.Tensor):
        # not the tensor, whose memory may become another's (.data), and which may hold a graph
        owner = array.untyped_storage()
        return owner, array.data_ptr(), code, array.shape, array.stride()
    if any(step % array.itemsize for step in array.strides):
        raise ValueError(
            f"an array of {array.dtype} has the strides {array.strides}, in bytes; the engine reads arrays whose steps "
            "are whole numbers of entries: pass a copy"
        )
    address = array.__array_interface__["data"][0]
    return array, address, code, array.shape, tuple(s // array.itemsize for s in array.strides)


class Borrowed(glue.Lent):
    """The handles over arrays that one question lends to the engine; they end with the block."""

    __slots__ = ()

    def add(self, array: Any) -> int:
        """A handle over `array`, good until `close`."""
        return self.lend(*memory(array))


def _on_cpu(value: Any, what: str) -> Any:
    """An array of the user's kind on the CPU, of whatever was passed."""
    if arrays.torch is not None and isinstance(value, arrays.torch.Tensor):
        if value.layout != arrays.torch.strided or value.is_meta:
            raise ValueError(
                f"{what} must be a dense tensor with data, got layout {value.layout} on {value.device}"
            )
        return value.cpu()
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "biufcV":
        raise TypeError(
            f"{what} must be a tensor, an array or nested lists of numbers, got {type(value).__name__}"
        )
    return arrays.from_numpy(array)


def in_rows(array: Any, name: str) -> Any:
    """`array` in row-major order and with the named dtype; a copy only where needed."""
    if arrays.torch is not None:
        return array.to(arrays.dtype(name)).contiguous()
    return np.ascontiguousarray(array, dtype=arrays.dtype(name))


def _is_integer(array: Any) -> bool:
    if arrays.torch is not None:
        return not (
            array.is_floating_point() or array.is_complex() or array.dtype == arrays.torch.bool
        )
    return array.dtype.kind in "iu"


def token_ids(value: Any) -> Any:
    """Ids [batch, pos] as int64, of integer arrays or lists [pos] or [batch, pos]."""
    array = _on_cpu(value, "token ids")
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"token ids must have the shape [pos] or [batch, pos] with at least one token, got "
            f"{tuple(array.shape)}"
        )
    if not _is_integer(array):
        raise TypeError(
            f"token ids must be integers, got {arrays.dtype_name(array)}; floating arrays of shape "
            "[batch, pos, d_model] are taken as embeddings"
        )
    return in_rows(array, "int64")


def wanted_positions(value: Any, pos: int) -> Any:
    """`logits_to_keep` as positions [1, n] or [batch, n], of `pos`; None: all.

    A number n is the last n positions, 0 all of them (and so is a number beyond `pos`, as in Hugging Face's slices);
    others are positions, negative ones counted from the end.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(
                f"logits_to_keep={value}: expected how many of the last positions to give logits for (0: all), or a "
                "list or array of positions"
            )
        return (
            None
            if value == 0 or value >= pos
            else arrays.from_numpy(np.arange(pos - value, pos)[None])
        )
    array = _on_cpu(value, "logits_to_keep")
    if array.ndim not in (1, 2) or not _is_integer(array):
        raise ValueError(
            f"logits_to_keep must be a number, or positions [n] or [batch, n], got {arrays.dtype_name(array)} "
            f"{tuple(array.shape)}"
        )
    return in_rows(array[None] if array.ndim == 1 else array, "int64")


def float_input(
    value: Any, width: int | None, what: str, dtype: str, rank: int | None = None
) -> Any:
    """Any floating array in that dtype, its last axis `width` long; gradients pass through."""
    array = _on_cpu(value, what)
    if not arrays.is_floating(array):
        raise TypeError(f"{what} must be a floating array, got {arrays.dtype_name(array)}")
    wide = array.ndim > 0 and width in (None, array.shape[-1])
    if not wide or (rank is not None and array.ndim != rank):
        expected = ", ".join(["..." if rank is None else "batch, pos", str(width or "width")])
        raise RuntimeError(f"{what} must have the shape [{expected}], got {tuple(array.shape)}")
    return in_rows(array, dtype)


def attention_mask(value: Any, batch: int, pos: int, past: int = 0) -> Any:
    """An int64 0/1 mask [batch, pos], or [batch, past + pos], of any numbers or bools of that shape."""
    array = _on_cpu(value, "attention_mask")
    if array.ndim == 4:
        raise NotImplementedError(
            "attention masks of four axes are not supported yet; pass one of shape [batch, pos]"
        )
    if tuple(array.shape) not in ((batch, pos), (batch, past + pos)):
        with_past = f", or {(batch, past + pos)} with the KV cache," if past else ","
        raise ValueError(
            f"attention_mask must have the shape of the input, {(batch, pos)}{with_past} got {tuple(array.shape)}"
        )
    check_mask(array)
    return in_rows(array != 0, "int64")


def check_mask(mask: Any) -> None:
    """Raise ValueError for a mask that has another number than 0 and 1 in it.

    A mask that is added to scores has 0 where this one has 1: "anything but 0" would read it the wrong way round.
    """
    fits = (mask == 0) | (mask == 1)
    if not bool(fits.all()):
        raise ValueError(
            f"attention_mask has {mask[~fits].reshape(-1)[0].item()} in it, expected 0 at positions to leave out and 1 "
            "at the others; `mask == 0` makes that of a mask that is added to attention scores"
        )
