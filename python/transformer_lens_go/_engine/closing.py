"""The interpreter's end: runs in other threads are ended first.

A thread that waits for the interpreter while it goes away is ended by Python where it stands. In a callback of the
engine it stands on the engine's stack, and that would end the process with a crash.
"""

from __future__ import annotations

import atexit
import threading
import time

from . import fork

__all__ = ["enter", "is_closing", "leave"]

_PATIENCE = 10.0  # seconds; a run looks up every 50 ms
_GRACE = 0.2  # for threads between two runs to reach the next, and end

_lock = threading.Lock()
_closing = False
_running = 0
_threads: set[int] = set()  # that have run a model


def is_closing() -> bool:
    """Whether runs are to end because the interpreter does."""
    return _closing


def enter() -> None:
    """A run begins; SystemExit, which ends a thread quietly, where the interpreter is exiting."""
    global _running
    fork.check()  # before the lock, which a forked child may have got locked
    with _lock:
        if _closing:
            raise SystemExit("the interpreter is exiting")
        _running += 1
        _threads.add(threading.get_ident())


def leave() -> None:
    """A run that had begun is over."""
    global _running
    with _lock:
        _running -= 1


def _end_runs() -> None:
    global _closing
    if fork.in_forked_child():
        return
    with _lock:
        _closing = True
    start = time.monotonic()
    while time.monotonic() < start + (_PATIENCE if _running else _GRACE) and _others():
        time.sleep(0.002)


def _others() -> bool:
    """Whether another thread that has run a model is still there."""
    current = threading.current_thread()
    return any(t.ident in _threads for t in threading.enumerate() if t is not current)


atexit.register(_end_runs)
