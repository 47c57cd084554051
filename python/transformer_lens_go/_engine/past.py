"""Keys and values of earlier tokens, kept by the engine: what a run is given of a KV cache."""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from typing import Any, Literal

from . import arrays, errors
from .compiled import glue, go
from .inputs import Borrowed, pinned

__all__ = ["Entry", "Past", "keep_entry"]

Half = Literal["keys", "values"]


class Entry:
    """One layer's past keys and values, [batch, pos, head, d_head] each, in memory that doubles when it is full.

    Arrays that it hands out are views of that memory: what is written to them counts in the next run. They stay as
    they are when the entry grows.
    """

    __slots__ = ("__weakref__", "_given", "_owned", "handle")

    def __init__(
        self, dtype: str = "float32", batch: int = 0, heads: int = 0, d_head: int = 0
    ) -> None:
        self._owned = glue.Owned(go.EntryClose, go.EntryNew, dtype, batch, heads, d_head)
        self.handle: int = self._owned.id
        self._given: dict[str, weakref.ref[Any]] = {}  # the arrays that were set

    @classmethod
    def of(cls, keys: Any, values: Any) -> Entry:
        """An entry that starts from these arrays."""
        entry = cls()
        entry.set("keys", keys)
        entry.set("values", values)
        return entry

    def __len__(self) -> int:
        return errors.call(go.EntryLen, self.handle)

    def get(self, half: Half) -> Any:
        """The past keys or values, a view of the memory that counts; the array that was set, while it is that."""
        export = go.EntryKeys if half == "keys" else go.EntryValues
        view = arrays.made(export, self.handle)
        given = self._given[half]() if half in self._given else None
        return view if given is None or arrays.place(given) != arrays.place(view) else given

    def set(self, half: Half, value: Any) -> None:
        """Start from `value` [batch, pos, head, d_head], which is copied when the entry grows, not before.

        NumPy arrays that cannot be written to, or that the engine cannot read as they lie, are copied at once. A
        tensor that was set can be resized no more (RuntimeError, of torch).
        """
        array = arrays.asarray(value)
        with Borrowed() as lent:
            handle = lent.add(pinned(_plain(array)))
            keys, values = (handle, 0) if half == "keys" else (0, handle)
            errors.call(go.EntrySet, self.handle, keys, values)
        self._given[half] = weakref.ref(array)

    def append(self, keys: Any, values: Any, frozen: bool) -> tuple[Any, Any]:
        """All keys and all values, new ones behind the past; they become the past unless `frozen`."""
        with self._appended(keys, values, frozen) as whole:
            all_keys, all_values = json.loads(str(whole.told))["extra"]
            return arrays.view(all_keys), arrays.view(all_values)

    def _appended(self, keys: Any, values: Any, frozen: bool) -> glue.Owned:
        with Borrowed() as lent:
            new = [lent.add(_plain(arrays.asarray(array))) for array in (keys, values)]
            # no name for it, by which the traceback of a signal's exception could hold it
            return glue.Owned(None, go.EntryAppend, self.handle, *new, frozen)

    def crop(self, length: int) -> None:
        """Keep the first `length` positions."""
        errors.call(go.EntryCrop, self.handle, length)

    def __reduce__(self) -> Any:
        return keep_entry, (self.get("keys"), self.get("values"))


def keep_entry(keys: Any, values: Any) -> Entry:
    """The entry that a copy or a pickle of one becomes."""
    return Entry.of(keys, values)


def _plain(array: Any) -> Any:
    """The array itself, without its autograd graph."""
    if arrays.torch is None:
        return arrays.shareable(array)
    if not array.is_cpu:
        raise ValueError(f"keys and values of a KV cache must be on the CPU, not on {array.device}")
    return array.detach().resolve_neg()


class Past:
    """The KV cache of one run: an entry for each layer, whether each is frozen, and what the keys are.

    `rotated` keys are as attention uses them, rotated by their position; others as the key projection gave them.
    `length` is how many positions there are.
    """

    __slots__ = ("_asked", "length")

    def __init__(
        self, entries: Sequence[Entry], frozen: Sequence[bool] | None, rotated: bool, length: int
    ) -> None:
        self.length = length
        self._asked: dict[str, Any] = {
            "entries": [entry.handle for entry in entries],
            "rotated": rotated,
        }
        if frozen is not None:
            self._asked["frozen"] = list(frozen)

    def asked(self) -> dict[str, Any]:
        """The cache as the engine reads it."""
        return self._asked
