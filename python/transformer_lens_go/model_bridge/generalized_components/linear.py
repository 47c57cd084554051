"""Linear maps."""

from __future__ import annotations

from typing import Any

from ...array_types import Tensor
from .base import GeneralizedComponent

__all__ = ["LinearBridge"]


class LinearBridge(GeneralizedComponent):
    """x @ W + b. `weight` lies as the checkpoint has it; `bias` is None where there is none."""

    weight: Tensor
    bias: Tensor | None

    def forward(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """[..., in] to [..., out]; heads lie side by side."""
        return self._positionwise("input", input, None)
