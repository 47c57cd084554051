"""What modules are made of where there is no torch: as much of torch's Module as the package and its users need.

Values are NumPy arrays. Names, order and errors are those of https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Module"]

_TABLES = ("_parameters", "_buffers", "_modules")

_keys = itertools.count()


class _Hung:
    """A function among a module's hooks, under the key `id`; also the handle that takes it off."""

    def __init__(self, *tables: dict[int, Any]) -> None:
        self._tables = tables
        self.id = next(_keys)

    def remove(self) -> None:
        for table in self._tables:
            table.pop(self.id, None)

    def __enter__(self) -> _Hung:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Module:
    """A tree of named parts, called through `forward`."""

    training: bool

    def __init__(self) -> None:
        self.__dict__.update(
            _modules={},
            _parameters={},
            _buffers={},
            _forward_hooks=OrderedDict(),
            _forward_hooks_with_kwargs={},
            _forward_hooks_always_called={},
            _forward_pre_hooks=OrderedDict(),
            _forward_pre_hooks_with_kwargs={},
            _non_persistent_buffers_set=set(),
            training=True,
        )

    # attributes

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module):
            self.add_module(name, value)
            return
        for table in _TABLES:
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
        for table in _TABLES:
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                return
        object.__delattr__(self, name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        for table in _TABLES:
            found = self.__dict__.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        named = (name for table in _TABLES for name in self.__dict__[table])
        return sorted({*super().__dir__(), *named})

    def register_parameter(self, name: str, param: Any) -> None:
        """Make an array a parameter: an attribute that `parameters` and `state_dict` know."""
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make an array a buffer: an attribute that `buffers` and, if persistent, `state_dict` know."""
        self._buffers[name] = tensor
        (
            self._non_persistent_buffers_set.discard
            if persistent
            else self._non_persistent_buffers_set.add
        )(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make a module a part under that name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"the part {name!r} must be a module, got {type(module).__name__}")
        if not name or "." in name:
            raise KeyError(f"a part's name must not be empty or contain a dot, got {name!r}")
        self.__dict__.pop(name, None)
        self._modules[name] = module

    register_module = add_module

    # being called

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (self._forward_hooks or self._forward_pre_hooks):
            return self.forward(*args, **kwargs)
        called: set[int] = set()
        try:
            return self._hooked(args, kwargs, called)
        except BaseException:
            for key, hook in tuple(self._forward_hooks.items()):
                if key in self._forward_hooks_always_called and key not in called:
                    self._after(key, hook, args, kwargs, None)
            raise

    def _hooked(self, args: tuple, kwargs: dict[str, Any], called: set[int]) -> Any:
        for key, hook in tuple(self._forward_pre_hooks.items()):
            if key in self._forward_pre_hooks_with_kwargs:
                result = hook(self, args, kwargs)
                if result is not None:
                    args, kwargs = _pair(result)
            else:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
        output = self.forward(*args, **kwargs)
        for key, hook in tuple(self._forward_hooks.items()):
            called.add(key)
            result = self._after(key, hook, args, kwargs, output)
            if result is not None:
                output = result
        return output

    def _after(
        self, key: int, hook: Callable[..., Any], args: tuple, kwargs: dict[str, Any], output: Any
    ) -> Any:
        if key in self._forward_hooks_with_kwargs:
            return hook(self, args, kwargs, output)
        return hook(self, args, output)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> _Hung:
        """Have `hook(module, args, output)` called after `forward`; what it returns, unless None, is the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it is called, with None for
        the output, also where `forward` raised.
        """
        keywords, always = self._forward_hooks_with_kwargs, self._forward_hooks_always_called
        hung = _Hung(self._forward_hooks, keywords, always)
        if with_kwargs:
            keywords[hung.id] = True
        if always_call:
            always[hung.id] = True
        return _hang(self._forward_hooks, hung, hook, prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> _Hung:
        """Have `hook(module, args)` called before `forward`; what it returns, unless None, are the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, and returns both or None.
        """
        keywords = self._forward_pre_hooks_with_kwargs
        hung = _Hung(self._forward_pre_hooks, keywords)
        if with_kwargs:
            keywords[hung.id] = True
        return _hang(self._forward_pre_hooks, hung, hook, prepend)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    # the tree

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """(name, part) of each part, once."""
        seen: set[int] = set()
        for name, part in self._modules.items():
            if part is not None and id(part) not in seen:
                seen.add(id(part))
                yield name, part

    def children(self) -> Iterator[Any]:
        """The parts."""
        for _, part in self.named_children():
            yield part

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """(path, module) of this module and all under it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Any]:
        """This module and all under it."""
        for _, module in self.named_modules():
            yield module

    def get_submodule(self, target: str) -> Any:
        """The module at that path. AttributeError where there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            module = module.__dict__["_modules"].get(name)
            if not isinstance(module, Module):
                raise AttributeError(f"{type(self).__name__} has no part {target!r}")
        return module

    def get_parameter(self, target: str) -> Any:
        """The parameter at that path. AttributeError where there is none."""
        return self._leaf("_parameters", target)

    def get_buffer(self, target: str) -> Any:
        """The buffer at that path. AttributeError where there is none."""
        return self._leaf("_buffers", target)

    def _leaf(self, table: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path).__dict__[table]
        if name not in found:
            raise AttributeError(f"{type(self).__name__} has no {table[1:-1]} {target!r}")
        return found[name]

    def _named(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, value in module.__dict__[table].items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """(path, array) of the parameters."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        """The parameters."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """(path, array) of the buffers."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def state_dict(
        self, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by path: the arrays themselves, not copies."""
        state: dict[str, Any] = {} if destination is None else destination
        for path, module in self.named_modules(remove_duplicate=False):
            start = f"{prefix}{path}." if path else prefix
            passing = module.__dict__["_non_persistent_buffers_set"]
            for table in (module._parameters, module._buffers):
                state.update(
                    (start + name, value)
                    for name, value in table.items()
                    if value is not None and name not in passing
                )
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
            owner = self.get_submodule(path)
            table = owner._parameters if short in owner._parameters else owner._buffers
            table[short] = state_dict[name]

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        """Call `fn` on every module under this one, then on this."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Any:
        """Set `training` here and below."""
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Any:
        """`train(False)`."""
        return self.train(False)

    def extra_repr(self) -> str:
        """What stands between the brackets of the printed module."""
        return ""

    def __repr__(self) -> str:
        parts = [
            f"({name}): {part!r}".replace("\n", "\n  ") for name, part in self._modules.items()
        ]
        extra = self.extra_repr()
        name = type(self).__name__
        if not parts:
            return f"{name}({extra})"
        lines = ([extra] if extra else []) + parts
        return "\n  ".join([f"{name}(", *lines]) + "\n)"


def _hang(hooks: OrderedDict, hung: _Hung, hook: Callable[..., Any], prepend: bool) -> _Hung:
    hooks[hung.id] = hook
    if prepend:
        hooks.move_to_end(hung.id, last=False)
    return hung


def _pair(result: Any) -> tuple[tuple, dict[str, Any]]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"a pre-hook with keywords must return None or a tuple (args, kwargs), got {result!r}"
        )
    return result
