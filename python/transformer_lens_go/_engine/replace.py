"""What a hook returned, made into what the edge becomes: checked, cast, broadcast, and lent to the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arrays
from .compiled import glue, go
from .inputs import CODES, in_rows, memory

__all__ = ["fit", "give", "put"]

_lend_to = glue.lend


def _lend(run: int, owner: Any, address: int, array: Any, strides: tuple[int, ...] | None) -> int:
    _lend_to(owner, address, CODES[array.dtype], array.shape, strides, go.RunReplace, run)
    return 2


if arrays.torch is not None:
    _Tensor, _strided = arrays.torch.Tensor, arrays.torch.strided

    def put(run: int, point: Any, given: Any, result: Any) -> int:
        """Let the edge at `point` go on with what its hook returned.

        Returns what a callback of the engine answers: 0 where `result` is the memory of `given`, else 2.
        """
        plain = (
            isinstance(result, _Tensor)
            and result.dtype is given.dtype
            and result.shape == given.shape
            and result.is_cpu
            and result.layout is _strided
            and not result.is_neg()
        )
        if not plain:
            result = fit(point.shown_name, point._resize, given, result)
        address, strides = result.data_ptr(), result.stride()
        if (
            address == given.data_ptr()
            and strides == given.stride()
            and result.shape == given.shape
        ):
            return 0
        return _lend(run, result.untyped_storage(), address, result, strides)

else:

    def put(run: int, point: Any, given: Any, result: Any) -> int:
        """Let the edge at `point` go on with what its hook returned.

        Returns what a callback of the engine answers: 0 where `result` is the memory of `given`, else 2.
        """
        plain = (
            type(result) is np.ndarray
            and result.dtype == given.dtype
            and result.shape == given.shape
        )
        if not plain:
            result = fit(point.shown_name, point._resize, given, result)
        address = result.__array_interface__["data"][0]
        if (
            result.base is not None  # else it is nobody's view, and the question is slow
            and result.strides == given.strides
            and result.shape == given.shape
            and address == given.__array_interface__["data"][0]
        ):
            return 0
        if not result.flags.c_contiguous:
            result = np.ascontiguousarray(result)
            address = result.__array_interface__["data"][0]
        return _lend(run, result, address, result, None)


def give(run: int, i: int, name: str, given: Any, result: Any) -> None:
    """Let what computed the part `name` have `result` as output `i`.

    `given` is what the output is like in kind and dtype. Raises TypeError for what is no array, RuntimeError for one
    that cannot stand there.
    """
    if result is given:
        go.PartResult(run, i, 0)
        return
    if not arrays.is_array(result):
        raise TypeError(
            f"what stands at {name} returned {type(result).__name__}; expected an array, or a tuple that begins "
            "with one"
        )
    result = in_rows(_checked(name, given, result, "what stands at"), arrays.dtype_name(given))
    if arrays.torch is not None:
        result = result.detach().resolve_neg()
    _lend_to(*memory(result), go.PartResult, run, i)


def fit(name: str, resize: bool, given: Any, result: Any) -> Any:
    """`result` as the edge `name` can carry it in place of `given`.

    What it cannot carry is a TypeError (no array at all) or a RuntimeError. With `resize`, as at edges of the
    residual stream, other batch and position sizes pass on; elsewhere results are broadcast.
    """
    result = _checked(name, given, result)
    if result.dtype != given.dtype:
        result = result.to(given.dtype) if arrays.torch is not None else result.astype(given.dtype)
    if result.shape != given.shape and not (resize and _differs_in_size_only(given, result)):
        result = _broadcast(name, given, result)
    return result if arrays.torch is None else result.resolve_neg()


def _checked(name: str, given: Any, result: Any, who: str = "the hook at") -> Any:
    expected = f"expected {_describe(given)}"
    if arrays.torch is not None:
        if not isinstance(result, arrays.torch.Tensor):
            raise TypeError(
                f"{who} {name} returned {type(result).__name__}; expected None or a torch.Tensor "
                f"({_describe(given)})"
            )
        if result.device != given.device or result.layout != arrays.torch.strided:
            raise RuntimeError(
                f"{who} {name} returned a {result.layout} tensor on device {result.device}; "
                f"{expected}: return it after .to({str(given.device)!r})"
            )
        real = not result.is_complex() and result.dtype != arrays.torch.bool
    else:
        if not isinstance(result, (np.ndarray, np.generic)):
            raise TypeError(
                f"{who} {name} returned {type(result).__name__}; expected None or a NumPy array "
                f"({_describe(given)})"
            )
        result = np.asarray(result)
        real = result.dtype.kind in "iuf" or arrays.dtype_name(result) == "bfloat16"
    if not real or arrays.is_floating(result) != arrays.is_floating(given):
        raise RuntimeError(f"{who} {name} returned {_describe(result)}; {expected}")
    return result


def _differs_in_size_only(given: Any, result: Any) -> bool:
    """Whether only batch and position sizes differ: not the number of axes, nor a width."""
    if result.ndim != given.ndim or 0 in result.shape:
        return False
    return result.ndim == 2 or result.shape[-1] == given.shape[-1]


def _broadcast(name: str, given: Any, result: Any) -> Any:
    try:
        if arrays.torch is not None:
            return result.expand(given.shape)
        return np.broadcast_to(result, given.shape)
    except (RuntimeError, ValueError):
        raise RuntimeError(
            f"the hook at {name} returned shape {tuple(result.shape)}; expected {tuple(given.shape)} or "
            "a shape that broadcasts to it"
        ) from None


def _describe(array: Any) -> str:
    where = f" on {array.device}" if arrays.torch is not None else ""
    return f"{arrays.dtype_name(array)} {tuple(array.shape)}{where}"
