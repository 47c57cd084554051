"""The token embedding."""

from __future__ import annotations

from typing import Any, ClassVar

from ...array_types import Tensor
from .base import GeneralizedComponent

__all__ = ["EmbeddingBridge"]


class EmbeddingBridge(GeneralizedComponent):
    """Rows of `W_E` [d_vocab, d_model] by token id."""

    weight: Tensor
    W_E: Tensor

    property_aliases: ClassVar[dict[str, str]] = {"W_E": "weight"}

    def forward(self, input_ids: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        """Ids [...] to embeddings [..., d_model]; positions play no part."""
        return self._on_ids("input_ids", input_ids)
