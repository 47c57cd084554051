"""Hook points: named places in a model where user functions see, and may replace, what passes by.

The engine's registry decides which hooks there are, in which order, and which of them a removal means; `fwd_hooks` and
`bwd_hooks` mirror it. The hooks of an engine model are called by its runs. Those of a point in a user's own module hang
among the module's forward and backward hooks, in the registry's order: a point without hooks costs what a module costs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

from ._engine import arrays
from ._engine.hooks import OwnPoint, clear_own
from ._engine.module import EnginePart, Module, ModuleDict, ModuleList
from ._not_built import names_of
from .hook_calls import (
    Removable,
    call_backward,
    call_converted,
    call_for_aliases,
    call_forward,
    call_read_only,
    layer_of,
)

__all__ = [
    "DeviceType",
    "HookFunction",
    "HookIntrospectionMixin",
    "HookPoint",
    "LensHandle",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NamesFilter",
]

Direction = Literal["fwd", "bwd", "both"]
NamesFilter = Callable[[str], bool] | Sequence[str] | str | None
DeviceType = Any

_PLACING = threading.Lock()


@runtime_checkable
class _HookFunctionProtocol(Protocol):
    """A hook: gets the value and the point; what it returns, unless None, replaces the value."""

    def __call__(self, tensor: Any, *, hook: HookPoint) -> Any: ...


HookFunction = _HookFunctionProtocol


@dataclass(eq=False)
class LensHandle:
    """One hook on one point. `hook.remove()` takes it off."""

    hook: Any
    is_permanent: bool = False
    context_level: int | None = None
    user_hook: Callable | None = None

    def matches(self, including_permanent: bool, level: int | None) -> bool:
        """Whether a call for these permanences and this level (None: any) means this hook."""
        if self.is_permanent and not including_permanent:
            return False
        return level is None or self.context_level == level


class HookPoint(EnginePart, Module):
    """A place that values pass through unchanged, but for its hooks.

    `name` is its path in the model, `ctx` a dict for hooks to keep things in, `pos_dim` the axis of positions
    where that is not 1, `hook_conversion` what hooks see values through (`enable_reshape`), and `backward_scale`
    what the sum of a gradient is multiplied by in backward hooks.
    """

    def __init__(self) -> None:
        super().__init__()
        # past Module.__setattr__, which is slow and has nothing to register here
        self.__dict__.update(
            fwd_hooks=[],
            bwd_hooks=[],
            ctx={},
            name=None,
            hook_conversion=None,
            backward_scale=1.0,
            pos_dim=None,
            _table=None,
            _index=-1,
            _canonical="",
            _resize=False,
            _place=None,
            _read_only=False,
        )

    _is_point = True

    @staticmethod
    def _arguments(frame: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What a module in the place of a model's hook point is called with."""
        return (frame.values["x"],), {}

    @staticmethod
    def _outputs(result: Any) -> list[Any]:
        return [result]

    def _engine_part(self) -> str:
        return "" if self._table is None else f"the hook point {self.name}"

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "hook_conversion" and self._table is not None:
            for handle in self.fwd_hooks:
                self._table.replace(handle.hook.number, self._converting(handle.hook.call))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a copy of a point, or what was pickled of one: its hooks come along."""
        super().__setstate__(state)
        if self._table is not None:
            raise NotImplementedError(
                f"the hook point {self.name} belongs to a model of the engine: it cannot be copied or pickled"
            )
        for handle in [*self.fwd_hooks, *self.bwd_hooks]:
            hook = handle.hook
            if isinstance(hook, Removable) and not hook.is_bound:
                permanent, level = hook.told
                hook.bind(self, self._own_place().add(hook.direction, level, permanent, False))

    def __repr__(self) -> str:
        parts = [f"name={self.name!r}"] if self.name is not None else []
        parts += [f"{len(self.fwd_hooks)} fwd"] if self.fwd_hooks else []
        parts += [f"{len(self.bwd_hooks)} bwd"] if self.bwd_hooks else []
        return f"HookPoint({', '.join(parts)})"

    # adding

    def add_perma_hook(self, hook: HookFunction, dir: Literal["fwd", "bwd"] = "fwd") -> None:
        """Add a hook that `reset_hooks` leaves in place."""
        self.add_hook(hook, dir=dir, is_permanent=True)

    def add_hook(
        self,
        hook: HookFunction,
        dir: Literal["fwd", "bwd"] = "fwd",
        is_permanent: bool = False,
        level: int | None = None,
        prepend: bool = False,
        alias_names: list[str] | None = None,
    ) -> LensHandle:
        """Have `hook(value, hook=point)` called for what passes by; with `prepend` before all others.

        What it returns, unless None, replaces the value. With `dir="bwd"` it is called in the backward pass with
        the gradient of what passed by, and what it returns (a tensor, or a tuple of one) replaces that. With
        `alias_names` it is called once for each, and sees a point of that name.

        Raises ValueError for another direction, TypeError for what cannot be called, and NotImplementedError for
        backward hooks without torch or on a model of the engine.
        """
        if dir not in ("fwd", "bwd"):
            raise ValueError(f"Invalid direction {dir}")
        if not callable(hook):
            raise TypeError(f"a hook must be callable, got {type(hook).__name__}: {hook!r}")
        call = hook if alias_names is None else partial(call_for_aliases, hook, alias_names)
        removable = self._hang(call, dir, bool(is_permanent), level, bool(prepend))
        handle = LensHandle(removable, is_permanent, level, hook)
        handles = self.__dict__[f"{dir}_hooks"]
        handles.insert(0 if prepend else len(handles), handle)
        return handle

    def _hang(
        self, call: Callable[..., Any], dir: str, permanent: bool, level: int | None, prepend: bool
    ) -> Removable:
        if self._table is not None:
            shown = self._converting(call)
            number = self._table.add(self._index, self, shown, dir, level, permanent, prepend)
            key = number
        else:
            number, key = self._hang_in_module(call, dir, permanent, level, prepend)
        removable = Removable(call, dir, key, (permanent, level))
        removable.bind(self, number)
        return removable

    def _hang_in_module(
        self, call: Callable[..., Any], dir: str, permanent: bool, level: int | None, prepend: bool
    ) -> tuple[int, int]:
        """The hook's number in the registry, and its key among the module's own hooks."""
        if dir == "bwd" and arrays.torch is None:
            raise NotImplementedError("backward hooks need torch: NumPy arrays carry no gradients")
        number = self._own_place().add(dir, level, permanent, prepend)
        if dir == "fwd":
            # what register_forward_hook does, in a third of the time; its keys count upwards from 0
            self._forward_hooks[-number] = partial(call_forward, call)
            if prepend:
                self._forward_hooks.move_to_end(-number, last=False)
            return number, -number
        try:
            hung = Module.register_full_backward_hook(
                self, partial(call_backward, call), prepend=prepend
            )
        except BaseException:
            self._own_place().remove(number)
            raise
        return number, hung.id

    def _own_place(self) -> OwnPoint:
        place: OwnPoint | None = self._place
        if place is None:
            with _PLACING:  # or two threads would each find a place of their own
                place = self._place
                if place is None:
                    place = self.__dict__["_place"] = OwnPoint()
        return place

    def _converting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        if self.hook_conversion is not None:
            call = partial(call_converted, call)
        return partial(call_read_only, call) if self._read_only else call

    # asking

    def has_hooks(
        self, dir: Direction = "both", including_permanent: bool = True, level: int | None = None
    ) -> bool:
        """Whether a hook of that direction, permanence and level is there."""
        return any(h.matches(including_permanent, level) for h in self._handles(dir))

    def _handles(self, dir: str) -> list[LensHandle]:
        if dir not in ("fwd", "bwd", "both"):
            raise ValueError(f"Invalid direction {dir}")
        forward = self.fwd_hooks if dir != "bwd" else []
        return [*forward, *self.bwd_hooks] if dir != "fwd" else list(forward)

    # removing

    def remove_hooks(
        self, dir: Direction = "fwd", including_permanent: bool = False, level: int | None = None
    ) -> None:
        """Take off the hooks of that direction, permanence and level (None: of every level)."""
        if not self._handles(dir):
            return
        self._tell_changes()
        if self._table is not None:
            cleared = self._table.clear(self._index, dir, level, including_permanent)
            self._forget({hook for _, hook in cleared})
        elif self._place is not None:
            self._forget(clear_own([self._place], dir, level, bool(including_permanent)))
        self._remove_foreign(dir, including_permanent, level)

    def _remove_foreign(self, dir: Direction, including_permanent: bool, level: int | None) -> None:
        """Take off hooks of torch for which user code put handles into the lists itself."""
        for handle in self._handles(dir):
            foreign = not isinstance(handle.hook, Removable)
            if foreign and handle.matches(including_permanent, level):
                handle.hook.remove()
                self._drop(lambda h, gone=handle: h is gone)

    def _tell_changes(self) -> None:
        """Tell the registry where a handle's `is_permanent` or `context_level` was written to."""
        for handle in [*self.fwd_hooks, *self.bwd_hooks]:
            hook, now = handle.hook, (bool(handle.is_permanent), handle.context_level)
            if not isinstance(hook, Removable) or hook.told == now or hook.number is None:
                continue
            permanent, level = now
            if self._table is not None:
                self._table.change(self._index, hook.number, level, permanent)
            else:
                self._own_place().change(hook.number, level, permanent)
            hook.told = now

    def _take_off(self, hook: Removable) -> None:
        """Take one hook off, in the registry and here."""
        number = hook.number
        if number is None:
            return
        if self._table is not None:
            self._table.remove(self._index, number)
        else:
            self._own_place().remove(number)
        self._silence(hook)
        self._drop(lambda h: h.hook is hook)

    def _forget(self, gone: set[int]) -> None:
        """Drop the hooks that the registry has not any more."""
        for name in ("fwd_hooks", "bwd_hooks"):
            handles = self.__dict__[name]
            if not handles:
                continue
            kept = []  # a new list, so that whoever walks the old one is undisturbed
            for handle in handles:
                hook = handle.hook
                if isinstance(hook, Removable) and hook.number in gone:
                    self._silence(hook)
                else:
                    kept.append(handle)
            self.__dict__[name] = kept

    def _silence(self, hook: Removable) -> None:
        hook.number = None
        if self._table is None:
            hung = self._forward_hooks if hook.direction == "fwd" else self._backward_hooks
            hung.pop(hook.id, None)

    def _drop(self, is_gone: Callable[[LensHandle], bool]) -> None:
        """Shorten the mirrored lists, as `_forget` does."""
        for name in ("fwd_hooks", "bwd_hooks"):
            handles = self.__dict__[name]
            kept = [handle for handle in handles if not is_gone(handle)]
            if len(kept) != len(handles):
                self.__dict__[name] = kept

    def clear_context(self) -> None:
        """Give the point an empty `ctx`."""
        self.__dict__["ctx"] = {}

    def enable_reshape(self, hook_conversion: Any = None) -> None:
        """Have hooks see `hook_conversion.convert(value)`, and `revert` what they return; None ends that."""
        self.hook_conversion = hook_conversion

    def forward(self, x: Any) -> Any:
        """`x`. Hooks are called around this, as of any module."""
        return x

    @property
    def positions(self) -> range | None:
        """While a hook of an engine model is called: where in the whole sequence, padding included, the position
        axis of its value stands. In generation that is the prompt, then one position at a time.

        In scores and patterns it is the axis of queries; their keys begin at position 0. None outside of a run, in a
        component that runs by itself, and in models of your own.
        """
        return None

    def layer(self) -> int:
        """The block that the point belongs to; ValueError or IndexError where its name says none."""
        return layer_of(self.name)


