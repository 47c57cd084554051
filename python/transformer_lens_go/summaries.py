"""What caches and dicts of names show of themselves: shapes, dtypes and bytes by layer, as text and as HTML."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ._engine import arrays

__all__ = ["ByName", "as_html", "as_text", "in_bytes", "shown", "size_of"]

_LAYER = re.compile(r"^(.*?\bblocks)\.(\d+)\.(.+)$")
_MOST_GROUPS = 12  # where layers differ from one another, more would be no summary
_WIDTH = 100


@dataclass
class _Row:
    """Values that are alike: what they look like, and their names."""

    look: str
    names: list[str]
    size: int  # of each


@dataclass
class _Group:
    """The rows of one layer, or of several that look alike, or of names between layers."""

    path: str  # "blocks", or empty
    first: int
    last: int
    rows: list[_Row]
    size: int  # of all in it, each memory counted once

    @property
    def title(self) -> str:
        """What stands above the rows."""
        count = sum(len(row.names) for row in self.rows)
        if not self.path:
            return "outside of the blocks"
        if self.first == self.last:
            return f"{self.path}.{self.first}: {_counted(count, self.size)}"
        each = self.size // (self.last - self.first + 1)
        return f"{self.path}.{self.first} to {self.last}, each {_counted(count, each)}"


class ByName(dict[str, Any]):
    """A model's parts or hook points by name: a dict, which shows its names layer by layer."""

    def __repr__(self) -> str:
        return as_text("dict", self)

    def _repr_html_(self) -> str:
        return as_html("dict", self)


def in_bytes(count: int) -> str:
    """A number of bytes as people read it: 812 B, 24.6 kB, 1.2 GB."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def shown(value: Any) -> str:
    """The shape and dtype of an array, the class of anything else."""
    if not arrays.is_array(value):
        return type(value).__name__
    return f"{list(value.shape)} {arrays.dtype_name(value)}"


def size_of(values: Iterable[Any]) -> int:
    """The bytes of arrays; what lies in the same place counts once."""
    places = {}
    for value in values:
        if arrays.is_array(value):
            places[_place(value)] = value.nbytes
    return sum(places.values())


def _place(value: Any) -> tuple[Any, ...]:
    if isinstance(value, arrays.np.ndarray):
        return value.__array_interface__["data"][0], value.shape, value.strides
    return value.data_ptr(), tuple(value.shape), value.stride()


def _groups(values: Mapping[str, Any]) -> Iterator[_Group]:
    """Layers in the order of the names; those that look alike, one behind the other, are one group."""
    before: _Group | None = None
    for path, layer, members in _layers(values):
        group = _Group(path, layer, layer, _rows(members), size_of(members.values()))
        if before is None:
            before = group
        elif path and before.path == path and _looks(before) == _looks(group):
            before.last, before.size = layer, before.size + group.size
        else:
            yield before
            before = group
    if before is not None:
        yield before


def _layers(values: Mapping[str, Any]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(path, number, values by name inside) of each layer, and ("", -1, values) of what stands between."""
    stretch: dict[str, Any] = {}
    place: tuple[str, int] | None = None
    for name, value in values.items():
        match = _LAYER.match(name)
        here = (match[1], int(match[2])) if match else ("", -1)
        if place is not None and here != place:
            yield place[0], place[1], stretch
            stretch = {}
        place = here
        stretch[match[3] if match else name] = value
    if place is not None:
        yield place[0], place[1], stretch


def _rows(members: Mapping[str, Any]) -> list[_Row]:
    rows: dict[str, _Row] = {}
    for name, value in members.items():
        look = shown(value)
        rows.setdefault(look, _Row(look, [], size_of([value]))).names.append(name)
    return list(rows.values())


def _looks(group: _Group) -> list[tuple[str, list[str]]]:
    return [(row.look, row.names) for row in group.rows]


def as_text(title: str, values: Mapping[str, Any]) -> str:
    """The title, and under it each kind of layer with its names by shape."""
    lines = [f"{title}: {_total(values)}"]
    groups = list(_groups(values))
    for group in groups[:_MOST_GROUPS]:
        lines.append(f"  {group.title}")
        for row in group.rows:
            names = textwrap.wrap(", ".join(row.names), _WIDTH - 32, break_on_hyphens=False)
            for number, line in enumerate(names):
                lines.append(f"    {row.look if number == 0 else '':27} {line}")
    if len(groups) > _MOST_GROUPS:
        lines.append(f"  and {len(groups) - _MOST_GROUPS} more (see .keys())")
    return "\n".join(line.rstrip() for line in lines)


def as_html(title: str, values: Mapping[str, Any]) -> str:
    """The same for notebooks: each kind of layer folded up under its heading. Colours are the notebook's own."""
    parts = [f"<div><b>{escape(title)}</b>: {escape(_total(values))}"]
    groups = list(_groups(values))
    for group in groups[:_MOST_GROUPS]:
        rows = "".join(
            f"<tr><td style='text-align:left'><code>{escape(name)}</code></td>"
            f"<td style='text-align:left'>{escape(row.look)}</td><td>{in_bytes(row.size) if row.size else ''}</td></tr>"
            for row in group.rows
            for name in row.names
        )
        table = f"<table><tbody>{rows}</tbody></table>"
        parts.append(f"<details><summary>{escape(group.title)}</summary>{table}</details>")
    if len(groups) > _MOST_GROUPS:
        parts.append(f"<p>and {len(groups) - _MOST_GROUPS} more (see <code>.keys()</code>)</p>")
    return "".join(parts) + "</div>"


def _total(values: Mapping[str, Any]) -> str:
    return _counted(len(values), size_of(values.values()))


def _counted(names: int, size: int) -> str:
    """How many names, and the bytes where there are any."""
    counted = "1 name" if names == 1 else f"{names} names"
    return f"{counted}, {in_bytes(size)}" if size else counted
