"""The learned position embedding."""

from __future__ import annotations

from typing import Any, ClassVar

from ...array_types import Tensor
from .base import GeneralizedComponent

__all__ = ["PosEmbedBridge"]


class PosEmbedBridge(GeneralizedComponent):
    """Rows of `W_pos` [n_ctx, d_model] by position."""

    weight: Tensor
    W_pos: Tensor

    property_aliases: ClassVar[dict[str, str]] = {"W_pos": "weight"}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Positions [...] to embeddings [..., d_model]."""
        given = args[0] if args else kwargs.get("position_ids", kwargs.get("input"))
        if given is None:
            raise TypeError(f"{self.name} takes position ids [batch, pos]")
        return self._on_ids("input", given)
