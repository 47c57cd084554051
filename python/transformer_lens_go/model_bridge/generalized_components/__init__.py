"""The kinds of components that models consist of, by upstream's names."""

from __future__ import annotations

from ..._not_built import names_of
from .attention import AttentionBridge
from .base import GeneralizedComponent
from .block import BlockBridge
from .embedding import EmbeddingBridge
from .gated_mlp import GatedMLPBridge
from .joint_qkv_attention import JointQKVAttentionBridge
from .linear import LinearBridge
from .mlp import MLPBridge
from .normalization import LayerNormPreBridge, NormalizationBridge, RMSNormPreBridge
from .pos_embed import PosEmbedBridge
from .position_embeddings_attention import PositionEmbeddingsAttentionBridge
from .rms_normalization import RMSNormalizationBridge
from .rotary_embedding import RotaryEmbeddingBridge
from .unembedding import UnembeddingBridge

__all__ = [
    "AttentionBridge",
    "BlockBridge",
    "EmbeddingBridge",
    "GatedMLPBridge",
    "GeneralizedComponent",
    "JointQKVAttentionBridge",
    "LayerNormPreBridge",
    "LinearBridge",
    "MLPBridge",
    "NormalizationBridge",
    "PosEmbedBridge",
    "PositionEmbeddingsAttentionBridge",
    "RMSNormPreBridge",
    "RMSNormalizationBridge",
    "RotaryEmbeddingBridge",
    "UnembeddingBridge",
]

__getattr__ = names_of(__name__)
