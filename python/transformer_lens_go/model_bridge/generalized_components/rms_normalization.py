"""RMS norms."""

from __future__ import annotations

from typing import ClassVar

from .normalization import NormalizationBridge

__all__ = ["RMSNormalizationBridge"]


class RMSNormalizationBridge(NormalizationBridge):
    """x / sqrt(mean(x²) + eps) * w."""

    property_aliases: ClassVar[dict[str, str]] = {"w": "weight"}

    @property
    def uses_rms_norm(self) -> bool:
        return True
