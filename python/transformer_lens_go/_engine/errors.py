"""Calls into the engine, with its errors as Python's exception types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import fork

_KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        IndexError,
        AssertionError,
        NotImplementedError,
        FileNotFoundError,
        OSError,
        MemoryError,
        OverflowError,
        RuntimeError,
    )
}


def call(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` of the engine; its "KIND: message" errors come out as exceptions of that kind."""
    if fork.in_forked_child():
        fork.check()
    try:
        return function(*args)
    except RuntimeError as error:
        raise translate(error) from None


def translate(error: RuntimeError) -> Exception:
    """The exception that the engine's error text names; `error` itself when it names none."""
    kind, separator, message = str(error).partition(": ")
    if not separator or kind not in _KINDS:
        return error
    return _KINDS[kind](message)
