"""Hooks that are put on together, all of them or none, and taken off together, whatever signals come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ContextDecorator
from functools import partial
from typing import Any

from ._engine.hooks import remove_own
from ._engine.whole import Change, complete
from .given import cut
from .hook_calls import Removable
from .hook_points import Direction, HookPoint, LensHandle

__all__ = ["AllOrNone", "HooksForABlock", "remove_from_all"]

Requested = Iterable[tuple[Any, Callable[..., Any], str]]


class AllOrNone(Change):
    """Hooks that are added within a block: if it raises, those that it had added are taken off again."""

    def __init__(self) -> None:
        self.added: list[tuple[Any, Any]] = []
        self._adding: tuple[Any, list[Any]] | None = None

    def add(self, point: Any, hook: Callable[..., Any], **options: Any) -> None:
        """`point.add_hook(hook, **options)`, noted."""
        self.note(point, partial(point.add_hook, hook, **options))

    def note(self, point: Any, add: Callable[[], Any]) -> None:
        """`add()`, which adds hooks to that point, noted."""
        before = _handles(point)
        self._adding = (point, before)
        handle = add()
        if isinstance(handle, LensHandle):
            self.added.append((point, handle))
        else:  # of a class of the user's
            self.added += _new(point, before)
        self._adding = None

    def take_off(self) -> None:
        """Take off what was added, also where adding was interrupted; idempotent."""
        adding = self._adding
        for _, handle in [*self.added, *(_new(*adding) if adding is not None else ())]:
            handle.hook.remove()

    def _begin(self) -> AllOrNone:
        return self

    def _end(self) -> None:
        if not self.is_done:
            self.take_off()

    is_done = False
    """Whether all of them are on; to be set at the end of the block."""


class HooksForABlock(AllOrNone, ContextDecorator):
    """The hooks of one context level, on whole or not at all.

    `owner` has a `context_level`, and is what the block gets; `request` gives (point, hook, direction) for each hook.
    At the end they go unless `reset` is False; `clear_contexts` then empties the points' `ctx`.
    """

    def __init__(
        self, owner: Any, request: Callable[[], Requested], reset: bool, clear_contexts: bool
    ) -> None:
        super().__init__()
        self.owner = owner
        self.level = 0
        self._request = request
        self._reset = reset
        self._clear_contexts = clear_contexts
        self._is_open = False

    def _recreate_cm(self) -> HooksForABlock:
        return type(self)(self.owner, self._request, self._reset, self._clear_contexts)

    def _begin(self) -> Any:
        own = self.owner.__dict__
        own["context_level"] = self.level = own["context_level"] + 1
        self._is_open = True  # one step with the line before
        for point, hook, direction in self._request():
            self.add(point, hook, dir=direction, level=self.level)
        self.is_done = True
        return self.owner

    def _end(self) -> None:
        if self._is_open:
            self._remove()
            if self._clear_contexts:
                self._clear()
        own = self.owner.__dict__
        if self._is_open:
            own["context_level"] -= 1
            self._is_open = False  # one step with the line before

    def _remove(self) -> None:
        if self._reset or not self.is_done:
            self.take_off()

    def _clear(self) -> None:
        for point, _ in self.added:
            point.clear_context()


def remove_from_all(
    points: Iterable[Any], dir: Direction, including_permanent: bool, level: int | None
) -> None:
    """`remove_hooks` of each point; those of users' own modules are asked for in one crossing into the engine."""
    if dir not in ("fwd", "bwd", "both"):
        raise ValueError(f"Invalid direction {cut(str(dir))}")
    together: list[tuple[Any, list[Removable]]] = []
    for point in points:
        if type(point) is not HookPoint or point._table is not None:
            point.remove_hooks(dir, including_permanent=including_permanent, level=level)
        elif point.fwd_hooks or point.bwd_hooks:
            point._tell_changes()
            together.append((point, point._meant(dir, including_permanent, level)))
    complete(_take_off_all, together)
    for point, _ in together:
        point._remove_foreign(dir, including_permanent, level)


def _take_off_all(together: Sequence[tuple[HookPoint, Sequence[Removable]]]) -> None:
    """`_take_off` of each of these points in users' own modules; idempotent."""
    hung = [
        (point._own_place(), hook.number)
        for point, hooks in together
        for hook in hooks
        if hook.number is not None
    ]
    if hung:
        remove_own(hung)
    for point, hooks in together:
        point._forget(hooks)


def _handles(point: Any) -> list[Any]:
    return [*getattr(point, "fwd_hooks", ()), *getattr(point, "bwd_hooks", ())]


def _new(point: Any, before: list[Any]) -> list[tuple[Any, Any]]:
    return [(point, h) for h in _handles(point) if not any(h is other for other in before)]
