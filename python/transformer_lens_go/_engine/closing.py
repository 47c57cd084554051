"""The interpreter's end: runs in other threads are ended first.

A thread that waits for the interpreter while it goes away is ended by Python where it stands. In a callback of the
engine it stands on the engine's stack, and that would end the process with a crash. Runs are counted in C
(`glue/call.c`), without a lock: a signal handler may run a model wherever it strikes.
"""

from __future__ import annotations

import atexit
import threading
import time

from .compiled import glue

__all__ = ["wait_at_exit"]

_PATIENCE = 10.0  # seconds; a run looks up every 50 ms
_GRACE = 0.2  # for threads between two runs to reach the next, and end


def wait_at_exit() -> None:
    """Have the interpreter's exit end the runs of other threads, and wait for them."""
    atexit.register(_end_runs)


def _end_runs() -> None:
    start = time.monotonic()
    patience = _PATIENCE if glue.close_runs() else _GRACE
    while time.monotonic() < start + patience and _others():
        time.sleep(0.002)
        patience = _PATIENCE if glue.close_runs() else _GRACE


def _others() -> bool:
    """Whether another thread that has run a model is still there."""
    current = threading.current_thread()
    return any(t.ident in glue.threads for t in threading.enumerate() if t is not current)
