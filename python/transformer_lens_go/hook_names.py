"""Names of hook points: which of them a filter means, which are like one that is not there, whom to warn."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, cast

__all__ = ["near_names", "outside_of_package", "predicate_of", "warn_of_no_match"]


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
        f"names_filter must be None, a name, a list of names or a predicate on names, got {names_filter!r}"
    )


def warn_of_no_match(api: str, known: Iterable[str]) -> None:
    """Say that a predicate or a filter matched no hook point, so that nothing happens."""
    warnings.warn(
        f"{api}: the predicate matched none of the {len(list(known))} hook names of this model (see "
        "model.hook_dict), so nothing was hooked.",
        stacklevel=outside_of_package(),
    )
