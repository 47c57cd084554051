"""What models are made of: torch's Module and ModuleList, or as much of them as the package needs without torch."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

from . import arrays, small_containers, small_module

if TYPE_CHECKING:
    from ..model_bridge.generalized_components.block import BlockBridge

__all__ = ["EngineList", "EnginePart", "Module", "ModuleDict", "ModuleList", "refusal"]


Module: Any = arrays.torch.nn.Module if arrays.torch is not None else small_module.Module
ModuleDict: Any = (
    arrays.torch.nn.ModuleDict if arrays.torch is not None else small_containers.ModuleDict
)
ModuleList: Any = (
    arrays.torch.nn.ModuleList if arrays.torch is not None else small_containers.ModuleList
)


def refusal(what: str, part: str) -> NotImplementedError:
    """The error for a change of a part that the engine could not honour."""
    return NotImplementedError(
        f"{what} on {part} is not supported: the engine would not see it. Watch or replace values with a "
        "hook (model.add_hook(name, fn), or run_with_hooks), put a module of your own in a component's "
        "place, and change weights in place, as in `with torch.no_grad(): component.weight.copy_(new)`"
    )


class EnginePart:
    """Mixed into modules that stand for a part of what the engine runs.

    The engine does not walk the module tree. What is put in the place of a part, a `forward` that is assigned and
    torch's hooks are told to the model's table of parts, and Python computes that part from then on. What could not
    be honoured raises, at once.
    """

    def _engine_part(self) -> str:
        """What this is a part of, in words; empty while it belongs to no model."""
        return ""

    def _is_engine_name(self, name: str) -> bool:
        """Whether the attribute of that name stands for something in the engine that cannot be replaced."""
        return False

    def _refuse(self, what: str) -> None:
        part = self._engine_part()
        if part:
            raise refusal(what, part)

    def _touched(self, now: bool = True) -> None:
        """Let the table of parts have another look at this one; not `now`: when it next has one."""
        place = self.__dict__.get("_seat")
        if place is not None and place[1]:
            table, path = place
            (table.touch if now else table.watch)(path)

    def _put(self, name: str, module: Any) -> None:
        """Put a module in the place of a part of this one."""
        if module is self.__dict__["_modules"][name]:
            return
        if arrays.torch is not None:
            super().__setattr__(name, module)
        else:
            if module is not None and not isinstance(module, Module):
                module = small_containers.Function(module)
            self.__dict__["_modules"][name] = module

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_modules", ()):
            self._put(name, value)
            return
        if self._is_engine_name(name) or (name == "_modules" and self._engine_part()):
            self._refuse(f"assigning {name!r}")
        touches = name in ("forward", "__class__")
        if touches:
            self._touched(now=False)
        super().__setattr__(name, value)
        if touches:
            self._touched()

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__.get("_modules", ()) or self._is_engine_name(name):
            self._refuse(f"deleting {name!r}")
        if name == "forward":
            self._touched(now=False)
        super().__delattr__(name)
        if name == "forward":
            self._touched()

    def add_module(self, name: str, module: Any) -> None:
        if name in self.__dict__["_modules"]:
            self._put(name, module)
        else:
            super().add_module(name, module)  # type: ignore[misc]

    def register_forward_hook(self, hook: Any, **options: Any) -> Any:
        self._touched(now=False)
        handle = super().register_forward_hook(hook, **options)  # type: ignore[misc]
        self._touched()
        return handle

    def register_forward_pre_hook(self, hook: Any, **options: Any) -> Any:
        self._touched(now=False)
        handle = super().register_forward_pre_hook(hook, **options)  # type: ignore[misc]
        self._touched()
        return handle

    def register_full_backward_hook(self, hook: Any, prepend: bool = False) -> Any:
        self._refuse_backward("register_full_backward_hook")
        return super().register_full_backward_hook(hook, prepend)  # type: ignore[misc]

    def register_full_backward_pre_hook(self, hook: Any, prepend: bool = False) -> Any:
        self._refuse_backward("register_full_backward_pre_hook")
        return super().register_full_backward_pre_hook(hook, prepend)  # type: ignore[misc]

    def register_backward_hook(self, hook: Any) -> Any:
        self._refuse_backward("register_backward_hook")
        return super().register_backward_hook(hook)  # type: ignore[misc]

    def _refuse_backward(self, what: str) -> None:
        part = self._engine_part()
        if part:
            raise NotImplementedError(
                f"{what} on {part}: gradients through the engine are not in this version yet (backward hooks on "
                "your own torch modules work)"
            )


class EngineList(EnginePart, ModuleList):
    """The blocks of a model: indexed, sliced and walked over as a list. Each can be replaced; their number stays."""

    def __init__(self, modules: Iterable[Any] = (), part: str = "") -> None:
        super().__init__(modules)  # type: ignore[call-arg]
        self.__dict__.update(_part=part, training=False)

    def _engine_part(self) -> str:
        return self.__dict__.get("_part", "")

    def _touched(self, now: bool = True) -> None:
        """Nothing: a list is not called."""

    @overload
    def __getitem__(self, index: int) -> BlockBridge: ...

    @overload
    def __getitem__(self, index: slice) -> EngineList: ...

    def __getitem__(self, index: int | slice) -> BlockBridge | EngineList:
        """The block of that number, or a list of the blocks of a slice."""
        return super().__getitem__(index)  # type: ignore[misc]

    def add_module(self, name: str, module: Any) -> None:
        if name not in self.__dict__["_modules"]:
            self._refuse("adding blocks")
        super().add_module(name, module)

    def __setitem__(self, index: Any, module: Any) -> None:
        if isinstance(index, slice):
            self._refuse("replacing several blocks at once")
            super().__setitem__(index, module)
            return
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index {number} is out of range: there are {len(self)} blocks")
        setattr(self, str(number % len(self)), module)

    def __delitem__(self, index: Any) -> None:
        self._refuse("removing blocks")
        super().__delitem__(index)

    def insert(self, index: int, module: Any) -> None:
        self._refuse("inserting blocks")
        super().insert(index, module)
