"""Models and their components."""

from __future__ import annotations

from .._not_built import names_of
from .bridge import TransformerBridge
from .generalized_components import (
    AttentionBridge,
    BlockBridge,
    EmbeddingBridge,
    JointQKVAttentionBridge,
    LinearBridge,
    MLPBridge,
    NormalizationBridge,
    UnembeddingBridge,
)

__all__ = [
    "AttentionBridge",
    "BlockBridge",
    "EmbeddingBridge",
    "JointQKVAttentionBridge",
    "LinearBridge",
    "MLPBridge",
    "NormalizationBridge",
    "TransformerBridge",
    "UnembeddingBridge",
]

__getattr__ = names_of(__name__)
