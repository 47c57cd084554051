"""Hook points by name, and hooks that stay: adding, listing and removing them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

from .._engine.whole import complete
from ..given import brief, cut
from ..hook_calls import Removable
from ..hook_changes import AllOrNone
from ..hook_names import near_names, outside_of_package, place_of, warn_of_no_match
from ..hook_points import HookPoint
from ..summaries import ByName

__all__ = ["HookingMixin"]

Direction = Literal["fwd", "bwd"]


class HookingMixin:
    """Needs `cfg`, `_engine`, `_points` (by the engine's index) and `_hook_dict` (by name, aliases last)."""

    cfg: Any
    _engine: Any
    _points: list[HookPoint]
    _own_points: list[HookPoint]
    _hook_dict: dict[str, HookPoint]
    _index_of: Any
    _told_of: Any
    context_level: int

    @property
    def hook_dict(self) -> dict[str, HookPoint]:
        """Every hook point by name: the canonical names, then the aliases, which are the same objects."""
        return ByName(self._hook_dict)

    @property
    def mod_dict(self) -> dict[str, Any]:
        """Every component and hook point by name."""
        parts = {name: part for name, part in self.named_modules() if name}  # type: ignore[attr-defined]
        return ByName({**parts, **self._hook_dict})

    def hook_points(self) -> Iterable[HookPoint]:
        """The hook points, as often as they have names in `hook_dict`."""
        return self._hook_dict.values()

    def get_hook_point(self, hook_name: str) -> HookPoint | None:
        """The hook point of that name (canonical or alias), or None."""
        return self._hook_dict.get(hook_name)

    def _resolve(self, name: str) -> HookPoint:
        """The hook point of that name; KeyError with near names when there is none."""
        point = self._hook_dict.get(name)
        if point is None:
            hint = near_names(name, self._hook_dict)
            raise KeyError(f"Hook name {brief(name)} does not exist on this model.{hint}")
        self._warn_if_silent(name, point)
        point.asked_as(name)
        return point

    def _warn_if_silent(self, name: str, point: HookPoint) -> None:
        """Say so when a point was asked for by name that no run of this architecture comes by."""
        if self._told_of(point).get("silent"):
            warnings.warn(
                f"the hook point {brief(name)} exists, but models of this architecture never fire it.",
                stacklevel=outside_of_package(),
            )

    # gates

    def _gated_by(self, point: HookPoint) -> str | None:
        """The flag that is off and without which the point never fires; None when it can."""
        gate = self._told_of(point).get("gate")
        return gate if gate and not getattr(self.cfg, gate) else None

    def check_hooks_to_add(
        self,
        hook_point: HookPoint,
        hook_point_name: str,
        hook: Callable[..., Any],
        dir: Direction = "fwd",
        is_permanent: bool = False,
        prepend: bool = False,
    ) -> None:
        """Called before each hook is added; raises ValueError for a point that would never fire."""
        gate = self._gated_by(hook_point)
        if gate is not None:
            raise ValueError(
                f"Cannot add hook {hook_point_name} because {gate} is False. "
                f"Call set_{gate}(True) first."
            )

    def _warn_of_sweep(
        self, api: str, matched: bool, gated: list[str], stacklevel: int = 4
    ) -> None:
        """Warn of a predicate that matched nothing, or points that never fire."""
        if not matched:
            warn_of_no_match(api, self._hook_dict)
        if gated:
            shown = ", ".join(gated[:6]) + (", …" if len(gated) > 6 else "")
            warnings.warn(
                f"{api}: skipped {len(gated)} gated-off hook name(s) that would never fire: {shown}. "
                "Call the relevant set_use_*(True) setter first to enable them.",
                stacklevel=outside_of_package(),
            )

    def _sweep(self, api: str, predicate: Callable[[str], bool]) -> list[HookPoint]:
        """The points with a name that the predicate accepts, each once, without those that never fire."""
        matched: dict[int, str] = {}
        for name, point in self._hook_dict.items():
            if predicate(name):
                matched.setdefault(self._index_of(point), name)
        points = {index: self._points[index] for index in matched}
        for index, point in points.items():
            point.asked_as(matched[index])
        gated = [matched[i] for i, point in points.items() if self._gated_by(point) is not None]
        self._warn_of_sweep(api, bool(matched), gated)
        return [point for point in points.values() if self._gated_by(point) is None]

    # adding

    def add_hook(
        self,
        name: str | Callable[[str], bool],
        hook_fn: Callable[..., Any],
        dir: Direction = "fwd",
        is_permanent: bool = False,
    ) -> None:
        """Add a hook to the point of that name, or to every point whose name a predicate accepts.

        Args:
            name: a name of `hook_dict`, canonical or alias, one of its points, or a predicate on names.
            hook_fn: called as `hook_fn(value, hook=point)` in every run; what it returns, unless None, replaces
                the value.
            dir: "fwd"; "bwd" raises NotImplementedError for now.
            is_permanent: `reset_hooks()` leaves it in place.

        Raises:
            AttributeError: a name that is not there; the error offers near ones.
            ValueError: a point that a flag of the configuration switches off.
            TypeError: what cannot be called.

        Example:
            >>> shapes = []
            >>> model.add_hook("blocks.0.hook_resid_pre", lambda value, hook: shapes.append(tuple(value.shape)))
            >>> _ = model("The capital of France is")
            >>> shapes  # [batch, pos, d_model]
            [(1, 6, 32)]
            >>> model.reset_hooks()
        """
        name = place_of(name, self._hook_dict)
        if isinstance(name, str):
            point = self._hook_dict.get(name) or self._missing(name)
            self._warn_if_silent(name, point)
            point.asked_as(name)
            self._add_to(point, point._canonical, hook_fn, dir, is_permanent)
        elif callable(name):
            with AllOrNone() as together:
                for point in self._sweep("add_hook", name):
                    self.check_hooks_to_add(
                        point, point._canonical, hook_fn, dir=dir, is_permanent=is_permanent
                    )
                    together.add(point, hook_fn, dir=dir, is_permanent=is_permanent)
                together.is_done = True
        else:
            raise TypeError(f"expected a hook name or a predicate on names, got {brief(name)}")

    def add_perma_hook(
        self, name: str | Callable[[str], bool], hook_fn: Callable[..., Any], dir: Direction = "fwd"
    ) -> None:
        """Add a hook that `reset_hooks` leaves in place."""
        self.add_hook(name, hook_fn, dir=dir, is_permanent=True)

    def _add_to(
        self,
        point: HookPoint,
        name: str,
        hook_fn: Callable[..., Any],
        dir: Direction,
        is_permanent: bool,
    ) -> None:
        self.check_hooks_to_add(point, name, hook_fn, dir=dir, is_permanent=is_permanent)
        point.add_hook(hook_fn, dir=dir, is_permanent=is_permanent)

    def _missing(self, name: str) -> HookPoint:
        """Raise AttributeError saying at which part of a hook's name the model ends."""
        hint = near_names(name, self._hook_dict)
        *path, last = name.split(".")
        owner: Any = self
        try:
            for part in path:
                owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
        except (AttributeError, IndexError, TypeError):
            raise AttributeError(
                f"Component path {brief('.'.join(path))} not found.{hint}"
            ) from None
        found = getattr(owner, last, None)
        if found is None:
            raise AttributeError(f"Hook point {brief(last)} not found on component.{hint}")
        raise AttributeError(
            f"{brief(last)} is not a hook point. Found object of type: {type(found)}.{hint}"
        )

    # removing

    def clear_contexts(self) -> None:
        """Give every hook point an empty `ctx`."""
        for point in self._points:
            if point.ctx:
                point.clear_context()

    def remove_all_hook_fns(
        self,
        direction: Literal["fwd", "bwd", "both"] = "both",
        including_permanent: bool = False,
        level: int | None = None,
    ) -> None:
        """Take the hooks of that direction, permanence and level off every point."""
        if direction not in ("fwd", "bwd", "both"):
            raise ValueError(f"Invalid direction {cut(str(direction))}")
        hooked = [point for point in self._points if point.fwd_hooks or point.bwd_hooks]
        for point in hooked:
            point._tell_changes()
        meant = [
            (point, point._meant(direction, including_permanent, level))
            for point in hooked
            if self._index_of(point) < len(self._own_points)
        ]
        complete(self._take_off, meant)
        for point in self._points[len(self._own_points) :]:
            point.remove_hooks(direction, including_permanent, level)

    def _take_off(self, meant: list[tuple[HookPoint, list[Removable]]]) -> None:
        """Take hooks off the engine's points, in its registry and here; idempotent."""
        self._engine.hooks.remove(
            [
                (point._index, hook.number)
                for point, hooks in meant
                for hook in hooks
                if hook.number is not None
            ]
        )
        for point, hooks in meant:
            point._forget(hooks)

    def reset_hooks(
        self,
        clear_contexts: bool = True,
        direction: Literal["fwd", "bwd", "both"] = "both",
        including_permanent: bool = False,
        level: int | None = None,
    ) -> None:
        """Take hooks off every point, and empty the points' `ctx` unless told not to."""
        if clear_contexts:
            self.clear_contexts()
        self.remove_all_hook_fns(direction, including_permanent=including_permanent, level=level)
