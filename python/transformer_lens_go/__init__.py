"""Watch and edit every activation of a language model: TransformerLens' interface on an engine in Go."""

from __future__ import annotations

from . import hook_points, utilities
from ._completion import teach_ipython
from ._engine.model import empty_cache
from ._not_built import install, names_of
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
    "empty_cache",
    "hook_points",
    "utilities",
]

install()
teach_ipython()
__getattr__ = names_of(__name__)
