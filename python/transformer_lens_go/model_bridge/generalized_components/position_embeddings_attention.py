"""Attention that rotates queries and keys by their positions (the Llama kind)."""

from __future__ import annotations

from typing import Any

from ..._engine.parts import Frame
from .attention import AttentionBridge

__all__ = ["PositionEmbeddingsAttentionBridge"]


class PositionEmbeddingsAttentionBridge(AttentionBridge):
    """`hook_rot_q` and `hook_rot_k` are after the rotation. Called by itself it rotates by 0, 1, 2, … unless
    `position_ids` or `position_embeddings=(cos, sin)` say otherwise."""

    @classmethod
    def _arguments(cls, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        (hidden,), keywords = super()._arguments(frame)
        keywords = {
            "hidden_states": hidden,
            **keywords,
            "position_embeddings": frame.position_embeddings(),
        }
        return (), keywords
