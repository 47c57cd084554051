"""Parameters: the engine's weights as Python holds them, made only when somebody asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import numpy as np

from . import arrays
from .compiled import go

__all__ = ["LazyTable", "ParameterStore", "drop_gradient", "numel", "strided_view"]


class ParameterStore:
    """The parameters of one model, by the engine's index. Each is a writable view of the engine's one copy.

    What is asked of the whole model (`requires_grad_`, `zero_grad`) is noted here, so that it hands out nothing.
    """

    def __init__(self, model: int, shapes: dict[int, tuple[int, ...]], dtype: str) -> None:
        self._model = model
        self._dtype = dtype
        self.shapes = shapes
        self._made: dict[int, tuple[Any, Any]] = {}  # the parameter, and the engine's memory of it
        self._frozen: set[int] = set()
        self._zeros: dict[str, Any] = {}
        self._tied: dict[tuple, Any] = {}
        self._changes = count()
        self._changed = -1  # by the last change of dtype

    def get(self, index: int) -> Any:
        """The parameter: an `nn.Parameter`, or a NumPy array; the same object every time."""
        made = self._made.get(index)
        while made is None:
            changed = self._changed
            view = self._view(index)
            place = arrays.place(view)
            made = self._made[index] = (self._tied.setdefault(place, self._wrap(index, view)), view)
            if changed != self._changed:  # in another thread, to which it may not have been known
                self._renew_made(index)
                made = self._made.get(index)
        return made[0]

    def _view(self, index: int) -> Any:
        """A parameter's memory as the engine has it now."""
        return arrays.made(go.ParamOpen, self._model, index)

    def _wrap(self, index: int, view: Any) -> Any:
        if arrays.torch is None:
            return view
        return arrays.torch.nn.Parameter(view, requires_grad=index not in self._frozen)

    def zeros(self, owner: str, shape: tuple[int, ...]) -> Any:
        """What stands for a bias that the checkpoint does not have; the same array every time."""
        if owner not in self._zeros:
            self._zeros[owner] = arrays.zeros(shape, self._dtype)
        return self._zeros[owner]

    def renew(self, dtype: str) -> None:
        """After a change of dtype: parameters that were given out are views of the engine's new memory.

        NumPy arrays cannot be: the old ones are no longer the model's, and refuse to be written to. Idempotent; where
        another thread, or a signal handler, changes the dtype meanwhile, all are of the last change in the end.
        """
        before = tuple(self._made.values())  # torch in another thread may be about to look there
        changed = self._changed = next(self._changes)
        while True:
            self._dtype = dtype
            self._tied = {}
            for index in tuple(self._made):
                self._renew_made(index)
            for owner, zeros in tuple(self._zeros.items()):
                self._renew_zeros(owner, zeros)
            if changed == self._changed:
                break
            changed = self._changed
        del before

    def _renew_made(self, index: int) -> None:
        pair = self._made.get(index)
        if pair is None:  # another thread has dropped it
            return
        made, view = pair[0], self._view(index)
        if arrays.torch is None:
            if arrays.place(made) != arrays.place(view):
                made.flags.writeable = False
                self._made.pop(index, None)
            return
        self._made[index] = made, view
        self._tied[arrays.place(view)] = made
        arrays.set_data(made, view)
        if made.grad is not None and made.grad.dtype != view.dtype:
            arrays.set_data(made.grad, made.grad.detach().to(view.dtype))

    def _renew_zeros(self, owner: str, zeros: Any) -> None:
        dtype = arrays.dtype(self._dtype)
        if zeros.dtype == dtype:
            return
        if arrays.torch is None:
            zeros.flags.writeable = False
            self._zeros.pop(owner, None)
        else:
            arrays.set_data(zeros, zeros.detach().to(dtype))

    def set_requires_grad(self, indices: Iterable[int], value: bool) -> None:
        """Switch gradients of these parameters, made or not, on or off."""
        for index in indices:
            (self._frozen.discard if value else self._frozen.add)(index)
            if arrays.torch is not None and index in self._made:
                self._made[index][0].requires_grad_(value)

    def zero_grad(self, indices: Iterable[int], set_to_none: bool) -> None:
        """Drop or zero the gradients that these parameters hold."""
        for index in indices:
            drop_gradient(self._made.get(index, (None,))[0], set_to_none)

    def any_requires_grad(self) -> bool:
        """Whether a parameter asks for gradients; one that nobody has seen does unless it was frozen."""
        if len(self.shapes) > len(self._made.keys() | self._frozen):
            return True
        return any(made.requires_grad for made, _ in tuple(self._made.values()))

    def settle(self) -> None:
        """Before a run: see to it that what was written to weights is what the engine computes from.

        `parameter.data = other` is copied into the engine's memory; a bias that is not there cannot be written.
        """
        for owner, zeros in tuple(self._zeros.items()):
            if zeros.any():
                raise NotImplementedError(
                    f"the bias of {owner} was written to, but the checkpoint has none and the engine adds "
                    "none: set it back to zero, and add it with a hook on the output"
                )
        if arrays.torch is None:
            return
        for made, view in tuple(self._made.values()):
            if made.data_ptr() == view.data_ptr() and made.stride() == view.stride():
                continue
            if (
                made.shape != view.shape
                or not made.is_floating_point()
                or made.device != view.device
            ):
                raise ValueError(
                    f"a parameter of shape {tuple(view.shape)} ({arrays.dtype_name(view)}, cpu) was given "
                    f".data of shape {tuple(made.shape)} ({arrays.dtype_name(made)}, {made.device}); the "
                    "engine needs the same shape on the CPU"
                )
            with arrays.torch.no_grad():
                view.copy_(made.data)
            arrays.set_data(made, view)


def drop_gradient(parameter: Any, set_to_none: bool) -> None:
    """Drop or zero the gradient that a parameter holds, if it holds one."""
    if getattr(parameter, "grad", None) is None:
        return
    if set_to_none:
        parameter.grad = None
    else:
        parameter.grad.detach_().zero_()


class LazyTable(dict):
    """A component's `_parameters` or `_buffers`: knows every name, and makes a value when it is looked at."""

    def __init__(self, makers: dict[str, Callable[[], Any]]) -> None:
        super().__init__(dict.fromkeys(makers))
        self._makers = makers

    def __getitem__(self, name: str) -> Any:
        make = self._makers.get(name)
        return super().__getitem__(name) if make is None else make()

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            raise NotImplementedError(
                f"putting another tensor in the place of {name!r} is not supported (torch.func, parametrizations): "
                "the engine would not see it. Change the weight in place: weight.data.copy_(new)"
            )
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError(
            f"removing {name!r} is not supported: the engine computes with it"
        )

    def pop(self, name: str, *default: Any) -> Any:
        return default[0] if default and name not in self else self.__delitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 (dict's own would not make it)

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]

    def copy(self) -> dict[str, Any]:
        return dict(self.items())


def strided_view(
    parameter: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> Any:
    """A view of a parameter's memory; shape, strides and offset count elements."""
    if arrays.torch is not None:
        return parameter.as_strided(shape, strides, parameter.storage_offset() + offset)
    strided, size = np.lib.stride_tricks.as_strided, parameter.itemsize
    start = strided(parameter, (offset + 1,), (size,))[offset:]
    return strided(start, shape, tuple(step * size for step in strides))


def numel(shapes: Iterable[tuple[int, ...]]) -> int:
    """How many numbers arrays of these shapes hold together."""
    return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)