def remove_from_all(
    points: Iterable[Any], dir: Direction, including_permanent: bool, level: int | None
) -> None:
    """`remove_hooks` of each point; those of users' own modules are asked for in one crossing into the engine."""
    if dir not in ("fwd", "bwd", "both"):
        raise ValueError(f"Invalid direction {dir}")
    together = []
    for point in points:
        if type(point) is not HookPoint or point._table is not None:
            point.remove_hooks(dir, including_permanent=including_permanent, level=level)
        elif point.fwd_hooks or point.bwd_hooks:
            point._tell_changes()
            together.append(point)
    places = [point._place for point in together if point._place is not None]
    gone = clear_own(places, dir, level, bool(including_permanent)) if places else set()
    for point in together:
        point._forget(gone)
        point._remove_foreign(dir, including_permanent, level)


class HookIntrospectionMixin:
    """`list_hooks` for whatever has a `hook_dict`."""

    hook_dict: Any

    def list_hooks(
        self,
        name_filter: NamesFilter = None,
        dir: Direction = "both",
        including_permanent: bool = True,
    ) -> dict[str, list[LensHandle]]:
        """The hooks there are, by the name of their point; `name_filter` is a name, names or a predicate.

        Raises ValueError for a direction other than "fwd", "bwd" and "both".
        """
        if dir not in ("fwd", "bwd", "both"):
            raise ValueError(f"Invalid direction {dir}")
        if name_filter is None or callable(name_filter):
            matches = name_filter or (lambda name: True)
        else:
            names = {name_filter} if isinstance(name_filter, str) else set(name_filter)
            matches = names.__contains__
        found: dict[str, list[LensHandle]] = {}
        for name, point in self.hook_dict.items():
            if not matches(name):
                continue
            forward = point.fwd_hooks if dir != "bwd" else []
            backward = point.bwd_hooks if dir != "fwd" else []
            handles = [h for h in [*forward, *backward] if h.matches(including_permanent, None)]
            if handles:
                found[name] = handles
        return found


__getattr__ = names_of(
    __name__,
    moved={
        "HookedRootModule": "HookedRootModule is not in transformer_lens_go.hook_points: import it from "
        "transformer_lens_go, or from transformer_lens_go.HookedRootModule"
    },
)
