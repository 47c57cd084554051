"""Refuses the engine in forked children: its threads do not survive a fork, and a call would hang."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

_forked = False


def _in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def in_forked_child() -> bool:
    """Whether this process was forked from one that had loaded the engine."""
    return _forked


def check() -> None:
    """Raise RuntimeError in a forked child."""
    if _forked:
        raise RuntimeError(
            "transformer_lens_go cannot be used in a process forked after it was imported: the engine's "
            "threads do not exist there. Start processes with multiprocessing.get_context('spawn') or "
            "'forkserver' (DataLoader: multiprocessing_context='spawn', or num_workers=0)."
        )


def finalize(owner: object, function: Callable[..., object], *args: object) -> weakref.finalize:
    """Have the engine let go of something when `owner` dies, but never in a forked child, nor at exit."""
    closer = weakref.finalize(owner, _unless_forked, function, *args)
    closer.atexit = False
    return closer


def _unless_forked(function: Callable[..., object], *args: object) -> None:
    if not _forked:
        function(*args)
