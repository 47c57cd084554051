"""What models are made of: torch's Module and ModuleList, or as much of them as the package needs without torch."""

from __future__ import annotations

import itertools
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from . import arrays

__all__ = ["EngineList", "EnginePart", "Module", "ModuleDict", "ModuleList"]


class _Hung:
    """A function among a module's forward hooks, under the key `id`."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = next(_keys)

    def remove(self) -> None:
        self._hooks.pop(self.id, None)


_keys = itertools.count()


class _Module:
    """A tree of named parts, called through `forward`."""

    training: bool

    def __init__(self) -> None:
        self.__dict__.update(
            _modules={}, _parameters={}, _buffers={}, _forward_hooks=OrderedDict(), training=True
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, _Module):
            self.add_module(name, value)
            return
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table)
            if found is None or name not in found:
                continue
            if table == "_modules" and value is not None:
                raise TypeError(
                    f"cannot assign {type(value).__name__} as the part {name!r}: a module or None expected"
                )
            found[name] = value
            return
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for table in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                return
        object.__delattr__(self, name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.forward(*args, **kwargs)
        if self._forward_hooks:
            for hook in tuple(self._forward_hooks.values()):
                result = hook(self, args, output)
                if result is not None:
                    output = result
        return output

    def register_forward_hook(self, hook: Callable[..., Any], *, prepend: bool = False) -> _Hung:
        """Have `hook(module, args, output)` called after `forward`; what it returns, unless None, is the output."""
        hung = _Hung(self._forward_hooks)
        self._forward_hooks[hung.id] = hook
        if prepend:
            self._forward_hooks.move_to_end(hung.id, last=False)
        return hung

    def register_parameter(self, name: str, param: Any) -> None:
        """Make an array a parameter: an attribute that `parameters` and `state_dict` know."""
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Any) -> None:
        """Make an array a buffer: an attribute that `state_dict` knows."""
        self._buffers[name] = tensor

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def add_module(self, name: str, module: _Module | None) -> None:
        self.__dict__.pop(name, None)
        self._modules[name] = module

    def named_children(self) -> Iterator[tuple[str, Any]]:
        yield from ((name, part) for name, part in self._modules.items() if part is not None)

    def children(self) -> Iterator[Any]:
        for _, part in self.named_children():
            yield part

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self.named_children():
            path = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Any]:
        for _, module in self.named_modules():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, parameter in module._parameters.items():
                if remove_duplicate and id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                yield (f"{path}.{name}" if path else name), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def state_dict(
        self, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        state: dict[str, Any] = {} if destination is None else destination
        for path, module in self.named_modules():
            start = f"{prefix}{path}." if path else prefix
            for table in (module._parameters, module._buffers):
                state.update((start + n, value) for n, value in table.items() if value is not None)
        return state

    def load_state_dict(
        self, state_dict: dict[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Copy the arrays into this module's, or with `assign` put them in their place."""
        own = self.state_dict()
        missing, unexpected = sorted(own.keys() - state_dict), sorted(state_dict.keys() - own)
        if strict and (missing or unexpected):
            raise RuntimeError(
                f"load_state_dict: missing keys {missing}, unexpected keys {unexpected}"
            )
        for name in own.keys() & state_dict.keys():
            if not assign:
                own[name][...] = state_dict[name]
                continue
            path, _, short = name.rpartition(".")
            owner = dict(self.named_modules())[path]
            table = owner._parameters if short in owner._parameters else owner._buffers
            table[short] = state_dict[name]

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Any:
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Any:
        return self.train(False)


class _ModuleList(_Module):
    """Parts that are numbered; slices are lists of the same kind."""

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        super().__init__()
        self._modules.update((str(i), module) for i, module in enumerate(modules))

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        chosen = list(self._modules.values())[index]
        return type(self)(chosen) if isinstance(index, slice) else chosen

    def __setitem__(self, index: int, module: Any) -> None:
        self.add_module(list(self._modules)[index], module)

    def append(self, module: Any) -> Any:
        self.add_module(str(len(self)), module)
        return self


class _ModuleDict(_Module):
    """Parts by name."""

    def __init__(self, modules: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

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
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._modules.items()


class _Function(_Module):
    """A plain function as a part."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"a part must be a module or a function, got {type(function).__name__}")
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


Module: Any = arrays.torch.nn.Module if arrays.torch is not None else _Module
ModuleDict: Any = arrays.torch.nn.ModuleDict if arrays.torch is not None else _ModuleDict
ModuleList: Any = arrays.torch.nn.ModuleList if arrays.torch is not None else _ModuleList


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
            raise NotImplementedError(
                f"{what} on {part} is not supported: the engine would not see it. Watch or replace values with a "
                "hook (model.add_hook(name, fn), or run_with_hooks), put a module of your own in a component's "
                "place, and change weights in place, as in `with torch.no_grad(): component.weight.copy_(new)`"
            )

    def _touched(self) -> None:
        """Let the table of parts have another look at this one."""
        place = self.__dict__.get("_seat")
        if place is not None and place[1]:
            table, path = place
            table.touch(path)

    def _put(self, name: str, module: Any) -> None:
        """Put a module in the place of a part of this one."""
        if module is self.__dict__["_modules"][name]:
            return
        if arrays.torch is not None:
            super().__setattr__(name, module)
        else:
            if module is not None and not isinstance(module, Module):
                module = _Function(module)
            self.__dict__["_modules"][name] = module

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_modules", ()):
            self._put(name, value)
            return
        if self._is_engine_name(name) or (name == "_modules" and self._engine_part()):
            self._refuse(f"assigning {name!r}")
        super().__setattr__(name, value)
        if name in ("forward", "__class__"):
            self._touched()

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__.get("_modules", ()) or self._is_engine_name(name):
            self._refuse(f"deleting {name!r}")
        super().__delattr__(name)
        if name == "forward":
            self._touched()

    def add_module(self, name: str, module: Any) -> None:
        if name in self.__dict__["_modules"]:
            self._put(name, module)
        else:
            super().add_module(name, module)  # type: ignore[misc]

    def register_forward_hook(self, hook: Any, **options: Any) -> Any:
        handle = super().register_forward_hook(hook, **options)  # type: ignore[misc]
        self._touched()
        return handle

    def register_forward_pre_hook(self, hook: Any, **options: Any) -> Any:
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

    def _touched(self) -> None:
        """Nothing: a list is not called."""

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
