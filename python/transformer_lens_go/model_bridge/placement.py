"""Devices, dtypes and gradients of a whole part of a model. None of it hands out a weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._engine import arrays

__all__ = ["PlacementMixin"]


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

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Switch gradients of every parameter on or off."""
        self._engine.params.set_requires_grad(self._parameter_indices(), requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop (or zero) the gradients of every parameter."""
        self._engine.params.zero_grad(self._parameter_indices(), set_to_none)

    def train(self, mode: bool = True) -> Any:
        """Note the mode. The engine has no dropout: it computes the same in both."""
        for module in self.modules():  # type: ignore[attr-defined]
            module.__dict__["training"] = mode
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Models are on the CPU and keep the dtype they were booted with; asking for that is fine."""
        kwargs.pop("print_details", None)
        kwargs.pop("non_blocking", None)
        for value in (*args, *kwargs.values()):
            self._require_placement(value)
        return self

    def _require_placement(self, value: Any) -> None:
        """Raise NotImplementedError for a device or dtype other than the model's."""
        if value is None or isinstance(value, bool):
            return
        if arrays.is_array(value):
            self._require_placement(value.dtype)
            value = getattr(value, "device", "cpu")
        name = str(value)
        if name.partition(":")[0] == "cpu" or arrays.dtype_name(value) == "float32":
            return
        raise NotImplementedError(
            f"moving a model to {name} is not supported yet: models run on the CPU in float32. Move what "
            "comes out of it instead: tensors and caches have .to()"
        )

    def cpu(self) -> Any:
        """The model is there already."""
        return self

    def float(self) -> Any:
        """The model computes in float32 already."""
        return self

    def cuda(self, device: Any = None) -> Any:
        return self.to(
            "cuda" if device is None else device if isinstance(device, str) else f"cuda:{device}"
        )

    def mps(self) -> Any:
        return self.to("mps")

    def half(self) -> Any:
        return self.to("torch.float16")

    def bfloat16(self) -> Any:
        return self.to("torch.bfloat16")

    def double(self) -> Any:
        return self.to("torch.float64")

    def share_memory(self) -> Any:
        raise NotImplementedError(
            "sharing a model's memory between processes is not supported: boot it in each"
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What torch moves and converts with, also when a model is a part of another module."""
        probe = arrays.zeros((0,))
        self._require_placement(fn(probe))
        return self
