"""Layer norms."""

from __future__ import annotations

from typing import Any, ClassVar

from .base import GeneralizedComponent

__all__ = ["NormalizationBridge"]


class NormalizationBridge(GeneralizedComponent):
    """(x - mean) / sqrt(var + eps) * w + b. `hook_scale` [..., 1] is the divisor, `hook_normalized` the quotient."""

    property_aliases: ClassVar[dict[str, str]] = {"w": "weight", "b": "bias"}

    @property
    def uses_rms_norm(self) -> bool:
        """Whether the mean is left in, as RMS norms do."""
        return False

    def forward(self, hidden_states: Any, **kwargs: Any) -> Any:
        """[..., d_model] to the same shape."""
        return self._positionwise("hidden_states", hidden_states, self.config.d_model)
