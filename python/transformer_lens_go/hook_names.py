"""Names of hook points: which of them a filter means, which are like one that is not there, whom to warn."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, cast

from ._engine.module import Module
from .given import brief

__all__ = [
    "HookFormError",
    "hook_pairs",
    "missing",
    "names_of_filter",
    "near_names",
    "outside_of_package",
    "place_of",
    "predicate_of",
    "warn_of_no_match",
    "warn_of_unmatched",
]


class HookFormError(TypeError, ValueError):
    """Hooks in a form that is none. Upstream raises TypeErrors and ValueErrors, as it happens to fail."""


def hook_pairs(what: str, hooks: Any) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """The (name or predicate, function) pairs of `fwd_hooks` or `bwd_hooks`, whichever `what` says.

    Raises HookFormError, naming what was given and the form.
    """
    form = f"{what} is a list of pairs (name, f), where f(value, hook) is called with the value"
    if isinstance(hooks, Mapping):
        raise HookFormError(f"{form}; got a {type(hooks).__name__}: pass list({what}.items())")
    if isinstance(hooks, (str, bytes)) or not isinstance(hooks, Iterable):
        raise HookFormError(f"{form}; got {brief(hooks)}")
    for pair in hooks:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            whole = isinstance(hooks, tuple) and len(hooks) == 2 and callable(hooks[1])
            hint = f": put the one pair in a list, [{brief(hooks)}]" if whole else ""
            raise HookFormError(f"{form}; got {brief(pair)} in the place of a pair{hint}")
        place, hook = pair
        if not callable(hook):
            swapped = isinstance(hook, str) and callable(place)
            hint = f": the name comes first, ({brief(hook)}, f)" if swapped else ""
            raise HookFormError(f"{form}; got {brief(hook)} in the place of the function{hint}")
        if not isinstance(place, str) and not callable(place):
            raise TypeError(
                f"expected a hook name or a predicate on names, got {brief(place)}; {form}"
            )
        yield place, hook


def place_of(place: Any, known: Mapping[str, Any]) -> Any:
    """The name of a hook point that was given in its place; a name, a predicate or anything else as it is.

    A module can be called, but is no predicate: what it returns for a name would mean "yes" for all of them.
    Raises HookFormError for a module that is none of the hook points `known` by name.
    """
    if not isinstance(place, Module):
        return place
    for name, point in known.items():
        if point is place:
            return name
    name = getattr(place, "name", None)
    kind = type(place).__name__ if name is None else f"{type(place).__name__} {brief(name)}"
    hint = near_names(name, known) if isinstance(name, str) and name not in known else ""
    raise HookFormError(
        f"expected a hook name or a predicate on names, got a {kind}, which is no hook point of this model: give "
        f"the name of one, or one that is in its hook_dict.{hint}"
    )


def names_of_filter(names_filter: Any, known: Mapping[str, Any]) -> Any:
    """A filter with all names of a hook point in the place of the point itself."""
    places = names_filter if isinstance(names_filter, list) else [names_filter]
    if not any(isinstance(place, Module) for place in places):
        return names_filter
    names: list[Any] = []
    for place in places:
        name = place_of(place, known)
        names += [name] if name is place else [n for n, point in known.items() if point is place]
    return names


def warn_of_unmatched(api: str, asked: Iterable[Any], known: Collection[str]) -> None:
    """Say which of the names asked for are none of those known, with near ones; nothing when all of them are."""
    unknown = [name for name in asked if name not in known]
    if unknown:
        shown = ", ".join(map(repr, unknown[:6])) + (", …" if len(unknown) > 6 else "")
        warnings.warn(
            f"{api}: no hook point of this model is called {shown}, so nothing is cached there."
            f"{near_names(str(unknown[0]), known)}",
            stacklevel=outside_of_package(),
        )


def missing(name: str, kept: Mapping[str, Any], model: Any, n_layers: int | None) -> str:
    """What a cache that has not `name` says: whether the run left it out, or there is none of that name."""
    known = getattr(model, "hook_dict", None)
    cfg = getattr(model, "cfg", None)
    n_layers = getattr(cfg, "n_layers", n_layers)
    begin = f"{brief(name)} is not in this cache"
    if known is not None and name in known:
        gate = getattr(model, "_gated_by", lambda point: None)(known[name])
        if gate is not None:
            return f"{begin}: {gate} was off. Call set_{gate}(True) before the run"
        return (
            f"{begin}, which has {len(kept)} of the model's {len(known)} names: names_filter, start_at_layer or "
            "stop_at_layer left it out of the run"
        )
    layer = re.match(r"blocks\.(-?\d+)\.", name)
    if n_layers is not None and layer and not 0 <= int(layer[1]) < n_layers:
        return f"{begin}: there is no layer {layer[1]}, the model has layers 0 to {n_layers - 1}"
    return f"{begin}, and no name of the model.{near_names(name, kept if known is None else known)}"


def near_names(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the known names most like `name`; nothing when none is."""
    import difflib  # slow to import, and only for errors

    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def outside_of_package() -> int:
    """The stack level, for `warnings.warn` in the caller, of the code that called into the package."""
    frame, level = sys._getframe(1), 1
    package = __name__.partition(".")[0]
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", ""), package):
        frame, level = frame.f_back, level + 1
    return level


def _is_inside(module: str, package: str) -> bool:
    return module.partition(".")[0] == package or module == "contextlib"


def predicate_of(names_filter: Any) -> Callable[[str], bool]:
    """The predicate that a filter stands for: None (every name), a name, a list of names, or a predicate.

    Raises ValueError for anything else.
    """
    if names_filter is None:
        return lambda name: True
    if isinstance(names_filter, str):
        return lambda name: name == names_filter
    if isinstance(names_filter, list):
        return lambda name: name in names_filter
    if callable(names_filter):
        return cast("Callable[[str], bool]", names_filter)
    raise ValueError(
        f"names_filter must be None, a name, a list of names or a predicate on names, got {brief(names_filter)}"
    )


def warn_of_no_match(api: str, known: Iterable[str]) -> None:
    """Say that a predicate or a filter matched no hook point, so that nothing happens."""
    warnings.warn(
        f"{api}: the predicate matched none of the {len(list(known))} hook names of this model (see "
        "model.hook_dict), so nothing was hooked.",
        stacklevel=outside_of_package(),
    )
