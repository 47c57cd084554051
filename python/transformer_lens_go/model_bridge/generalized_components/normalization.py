"""Layer norms."""

from __future__ import annotations

from typing import Any, ClassVar

from ...array_types import Tensor
from ...hook_points import HookPoint
from .base import GeneralizedComponent

__all__ = ["LayerNormPreBridge", "NormalizationBridge", "RMSNormPreBridge"]


class NormalizationBridge(GeneralizedComponent):
    """(x - mean) / sqrt(var + eps) * w + b. `hook_scale` [..., 1] is the divisor, `hook_normalized` the quotient."""

    weight: Tensor
    bias: Tensor | None
    w: Tensor
    b: Tensor | None
    hook_scale: HookPoint
    hook_normalized: HookPoint

    property_aliases: ClassVar[dict[str, str]] = {"w": "weight", "b": "bias"}

    @property
    def uses_rms_norm(self) -> bool:
        """Whether the mean is left in, as RMS norms do."""
        return False

    def forward(self, hidden_states: Any, **kwargs: Any) -> Any:
        """[..., width] to the same shape; the width is d_model, or d_mlp inside an MLP."""
        weight = self._indices.get("weight")
        width = self.config.d_model if weight is None else self._engine.params.shapes[weight][0]
        return self._positionwise("hidden_states", hidden_states, width)


class LayerNormPreBridge(NormalizationBridge):
    """(x - mean) / sqrt(var + eps), without weights."""

    property_aliases: ClassVar[dict[str, str]] = {}


class RMSNormPreBridge(NormalizationBridge):
    """x / sqrt(mean(x²) + eps), without weights."""

    property_aliases: ClassVar[dict[str, str]] = {}

    @property
    def uses_rms_norm(self) -> bool:
        """Always: the mean is left in."""
        return True
