"""The cosines and sines by which rotary attention rotates queries and keys."""

from __future__ import annotations

from typing import Any

from ..._engine.inputs import float_input, token_ids
from ..._engine.parts import Frame
from ...hook_points import HookPoint
from .base import GeneralizedComponent

__all__ = ["RotaryEmbeddingBridge"]


class RotaryEmbeddingBridge(GeneralizedComponent):
    """The same for all layers; no weights."""

    hook_cos: HookPoint
    hook_sin: HookPoint

    @classmethod
    def _arguments(cls, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (frame.values["x"],), {"position_ids": frame.values["positions"]}

    @classmethod
    def _outputs(cls, result: Any) -> list[Any]:
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise TypeError(
                f"what stands at rotary_emb returned {type(result).__name__}; expected (cos, sin)"
            )
        return list(result)

    def forward(self, x: Any, position_ids: Any) -> tuple[Any, Any]:
        """(cos, sin), each [batch, pos, rotary width], for positions [batch, pos]; `x` only goes to `hook_in`."""
        width = self.config.d_model
        arguments = {
            "x": float_input(x, width, f"x of {self.name}", self._dtype(), 3),
            "position_ids": token_ids(position_ids),
        }
        cos, sin = self._ask(arguments)
        return cos, sin
