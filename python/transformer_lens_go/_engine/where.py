"""Where in its sequence the run of this thread is: the positions that values at hook points stand for."""

from __future__ import annotations

import threading

__all__ = ["here"]


class _Here(threading.local):
    """`positions` of the innermost run of this thread; None outside of one, or where it has none."""

    positions: range | None = None


here = _Here()
