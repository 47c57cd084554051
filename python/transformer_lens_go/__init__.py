"""Watch and edit every activation of a language model: TransformerLens' interface on an engine in Go."""

from __future__ import annotations

from typing import Any

from . import hook_points, utilities
from ._version import __version__
from .ActivationCache import ActivationCache
from .cache.key_value_cache import TransformerLensKeyValueCache
from .cache.key_value_cache_entry import TransformerLensKeyValueCacheEntry
from .config import TransformerBridgeConfig
from .core_tokenizer import Tokenizer
from .hook_points import HookPoint
from .HookedRootModule import HookedRootModule
from .model_bridge import TransformerBridge

__all__ = [
    "ActivationCache",
    "HookPoint",
    "HookedRootModule",
    "Tokenizer",
    "TransformerBridge",
    "TransformerBridgeConfig",
    "TransformerLensKeyValueCache",
    "TransformerLensKeyValueCacheEntry",
    "__version__",
    "hook_points",
    "utilities",
]

_LATER = {
    "FactoredMatrix",
    "HookedEncoder",
    "HookedEncoderDecoder",
    "HookedTransformer",
    "HookedTransformerConfig",
    "SVDInterpreter",
    "evals",
    "factories",
    "head_detector",
    "patching",
    "supported_models",
    "tools",
    "train",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:  # an ImportError, so that `from … import name` says this too
        raise ImportError(
            f"{name} is part of transformer_lens and not of this version of transformer_lens_go yet; "
            "TransformerBridge.boot_transformers is where to start",
            name=name,
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
