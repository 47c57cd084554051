"""Calls into the engine, with its errors as Python's exception types.

What a call makes, it must be made by `native.Owned`, so that it belongs to somebody before a signal can strike.
"""

from __future__ import annotations

from .native import native

__all__ = ["call"]

call = native.call
"""`call(function, *args)` of the engine; its "KIND: message" errors come out as exceptions of that kind."""
