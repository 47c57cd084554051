"""Changes of several steps that signals leave whole or undone (`glue/whole.c` says how that can be).

CPython runs signal handlers where a function of Python's begins, where a loop jumps back and when a call has returned.
So a straight line without calls, such as `d["level"] += 1; self.open = True` over a dict and a plain attribute, is one
step; what has more is made by these.
"""

from __future__ import annotations

from .compiled import glue

__all__ = ["Change", "complete", "whole"]

whole = glue.whole
"""`whole(do, undo, *args)`: `do(*args)`; where it raises, `undo(*args)` until that has run to its end once."""

complete = glue.complete
"""`complete(function, *args)`: until it has run to its end once; then what was raised on the way is raised."""

Change = glue.Change
"""What begins (`_begin`) and ends (`_end`, idempotent) with a `with` block; `_undo`, by default `_end`, where `_begin`
failed. Entering and leaving are C, and leave no gap between the change and the block."""
