"""Hooks as the engine's registries know them: which there are, in what order, of which level and permanence.

The functions stay in Python, where the collector sees them: hooks close over models. A model's are called by its runs
(`HookTable`). Those on hook points in a user's own modules (`OwnPoint`) are called by the modules themselves, in the
order that the registry keeps. Python chooses a hook's id before the registry hears of it, so that an interrupted
addition can be taken back: removing tells the registry of ids, whether it knows them or not.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from . import errors
from .compiled import glue, go

__all__ = ["HookTable", "OwnPoint", "remove_own"]

_NO_LEVEL = -(1 << 63)
_DIRECTIONS = {"fwd": 0, "bwd": 1, "both": 2}
_OWN = 0  # the registry of all points in users' own modules


def _level(level: int | None) -> int:
    return _NO_LEVEL if level is None else level


class HookTable:
    """Hooks of one model: each id of the engine with the function to call and the point to name to it."""

    def __init__(self, model: int) -> None:
        self._model = model
        self.ids = itertools.count(1)  # of hooks to come
        self.calls: dict[int, tuple[Callable[..., Any], Any]] = {}

    def add(
        self,
        index: int,
        hook: int,
        point: Any,
        call: Callable[..., Any],
        direction: str,
        level: int | None,
        permanent: bool,
        prepend: bool,
    ) -> None:
        """Hang a function on the point with that index, as the hook of that id."""
        self.calls[hook] = (call, point)
        errors.call(
            go.HookAdd,
            self._model,
            index,
            hook,
            _DIRECTIONS[direction],
            _level(level),
            permanent,
            prepend,
        )

    def replace(self, hook: int, call: Callable[..., Any]) -> None:
        """Have another function called in the place of a hook's."""
        self.calls[hook] = (call, self.calls[hook][1])

    def change(self, index: int, hook: int, level: int | None, permanent: bool) -> None:
        """Give a hook another level and permanence."""
        errors.call(go.HookChange, self._model, index, hook, _level(level), permanent)

    def remove(self, hooks: Sequence[tuple[int, int]]) -> None:
        """Take hooks off, (index of the point, id); nothing happens with those that are gone already."""
        errors.call(go.HookRemove, self._model, _named(hooks))
        for _, hook in hooks:
            self.calls.pop(hook, None)


class OwnPoint:
    """The place in the engine's registry of one hook point in a user's own module; it ends with its last reference.

    A copy is a place of its own, with no hooks.
    """

    ids = itertools.count(1)  # of hooks to come

    def __init__(self) -> None:
        self._owned = glue.Owned(go.OwnPointDrop, go.OwnPointAdd)

    def __reduce__(self) -> Any:
        return OwnPoint, ()

    def add(
        self, hook: int, direction: str, level: int | None, permanent: bool, prepend: bool
    ) -> None:
        """Register a hook under its id."""
        errors.call(
            go.HookAdd,
            _OWN,
            self._owned.id,
            hook,
            _DIRECTIONS[direction],
            _level(level),
            permanent,
            prepend,
        )

    def change(self, hook: int, level: int | None, permanent: bool) -> None:
        """Give a hook another level and permanence."""
        errors.call(go.HookChange, _OWN, self._owned.id, hook, _level(level), permanent)

    def order(self, direction: str) -> list[int]:
        """The ids of the hooks in the order in which they are to be called."""
        told = errors.call(go.HookList, _OWN, self._owned.id, _DIRECTIONS[direction])
        return [row["id"] for row in json.loads(told)]


def remove_own(hooks: Sequence[tuple[OwnPoint, int]]) -> None:
    """Take hooks off points in users' own modules; nothing happens with those that are gone already."""
    errors.call(go.HookRemove, _OWN, _named([(place._owned.id, hook) for place, hook in hooks]))


def _named(hooks: Sequence[tuple[int, int]]) -> str:
    return " ".join([f"{index} {hook}" for index, hook in hooks])
