"""Hooks as the engine's registries know them: which there are, in what order, of which level and permanence.

The functions stay in Python, where the collector sees them: hooks close over models. A model's are called by its runs
(`HookTable`). Those on hook points in a user's own modules (`OwnPoint`) are called by the modules themselves, in the
order that the registry keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from . import errors, fork
from .native import go

__all__ = ["HookTable", "OwnPoint", "clear_own"]

_NO_LEVEL = -(1 << 63)
_DIRECTIONS = {"fwd": 0, "bwd": 1, "both": 2}
_OWN = 0  # the registry of all points in users' own modules


def _level(level: int | None) -> int:
    return _NO_LEVEL if level is None else level


class HookTable:
    """Hooks of one model: each id of the engine with the function to call and the point to name to it."""

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
        hook = errors.call(
            go.HookAdd,
            self._model,
            index,
            _DIRECTIONS[direction],
            _level(level),
            permanent,
            prepend,
        )
        self.calls[hook] = (call, point)
        return hook

    def replace(self, hook: int, call: Callable[..., Any]) -> None:
        """Have another function called in the place of a hook's."""
        self.calls[hook] = (call, self.calls[hook][1])

    def change(self, index: int, hook: int, level: int | None, permanent: bool) -> None:
        """Give a hook another level and permanence."""
        errors.call(go.HookChange, self._model, index, hook, _level(level), permanent)

    def remove(self, index: int, hook: int) -> None:
        """Take one hook off; nothing happens when it is gone already."""
        if self.calls.pop(hook, None) is not None:
            errors.call(go.HookRemove, self._model, index, hook)

    def clear(
        self, index: int, direction: str, level: int | None, including_permanent: bool
    ) -> list[list[int]]:
        """Take hooks off a point (-1: off all); returns the [point, hook] pairs that are gone."""
        removed: list[list[int]] = json.loads(
            errors.call(
                go.HookClear,
                self._model,
                index,
                _DIRECTIONS[direction],
                _level(level),
                including_permanent,
            )
        )
        for _, hook in removed:
            self.calls.pop(hook, None)
        return removed


class OwnPoint:
    """The place in the engine's registry of one hook point in a user's own module; it ends with its last reference.

    A copy is a place of its own, with no hooks.
    """

    def __init__(self) -> None:
        self._index: int = errors.call(go.OwnPointAdd)
        fork.finalize(self, go.OwnPointDrop, self._index)

    def __reduce__(self) -> Any:
        return OwnPoint, ()

    def add(self, direction: str, level: int | None, permanent: bool, prepend: bool) -> int:
        """Register a hook; returns its id."""
        return errors.call(
            go.HookAdd,
            _OWN,
            self._index,
            _DIRECTIONS[direction],
            _level(level),
            permanent,
            prepend,
        )

    def change(self, hook: int, level: int | None, permanent: bool) -> None:
        """Give a hook another level and permanence."""
        errors.call(go.HookChange, _OWN, self._index, hook, _level(level), permanent)

    def remove(self, hook: int) -> None:
        """Take one hook off."""
        errors.call(go.HookRemove, _OWN, self._index, hook)

    def order(self, direction: str) -> list[int]:
        """The ids of the hooks in the order in which they are to be called."""
        told = errors.call(go.HookList, _OWN, self._index, _DIRECTIONS[direction])
        return [row["id"] for row in json.loads(told)]


def clear_own(
    places: Sequence[OwnPoint], direction: str, level: int | None, including_permanent: bool
) -> set[int]:
    """Take hooks off points in users' own modules; returns the ids of those that are gone."""
    told = errors.call(
        go.OwnPointsClear,
        " ".join([str(place._index) for place in places]),
        _DIRECTIONS[direction],
        _level(level),
        including_permanent,
    )
    return {int(hook) for hook in told.split()}
