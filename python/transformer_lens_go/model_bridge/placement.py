"""Devices, dtypes and gradients of a whole part of a model. None of it hands out a weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._engine import arrays
from .._engine.params import drop_gradient

__all__ = ["FLOATING", "PlacementMixin"]

FLOATING = ("float32", "float64", "float16", "bfloat16")
"""The dtypes that a model can have."""

DEVICES = ("cuda", "mps", "xpu", "meta", "hpu", "xla")


class PlacementMixin:
    """torch's model-wide calls, as far as the engine has them; the others say so."""

    _engine: Any

    def _parameter_indices(self) -> Iterator[int]:
        """The parameters of this part, each once."""
        seen: set[int] = set()
        for module in self.modules():  # type: ignore[attr-defined]
            for index in module.__dict__.get("_indices", {}).values():
                if index not in seen:
                    seen.add(index)
                    yield index

    def _own_parameters(self) -> Iterator[Any]:
        """The parameters of users' modules that stand in this part."""
        for module in self.modules():  # type: ignore[attr-defined]
            if "_indices" not in module.__dict__:
                yield from (p for p in module._parameters.values() if p is not None)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Switch gradients of every parameter on or off."""
        self._engine.params.set_requires_grad(self._parameter_indices(), requires_grad)
        for parameter in self._own_parameters() if arrays.torch is not None else ():
            if parameter.is_floating_point():
                parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop (or zero) the gradients of every parameter."""
        self._engine.params.zero_grad(self._parameter_indices(), set_to_none)
        for parameter in self._own_parameters():
            drop_gradient(parameter, set_to_none)

    def train(self, mode: bool = True) -> Any:
        """Note the mode. The engine has no dropout: it computes the same in both."""
        for module in self.modules():  # type: ignore[attr-defined]
            module.__dict__["training"] = mode
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Give the model another floating dtype, as torch's `Module.to` does; the device is the CPU.

        Weights are rounded to the dtype, and every activation is from the next run on. Raises TypeError for
        dtypes that are not floating, NotImplementedError for devices other than the CPU.
        """
        kwargs.pop("print_details", None)
        kwargs.pop("non_blocking", None)
        wanted = [self._placement(value) for value in (*args, *kwargs.values())]
        for dtype in wanted:
            if dtype is not None:
                self._convert(dtype)
        return self

    def _placement(self, value: Any) -> str | None:
        """The floating dtype that an argument of `to` asks for, if any; devices other than the CPU raise."""
        if value is None or isinstance(value, bool):
            return None
        if arrays.is_array(value):
            self._placement(getattr(value, "device", "cpu"))
            value = value.dtype
        name = str(value)
        if name.partition(":")[0] == "cpu":
            return None
        dtype = arrays.dtype_name(value)
        if dtype in FLOATING:
            return dtype
        if not isinstance(value, str) and name.partition(":")[0] not in DEVICES:
            raise TypeError(f"a model can have the dtypes {', '.join(FLOATING)}, not {name}")
        raise NotImplementedError(
            f"moving a model to {name} is not supported yet: models run on the CPU. Move what "
            "comes out of it instead: tensors and caches have .to()"
        )

    def _convert(self, dtype: str) -> None:
        """Change the dtype; parts have that of their model."""
        if dtype != self._engine.dtype:
            raise NotImplementedError(
                f"a part of a model cannot be {dtype} while the model is {self._engine.dtype}: convert the whole model"
            )

    def cpu(self) -> Any:
        """The model is there already."""
        return self

    def float(self) -> Any:
        return self.to("float32")

    def cuda(self, device: Any = None) -> Any:
        return self.to(
            "cuda" if device is None else device if isinstance(device, str) else f"cuda:{device}"
        )

    def mps(self) -> Any:
        return self.to("mps")

    def half(self) -> Any:
        return self.to("float16")

    def bfloat16(self) -> Any:
        return self.to("bfloat16")

    def double(self) -> Any:
        return self.to("float64")

    def share_memory(self) -> Any:
        raise NotImplementedError(
            "sharing a model's memory between processes is not supported: boot it in each"
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What torch moves and converts with, also when a model is a part of another module."""
        return self.to(fn(arrays.zeros((0,), self._engine.dtype)))
