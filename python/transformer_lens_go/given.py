"""What a user gave: how messages show it, and whether it is a number. Imports nothing of the package."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

__all__ = ["brief", "check_number", "cut", "integer"]

_MOST = 200  # characters that a message shows of one value


def brief(value: Any) -> str:
    """The repr of a value, cut where it is long: a message is to be read, whatever was given."""
    return cut(repr(value))


def cut(text: str) -> str:
    """The beginning of a text, all of it where it is short."""
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text):,} characters)"


def integer(name: str, value: Any) -> int:
    """An argument that has to be a whole number, as Python's int. Raises TypeError, naming it."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {brief(value)}") from None


def check_number(name: str, value: Any) -> None:
    """Raise TypeError, naming the argument, for what is no real number."""
    if isinstance(value, Real) or getattr(value, "ndim", None) == 0:
        return
    raise TypeError(f"{name} must be a number, got {brief(value)}")
