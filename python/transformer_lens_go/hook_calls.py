"""What stands behind one hook of a HookPoint: how its function is called, and what takes it off.

Knows nothing of registries; `hook_points.py` puts these together.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable
from inspect import CO_VARKEYWORDS
from types import FunctionType
from typing import Any

from ._engine.whole import complete

__all__ = [
    "AliasedHookPoint",
    "Removable",
    "ScaledGradient",
    "call_backward",
    "call_converted",
    "call_for_aliases",
    "call_forward",
    "call_read_only",
    "check_parameters",
    "layer_of",
]


def layer_of(name: str | None) -> int:
    """The number in a name like "blocks.3.hook_in"; ValueError where there is none."""
    if name is None:
        raise ValueError("Name cannot be None")
    parts = name.split(".")
    if len(parts) < 2:
        raise IndexError(f"the name {name!r} has no second part that could be a layer")
    return int(parts[1])


def check_parameters(hook: Callable[..., Any]) -> None:
    """Raise TypeError for a function that has no parameter `hook`, with which it will be called.

    Of functions alone: what other callables take is not known before they are called.
    """
    code = getattr(hook, "__code__", None)
    if not isinstance(hook, FunctionType) or code is None or code.co_flags & CO_VARKEYWORDS:
        return
    if hasattr(hook, "__wrapped__"):  # a decorator's, which may pass on what it likes
        return
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if "hook" not in names[code.co_posonlyargcount :]:
        raise TypeError(
            f"a hook is called as f(value, hook=point), and {hook.__qualname__}({', '.join(names)}) has no parameter "
            "'hook': add it, as in lambda value, hook: …"
        )


class AliasedHookPoint:
    """A HookPoint under another name: what a hook sees that was added for an alias."""

    def __init__(self, alias_name: str, target: Any) -> None:
        self.name = alias_name
        self._target = target

    @property
    def ctx(self) -> dict:
        return self._target.ctx

    @property
    def hook_conversion(self) -> Any:
        return self._target.hook_conversion

    @property
    def positions(self) -> range | None:
        return self._target.positions

    def layer(self) -> int:
        return layer_of(self.name)


class ScaledGradient:
    """A gradient whose sum over everything comes out multiplied by `scale`; all else is the tensor's."""

    def __init__(self, tensor: Any, scale: float) -> None:
        self._tensor = tensor
        self._scale = scale

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        total = self._tensor.sum(*args, **kwargs)
        return total * self._scale if total.numel() == 1 else total

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensor, name)

    def __repr__(self) -> str:
        return f"ScaledGradient({self._tensor!r}, scale={self._scale})"


class Removable:
    """Takes one hook off its point.

    `number` is the hook's id in the engine's registry, None once it is off; `id` its key in the module's
    `_forward_hooks` or `_backward_hooks` where it hangs there, else the same; `told` the (permanence, level) that the
    registry knows. It belongs to no point until its point takes it in (`bind`), and no more does a copy.
    """

    __slots__ = ("_point", "call", "direction", "id", "number", "told")

    def __init__(
        self,
        call: Callable[..., Any],
        direction: str,
        told: tuple[bool, int | None],
        key: int | None = None,
    ) -> None:
        self.call = call
        self.direction = direction
        self.id = key
        self.told = told
        self.number: int | None = None
        self._point: Callable[[], Any] | None = None

    def __reduce__(self) -> Any:
        return Removable, (self.call, self.direction, self.told, self.id)

    @property
    def is_bound(self) -> bool:
        """Whether it has ever belonged to a point."""
        return self._point is not None

    def bind(self, point: Any, number: int) -> None:
        """Belong to `point`, as the registry's hook `number`."""
        self._point = weakref.ref(point)
        self.number = number

    def remove(self) -> None:
        """Take the hook off; nothing happens when it is off already, or its point is gone."""
        point = self._point() if self._point is not None else None
        if point is not None and self.number is not None:
            complete(point._take_off, (self,))

    def __enter__(self) -> Removable:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def call_for_aliases(call: Callable[..., Any], names: Iterable[str], value: Any, hook: Any) -> Any:
    """Call once for each name, each time with what the calls before left."""
    changed = None
    for name in names:
        result = call(value, hook=AliasedHookPoint(name, hook))
        if result is not None:
            value = changed = result
    return changed


def call_converted(call: Callable[..., Any], value: Any, hook: Any) -> Any:
    """Call with the value as the point's conversion shows it."""
    conversion = hook.hook_conversion
    if conversion is None:
        return call(value, hook=hook)
    result = call(conversion.convert(value), hook=hook)
    return None if result is None else conversion.revert(result)


def call_forward(call: Callable[..., Any], point: Any, args: Any, output: Any) -> Any:
    """A hook in the form of a module's forward hooks."""
    if point.hook_conversion is None:
        return call(output, hook=point)
    return call_converted(call, output, point)


def call_backward(call: Callable[..., Any], point: Any, given: Any, grads: Any) -> Any:
    """A hook in the form of torch's full backward hooks: gradients come and go in tuples."""
    grad = grads[0]
    if point.backward_scale != 1.0:
        grad = ScaledGradient(grad, point.backward_scale)
    result = call_converted(call, grad, point)
    if result is None or (isinstance(result, tuple) and len(result) == 1):
        return result
    return (result,)


def call_read_only(call: Callable[..., Any], value: Any, hook: Any) -> Any:
    """Call a hook on a value that has been used already, and say so when it edits it."""
    before = value + 0
    result = call(value, hook=hook)
    if not _same(before, value if result is None else result):
        warnings.warn(
            f"a hook at {hook.name} edited its value, which reaches nothing: the attention of a native model shows "
            "its pattern there when it is done. Edit hook_pattern instead",
            UserWarning,
            stacklevel=2,
        )
    return result


def _same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same, NaN being like NaN."""
    shape = getattr(b, "shape", None)
    return shape == a.shape and bool(((a == b) | ((a != a) & (b != b))).all())
