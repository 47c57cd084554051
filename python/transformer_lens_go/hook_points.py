"""Hook points: named places in a model where user functions see, and may replace, what passes by.

The engine's registry decides which hooks are called and in which order; `fwd_hooks` and `bwd_hooks` mirror it. The
hooks of an engine model are called by its runs. Those of a point in a user's own module hang among the module's forward
and backward hooks, in the registry's order: a point without hooks costs what a module costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

from ._engine import arrays
from ._engine.hooks import OwnPoint, remove_own
from ._engine.module import EnginePart, Module, ModuleDict, ModuleList
from ._engine.whole import complete, whole
from ._not_built import names_of
from .given import brief, cut
from .hook_calls import (
    Removable,
    call_backward,
    call_converted,
    call_for_aliases,
    call_forward,
    call_read_only,
    check_parameters,
    layer_of,
)
from .hook_names import names_of_filter

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
            _read_only=False,
            _asked="",
        )

    _is_point = True
    _place: OwnPoint | None = (
        None  # in the engine's registry, of a point that belongs to no model; made when asked for
    )

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
        if name == "hook_conversion" and self._table is not None:
            complete(self._convert_hooks, value)
        else:
            super().__setattr__(name, value)

    def _convert_hooks(self, conversion: Any) -> None:
        self.__dict__["hook_conversion"] = conversion
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
                place, (permanent, level) = self._own_place(), hook.told
                number = next(place.ids)
                place.add(number, hook.direction, level, permanent, False)
                hook.bind(self, number)

    def __repr__(self) -> str:
        parts = [f"name={self.name!r}"] if self.name is not None else []
        parts += [f"{len(self.fwd_hooks)} fwd"] if self.fwd_hooks else []
        parts += [f"{len(self.bwd_hooks)} bwd"] if self.bwd_hooks else []
        return f"HookPoint({', '.join(parts)})"

    def asked_as(self, name: str) -> None:
        """Note under which of its names a user asked for this point: errors say it."""
        self.__dict__["_asked"] = name

    @property
    def shown_name(self) -> str:
        """The name for errors: the user's, with the point's own behind it where that is another."""
        asked, name = self._asked, str(self.name)
        return name if asked in ("", name) else f"{asked} ({name})"

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
            raise ValueError(f"Invalid direction {cut(str(dir))}")
        if not callable(hook):
            raise TypeError(f"a hook must be callable, got {type(hook).__name__}: {brief(hook)}")
        check_parameters(hook)
        call = hook if alias_names is None else partial(call_for_aliases, hook, alias_names)
        removable = Removable(call, dir, (bool(is_permanent), level))
        handle = LensHandle(removable, is_permanent, level, hook)
        whole(self._put_on, self._put_back, handle, prepend)
        return handle

    def _put_on(self, handle: LensHandle, prepend: bool) -> None:
        """Hang a hook up, in the registry and here. It knows its number before anybody else does."""
        hook = handle.hook
        if self._table is None:
            self._hang_in_module(hook, bool(prepend))
        else:
            hook.id = number = next(self._table.ids)
            hook.bind(self, number)
            (permanent, level), shown = hook.told, self._converting(hook.call)
            self._table.add(
                self._index, number, self, shown, hook.direction, level, permanent, bool(prepend)
            )
        mirror = f"{hook.direction}_hooks"
        if prepend:
            self.__dict__[mirror].insert(0, handle)
        else:
            self.__dict__[mirror].append(handle)

    def _put_back(self, handle: LensHandle, prepend: bool) -> None:
        """Undo `_put_on`, however far that came."""
        self._take_off((handle.hook,))

    def _hang_in_module(self, hook: Removable, prepend: bool) -> None:
        """As torch's registration does, in a third of the time; its own keys count upwards from 0."""
        if hook.direction == "bwd":
            if arrays.torch is None:
                raise NotImplementedError(
                    "backward hooks need torch: NumPy arrays carry no gradients"
                )
            if self._is_full_backward_hook is False:
                raise RuntimeError(
                    "this hook point has torch's old kind of backward hook (register_backward_hook), which "
                    "cannot be mixed with others: remove that, or use register_full_backward_hook"
                )
            self.__dict__["_is_full_backward_hook"] = True
        place = self._own_place()
        hung = self._hung(hook)
        number = next(place.ids)
        while -number in hung:  # a hook that came along with a copy
            number = next(place.ids)
        hook.id = -number
        hook.bind(self, number)
        permanent, level = hook.told
        place.add(number, hook.direction, level, permanent, prepend)
        caller = call_forward if hook.direction == "fwd" else call_backward
        hung[-number] = partial(caller, hook.call)
        if prepend:
            hung.move_to_end(-number, last=False)

    def _hung(self, hook: Removable) -> Any:
        """The module's own hooks of that hook's direction, by key."""
        return self._forward_hooks if hook.direction == "fwd" else self._backward_hooks

    def _own_place(self) -> OwnPoint:
        # setdefault is one step, so that two threads find one place; no lock, which a signal handler would wait for
        return self._place or self.__dict__.setdefault("_place", OwnPoint())

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
            raise ValueError(f"Invalid direction {cut(str(dir))}")
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
        complete(self._take_off, self._meant(dir, including_permanent, level))
        self._remove_foreign(dir, including_permanent, level)

    def _meant(self, dir: str, including_permanent: bool, level: int | None) -> list[Removable]:
        """The hooks, but for torch's, that a removal by direction, permanence and level means."""
        return [
            handle.hook
            for handle in self._handles(dir)
            if isinstance(handle.hook, Removable) and handle.matches(including_permanent, level)
        ]

    def _remove_foreign(self, dir: Direction, including_permanent: bool, level: int | None) -> None:
        """Take off hooks of torch for which user code put handles into the lists itself."""
        for handle in self._handles(dir):
            foreign = not isinstance(handle.hook, Removable)
            if foreign and handle.matches(including_permanent, level):
                handle.hook.remove()
                self._drop({id(handle.hook)})

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

    def _take_off(self, hooks: Sequence[Removable]) -> None:
        """Take hooks off, in the registry and here; idempotent."""
        hung = [hook.number for hook in hooks if hook.number is not None]
        if hung and self._table is not None:
            self._table.remove([(self._index, number) for number in hung])
        elif hung:
            place = self._own_place()
            remove_own([(place, number) for number in hung])
        self._forget(hooks)

    def _forget(self, hooks: Sequence[Removable]) -> None:
        """Drop hooks that the registry has not any more; idempotent."""
        self._drop({id(hook) for hook in hooks})
        for hook in hooks:
            if self._table is None and hook.id is not None:
                self._hung(hook).pop(hook.id, None)
            hook.number = None

    def _drop(self, gone: set[int]) -> None:
        """Shorten the mirrored lists by those hooks. They are new lists: whoever walks the old ones is undisturbed.

        Signal handlers and other threads may come between: what they change is not undone.
        """
        own = self.__dict__
        for name in ("fwd_hooks", "bwd_hooks"):
            while own[name]:
                handles = own[name]
                count = len(handles)
                kept = [handle for handle in handles if id(handle.hook) not in gone]
                if own[name] is handles and not handles[count:]:
                    own[name] = kept  # one step with the line before
                    break

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
            raise ValueError(f"Invalid direction {cut(str(dir))}")
        name_filter = names_of_filter(name_filter, self.hook_dict)
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
