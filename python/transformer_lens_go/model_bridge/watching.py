"""What `run_with_cache` keeps of a run that it does not ask for itself, and of modules that are not the engine's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from .._engine import arrays
from .._engine.parts import frame_of
from .._engine.whole import Change

__all__ = ["Notes", "Watching", "watching"]

Kept = list[tuple[int, Any]]

_local = threading.local()


class Notes:
    """Values at hook points in users' own modules, each with how many edges the engine had kept by then."""

    def __init__(self, model: int) -> None:
        self._model = model
        self._noted: list[tuple[int, int, Any]] = []

    def take(self, index: int, tensor: Any, hook: Any) -> None:
        """The hook that notes the value of point number `index`."""
        frame = frame_of(self._model)
        kept = tensor.detach() if arrays.torch is not None else tensor
        self._noted.append((0 if frame is None else frame.seen, index, kept))

    def among(self, kept: Kept) -> Kept:
        """All that was kept, in order of execution."""
        if not self._noted:
            return kept
        ordered: Kept = []
        noted = iter([*self._noted, (len(kept) + 1, -1, None)])
        seen, index, value = next(noted)
        for i, pair in enumerate([*kept, None]):
            while seen <= i:
                ordered.append((index, value))
                seen, index, value = next(noted)
            if pair is not None:
                ordered.append(pair)
        return ordered


class Watching(Change):
    """`run_with_cache` around a `forward` that is not the model's own: what its runs keep comes here."""

    def __init__(self, model: Any, keep: Sequence[int] | str) -> None:
        self.model = model
        self.keep = keep
        self.kept: Kept = []
        self.batch = 1
        self._outer = getattr(_local, "watching", None)

    def _begin(self) -> Watching:
        _local.watching = self
        return self

    def _end(self) -> None:
        _local.watching = self._outer


def watching(model: Any) -> Watching | None:
    """Whoever watches this model's runs in this thread."""
    found: Watching | None = getattr(_local, "watching", None)
    return found if found is not None and found.model is model else None
