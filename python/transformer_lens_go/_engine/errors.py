"""Calls into the engine, with its errors as Python's exception types.

What a call makes, it must be made by `glue.Owned`, so that it belongs to somebody before a signal can strike.
"""

from __future__ import annotations

from .compiled import glue

__all__ = ["call"]

call = glue.call
"""`call(function, *args)` of the engine; its "KIND: message" errors come out as exceptions of that kind."""
