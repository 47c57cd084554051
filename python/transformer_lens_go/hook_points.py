"""Hook points: named places in a model where user functions see, and may replace, what passes by.

A HookPoint of an engine model hangs its functions in the engine's registry, which decides order and levels, and
mirrors them in `fwd_hooks` and `bwd_hooks`. One that belongs to no model (in a user's own module) keeps them here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

from ._engine import arrays
from ._engine.module import EnginePart, Module

__all__ = [
    "DeviceType",
    "HookFunction",
    "HookIntrospectionMixin",
    "HookPoint",
    "LensHandle",
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


class _Removable:
    """What takes one hook off, and what that hook calls."""

    def __init__(self, call: Callable[..., Any], take_off: Callable[[], None]) -> None:
        self.call = call
        self._take_off: Callable[[], None] | None = take_off

    def remove(self) -> None:
        take_off, self._take_off = self._take_off, None
        if take_off is not None:
            take_off()

    def __enter__(self) -> _Removable:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class _AliasedHookPoint:
    """A HookPoint under another name: what a hook sees that was added for an alias."""

    def __init__(self, alias_name: str, target: HookPoint) -> None:
        self.name = alias_name
        self._target = target

    @property
    def ctx(self) -> dict:
        return self._target.ctx

    @property
    def hook_conversion(self) -> Any:
        return self._target.hook_conversion

    def layer(self) -> int:
        return _layer_of(self.name)


def _layer_of(name: str | None) -> int:
    if name is None:
        raise ValueError("Name cannot be None")
    return int(name.split(".")[1])


class HookPoint(EnginePart, Module):
    """A place that values pass through unchanged, but for its hooks.

    `name` is its path in the model, `ctx` a dict for hooks to keep things in, `pos_dim` the axis of positions
    where that is not 1.
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
            _resize=False,
        )

    def _bind(self, table: Any, index: int, name: str, resize: bool) -> None:
        """Become point number `index` of the model whose hooks `table` holds."""
        self.__dict__.update(_table=table, _index=index, name=name, _resize=resize, training=False)

    def _engine_part(self) -> str:
        return "" if self._table is None else f"the hook point {self.name}"

    def __repr__(self) -> str:
        parts = [f"name={self.name!r}"] if self.name is not None else []
        parts += [f"{len(self.fwd_hooks)} fwd"] if self.fwd_hooks else []
        parts += [f"{len(self.bwd_hooks)} bwd"] if self.bwd_hooks else []
        return f"HookPoint({', '.join(parts)})"

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

        With `alias_names` it is called once for each, and sees a point of that name.
        """
        if dir not in ("fwd", "bwd"):
            raise ValueError(f"Invalid direction {dir}")
        if not callable(hook):
            raise TypeError(f"a hook must be callable, got {type(hook).__name__}: {hook!r}")
        call = hook if alias_names is None else partial(_call_for_aliases, hook, alias_names)
        if self.hook_conversion is not None:
            call = partial(_call_converted, call)
        removable = self._hang(call, dir, is_permanent, level, prepend)
        handle = LensHandle(removable, is_permanent, level, hook)
        handles = self.__dict__[f"{dir}_hooks"]
        handles.insert(0 if prepend else len(handles), handle)
        return handle

    def _hang(
        self, call: Callable[..., Any], dir: str, permanent: bool, level: int | None, prepend: bool
    ) -> _Removable:
        if self._table is not None:
            table, index = self._table, self._index
            hook = table.add(index, self, call, dir, level, permanent, prepend)

            def take_off() -> None:
                table.remove(index, hook)
                self._forget({removable})

        elif dir == "fwd":

            def take_off() -> None:
                self._forget({removable})

        elif arrays.torch is None:
            raise NotImplementedError("backward hooks need torch: NumPy arrays carry no gradients")
        else:
            handle = self.register_full_backward_hook(
                partial(_call_backward, call, self), prepend=prepend
            )

            def take_off() -> None:
                handle.remove()
                self._forget({removable})

        removable = _Removable(call, take_off)
        return removable

    def _forget(self, removed: set[_Removable]) -> None:
        """Drop handles from the mirrored lists; new lists, so that whoever walks the old ones is undisturbed."""
        for name in ("fwd_hooks", "bwd_hooks"):
            handles = self.__dict__[name]
            if any(handle.hook in removed for handle in handles):
                self.__dict__[name] = [h for h in handles if h.hook not in removed]

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

    def remove_hooks(
        self, dir: Direction = "fwd", including_permanent: bool = False, level: int | None = None
    ) -> None:
        """Take off the hooks of that direction, permanence and level."""
        for handle in self._handles(dir):
            if handle.matches(including_permanent, level):
                handle.hook.remove()

    def clear_context(self) -> None:
        """Give the point an empty `ctx`."""
        self.__dict__["ctx"] = {}

    def enable_reshape(self, hook_conversion: Any = None) -> None:
        """Have hooks added from now on see `convert(value)`, and `revert` what they return."""
        self.hook_conversion = hook_conversion

    def forward(self, x: Any) -> Any:
        """`x`, or what the hooks made of it: a hook point is a module that can be called by itself."""
        for handle in list(self.fwd_hooks):
            result = handle.hook.call(x, hook=self)
            if result is not None:
                x = result
        return x

    def layer(self) -> int:
        """The block that the point belongs to; ValueError where its name says none."""
        return _layer_of(self.name)


def _call_for_aliases(call: Callable[..., Any], names: Iterable[str], value: Any, hook: Any) -> Any:
    changed = None
    for name in names:
        result = call(value, hook=_AliasedHookPoint(name, hook))
        if result is not None:
            value = changed = result
    return changed


def _call_converted(call: Callable[..., Any], value: Any, hook: Any) -> Any:
    conversion = hook.hook_conversion
    if conversion is None:
        return call(value, hook=hook)
    result = call(conversion.convert(value), hook=hook)
    return None if result is None else conversion.revert(result)


def _call_backward(
    call: Callable[..., Any], point: HookPoint, module: Any, given: Any, grads: Any
) -> Any:
    """torch's form of a backward hook: the gradients come and go in tuples."""
    result = call(grads[0], hook=point)
    return result if result is None or isinstance(result, tuple) else (result,)


class HookIntrospectionMixin:
    """`list_hooks` for whatever has a `hook_dict`."""

    hook_dict: Any

    def list_hooks(
        self,
        name_filter: NamesFilter = None,
        dir: Direction = "both",
        including_permanent: bool = True,
    ) -> dict[str, list[LensHandle]]:
        """The hooks there are, by the name of their point; `name_filter` is a name, names or a predicate."""
        if name_filter is None or callable(name_filter):
            matches = name_filter or (lambda name: True)
        else:
            names = {name_filter} if isinstance(name_filter, str) else set(name_filter)
            matches = names.__contains__
        found: dict[str, list[LensHandle]] = {}
        for name, point in self.hook_dict.items():
            if not matches(name):
                continue
            handles = [h for h in point._handles(dir) if h.matches(including_permanent, None)]
            if handles:
                found[name] = handles
        return found
