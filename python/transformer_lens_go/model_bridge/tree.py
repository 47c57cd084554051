"""What `repr` shows: the tree of components with their weights' shapes and hook names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..hook_points import HookPoint

__all__ = ["describe", "parts_of", "title"]


def describe(title: str, parts: dict[str, Any]) -> str:
    """A title and, indented under it, every part; blocks that are alike are shown once."""
    return "\n".join(
        [title, *(f"  {line}" for name, part in parts.items() for line in _lines(name, part))]
    )


def parts_of(part: Any) -> dict[str, Any]:
    """The parts of a part that are no hook points, as they stand now."""
    return {
        name: child
        for name, child in part._modules.items()
        if child is not None and not isinstance(child, HookPoint)
    }


def _lines(name: str, part: Any) -> Iterator[str]:
    if hasattr(part, "__len__"):
        yield from _list_lines(name, list(part))
        return
    yield f"({name}): {title(part)}"
    yield from (f"  {line}" for line in _body(part))


def _body(part: Any) -> Iterator[str]:
    if not hasattr(part, "get_hooks"):  # a user's own module
        yield from (f"({name}): {title(child)}" for name, child in parts_of(part).items())
        return
    hooks = list(part.get_hooks())
    aliases = list(part.__dict__["_aliases"])
    if hooks:
        yield "hooks: " + " ".join(hooks)
    if aliases:
        yield "aliases: " + " ".join(aliases)
    for name, child in parts_of(part).items():
        yield from _lines(name, child)


def _list_lines(name: str, blocks: list[Any]) -> Iterator[str]:
    yield f"({name}): {len(blocks)} blocks"
    start = 0
    while start < len(blocks):
        body = list(_body(blocks[start]))
        end = start + 1
        while end < len(blocks) and list(_body(blocks[end])) == body:
            end += 1
        numbers = str(start) if end == start + 1 else f"{start}-{end - 1}"
        yield f"  ({numbers}): {title(blocks[start])}"
        yield from (f"    {line}" for line in body)
        start = end


def title(part: Any) -> str:
    """A component's class and the shapes of its weights; names of one and the same weight share one shape."""
    if not hasattr(part, "_weights"):
        return type(part).__name__
    names: dict[tuple, list[str]] = {}
    for name, weight in part._weights().items():
        names.setdefault(weight, []).append(name)
    listed = ", ".join(f"{' = '.join(same)} {list(weight[0])}" for weight, same in names.items())
    return f"{type(part).__name__}({listed})"
