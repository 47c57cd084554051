"""Configurations: what a model is and how it is set up."""

from .transformer_bridge_config import TransformerBridgeConfig
from .transformer_lens_config import TransformerLensConfig

__all__ = ["TransformerBridgeConfig", "TransformerLensConfig"]
