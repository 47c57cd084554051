"""Modules that hold others, where there is no torch: lists, dicts, and functions as parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .small_module import Module

__all__ = ["Function", "ModuleDict", "ModuleList"]


class ModuleList(Module):
    """Parts that are numbered; slices are lists of the same kind."""

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _name(self, index: int) -> str:
        number = index.__index__()
        if not -len(self) <= number < len(self):
            raise IndexError(f"index {number} is out of range: there are {len(self)} parts")
        return str(number % len(self))

    def _renew(self, modules: list[Any]) -> None:
        self.__dict__["_modules"] = {str(i): module for i, module in enumerate(modules)}

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __contains__(self, module: object) -> bool:
        return any(module is part for part in self)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._name(index)]

    def __setitem__(self, index: int, module: Any) -> None:
        self.add_module(self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        left = list(self)
        del left[index]
        self._renew(left)

    def __iadd__(self, modules: Iterable[Any]) -> ModuleList:
        return self.extend(modules)

    def append(self, module: Any) -> Any:
        """Add a part at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Any]) -> Any:
        """Add parts at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Any) -> None:
        """Put a part in front of the one at `index`."""
        parts = list(self)
        parts.insert(index, module)
        self._renew(parts)

    def pop(self, index: int = -1) -> Any:
        """Take a part out."""
        part = self[index]
        del self[index]
        return part


class ModuleDict(Module):
    """Parts by name."""

    def __init__(self, modules: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def __setitem__(self, name: str, module: Any) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The parts."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """(name, part) of each."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add parts, in the place of those that have the name already."""
        for name, module in dict(modules).items():
            self[name] = module

    def pop(self, name: str) -> Any:
        """Take a part out."""
        part = self[name]
        del self[name]
        return part

    def clear(self) -> None:
        """Take all parts out."""
        self._modules.clear()


class Function(Module):
    """A plain function as a part."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"a part must be a module or a function, got {type(function).__name__}")
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)
