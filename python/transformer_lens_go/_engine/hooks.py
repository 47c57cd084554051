"""The functions behind a model's hooks, by the engine's hook id. The engine decides which fire, and in what order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import errors
from .native import go

__all__ = ["ANY_LEVEL", "HookTable"]

ANY_LEVEL = -1
_DIRECTIONS = {"fwd": 0, "bwd": 1, "both": 2}


class HookTable:
    """Hooks of one model: each id of the engine with the function to call and the point to name to it.

    The table belongs to Python, where the collector sees it: hooks close over models.
    """

    def __init__(self, model: int) -> None:
        self._model = model
        self.calls: dict[int, tuple[Callable[..., Any], Any]] = {}

    def add(
        self,
        index: int,
        point: Any,
        call: Callable[..., Any],
        direction: str,
        level: int | None,
        permanent: bool,
        prepend: bool,
    ) -> int:
        """Hang a function on the point with that index; returns the hook's id."""
        level = ANY_LEVEL if level is None else level
        hook = errors.call(
            go.HookAdd, self._model, index, _DIRECTIONS[direction], level, permanent, prepend
        )
        self.calls[hook] = (call, point)
        return hook

    def remove(self, index: int, hook: int) -> None:
        """Take one hook off; nothing happens when it is gone already."""
        if self.calls.pop(hook, None) is not None:
            errors.call(go.HookRemove, self._model, index, hook)

    def clear(
        self, index: int, direction: str, level: int | None, including_permanent: bool
    ) -> list[list[int]]:
        """Take hooks off a point (-1: off all); returns the [point, hook] pairs that are gone."""
        level = ANY_LEVEL if level is None else level
        removed = json.loads(
            errors.call(
                go.HookClear, self._model, index, _DIRECTIONS[direction], level, including_permanent
            )
        )
        for _, hook in removed:
            self.calls.pop(hook, None)
        return removed
