"""The hook points of engine models, whose hooks the engine's runs call."""

from __future__ import annotations

from typing import Any

from .._engine.where import here
from ..hook_calls import call_converted
from ..hook_points import HookPoint

__all__ = ["ModelPoint"]


class ModelPoint(HookPoint):
    """Point number `index` of the model whose hooks `table` holds.

    At a `read_only` point the value has been used already: hooks that edit it are warned. With `d_head`, values come
    with heads side by side when the point is called, and hooks see them apart, as in runs.
    """

    def __init__(self, table: Any, index: int, told: dict[str, Any], d_head: int | None) -> None:
        super().__init__()
        self.__dict__.update(
            _table=table,
            _index=index,
            name=told["name"],
            _canonical=told["name"],
            _resize=told["resize"],
            _read_only=told["read_only"],
            _d_head=d_head,
            training=False,
        )

    def forward(self, x: Any) -> Any:
        """`x`, as the hooks leave it: they are called here, outside of the engine's runs."""
        flat = self._d_head is not None and x.ndim == 3
        given = value = x.reshape((*x.shape[:2], -1, self._d_head)) if flat else x
        for handle in list(self.fwd_hooks):
            result = call_converted(handle.hook.call, value, self)
            if result is not None:
                value = result
        if value is given:
            return x
        return value.reshape((*value.shape[:2], -1)) if flat and value.ndim == 4 else value

    @property
    def positions(self) -> range | None:
        """As of HookPoint."""
        return here.positions
