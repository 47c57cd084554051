"""The unembedding."""

from __future__ import annotations

from typing import Any, ClassVar

from ...array_types import Tensor
from .base import GeneralizedComponent

__all__ = ["UnembeddingBridge"]


class UnembeddingBridge(GeneralizedComponent):
    """x @ W_U + b_U; `W_U` [d_model, d_vocab] is a view. Without a bias in the checkpoint, `b_U` is zeros."""

    weight: Tensor
    W_U: Tensor
    b_U: Tensor

    property_aliases: ClassVar[dict[str, str]] = {"W_U": "weight"}

    def forward(self, hidden_states: Any, **kwargs: Any) -> Any:
        """[..., d_model] to logits [..., d_vocab]."""
        return self._positionwise("hidden_states", hidden_states, self.config.d_model)
