"""The `_modules` of what stands for a part of an engine model: whoever writes to it, the table of parts is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from .module import EngineList, refusal

__all__ = ["PartDict"]


class PartDict(dict):
    """Parts by name, of the owner at `path`. A part that is there can be replaced, not taken out."""

    def __init__(self, parts: Mapping[str, Any], table: Any, path: str) -> None:
        super().__init__(parts)
        self._table = table
        self._path = path

    def __setitem__(self, name: str, part: Any) -> None:
        before = self.get(name)
        if isinstance(before, EngineList):
            self._refuse(f"replacing {name!r} as a whole")
        if name not in self or part is before:
            super().__setitem__(name, part)
            return
        path = f"{self._path}.{name}" if self._path else name
        self._table.watch(path)
        super().__setitem__(name, part)
        self._table.touch(path)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of a dict."""
        for name, part in dict(*args, **kwargs).items():
            self[name] = part

    def __ior__(self, other: Any) -> PartDict:
        self.update(other)
        return self

    def _refuse(self, what: str) -> NoReturn:
        raise refusal(what, self._path or "the model")

    def __delitem__(self, name: str) -> None:
        self._refuse(f"deleting {name!r}")

    def pop(self, name: str, *default: Any) -> Any:
        """Refused for parts that are there."""
        if name in self:
            self._refuse(f"deleting {name!r}")
        return super().pop(name, *default)

    def popitem(self) -> NoReturn:
        """Refused."""
        self._refuse("deleting a part")

    def clear(self) -> NoReturn:
        """Refused."""
        self._refuse("deleting the parts")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise NotImplementedError("a model of the engine cannot be copied or pickled")
