"""The model's parts as they stand now: what was replaced, and the hook points that came with it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ..hook_points import HookPoint

__all__ = ["LiveTreeMixin"]


class LiveTreeMixin:
    """Needs `_engine`, and `_own_points`: the engine's hook points, by its index."""

    _engine: Any
    _own_points: list[HookPoint]
    _points: list[HookPoint]  # those, then the ones that came with modules of the user's
    _hook_dict: dict[str, HookPoint]  # by name, aliases last
    _names: list[list[str]]  # of each of `_points`, the canonical one first

    def _watch_tree(self) -> None:
        """Follow changes of the parts from now on."""
        self._engine.parts.changed = _weakly(self._index_tree)
        self._index_tree()

    def _index_tree(self) -> None:
        """Look again which hook points there are."""
        parts = self._engine.parts
        hook_dict = {
            str(told["name"]): p
            for told, p in zip(self._engine.points, self._own_points, strict=True)
        }
        came: dict[str, HookPoint] = {}
        for path, part in parts.standing():
            if path not in hook_dict:
                pass
            elif isinstance(part, HookPoint):
                hook_dict[path] = part
            else:
                del hook_dict[path]
            came.update(_points_in(path, part))
        hook_dict.update(came)
        for alias, canonical in self._engine.aliases:
            if canonical in hook_dict:
                hook_dict[alias] = hook_dict[canonical]
        points = [*self._own_points, *came.values()]
        index = {id(point): i for i, point in enumerate(points)}
        names: list[list[str]] = [[] for _ in points]
        for name, point in hook_dict.items():
            names[index[id(point)]].append(name)
        self.__dict__.update(_points=points, _hook_dict=hook_dict, _names=names, _index=index)

    def setup(self) -> None:
        """Look again which hook points there are: needed after a module that was put into the model got new ones."""
        self._index_tree()

    def clear_hook_registry(self) -> None:
        """As `setup`: the registry is the engine's, and up to date but for the insides of users' own modules."""
        self._index_tree()

    def _index_of(self, point: HookPoint) -> int:
        """A point's place in `_points`."""
        return self.__dict__["_index"][id(point)]

    def _told_of(self, point: HookPoint) -> dict[str, Any]:
        """What the engine says of a point; nothing of those that are not its own."""
        index = self._index_of(point)
        return self._engine.points[index] if index < len(self._own_points) else {}


def _points_in(path: str, part: Any) -> dict[str, HookPoint]:
    """The hook points of a user's module at that path, which learn their names."""
    found: dict[str, HookPoint] = {}
    if not hasattr(part, "named_modules"):
        return found
    for short, module in part.named_modules():
        if isinstance(module, HookPoint) and not module._engine_part():
            name = f"{path}.{short}" if short else path
            module.__dict__.update(name=name, _canonical=name)
            found[name] = module
    return found


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Calls a bound method without keeping its object alive."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        bound = reference()
        if bound is not None:
            bound()

    return call
