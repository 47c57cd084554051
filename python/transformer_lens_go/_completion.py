"""Tab completion in IPython and notebooks: what `__dir__` and `_ipython_key_completions_` alone do not reach.

IPython's completer evaluates what stands in front of the cursor (`model.blocks[0].attn`), but looks up attributes
only of classes that it knows to be harmless: one with a `__getattr__` of its own, as every torch module has, is none.
Lookups of ours only read, so our classes are added to those that it knows, where IPython was there first.
"""

from __future__ import annotations

import sys

from ._engine.module import EngineList
from .ActivationCache import ActivationCache
from .batch_encoding import BatchEncoding
from .cache.key_value_cache import TransformerLensKeyValueCache
from .cache.key_value_cache_entry import TransformerLensKeyValueCacheEntry
from .config import TransformerBridgeConfig
from .core_tokenizer import Tokenizer
from .encoding import Encoding
from .hook_points import HookPoint
from .model_bridge import TransformerBridge, generalized_components
from .model_bridge.model_point import ModelPoint
from .model_bridge.past_key_values import PastKeyValues, PastLayer
from .tokenizer import ModelTokenizer

__all__ = ["teach_ipython"]

_WITH_ITEMS = (
    ActivationCache,
    BatchEncoding,
    EngineList,
    PastKeyValues,
    TransformerLensKeyValueCache,
)
_WITH_ATTRIBUTES = (
    *_WITH_ITEMS,
    *(getattr(generalized_components, name) for name in generalized_components.__all__),
    Encoding,
    HookPoint,
    ModelPoint,
    ModelTokenizer,
    PastLayer,
    Tokenizer,
    TransformerBridge,
    TransformerBridgeConfig,
    TransformerLensKeyValueCacheEntry,
)


def teach_ipython() -> None:
    """Let IPython's completer look up attributes and items of these classes; nothing where there is no IPython."""
    if "IPython.core.completer" not in sys.modules:
        return
    try:
        from IPython.core import guarded_eval  # pyright: ignore[reportMissingImports]
    except ImportError:  # before 8.8 the completer evaluated anything
        return
    policy = guarded_eval.EVALUATION_POLICIES.get("limited")
    for field, classes in (("allowed_getattr", _WITH_ATTRIBUTES), ("allowed_getitem", _WITH_ITEMS)):
        allowed = getattr(policy, field, None)
        if isinstance(allowed, set):
            allowed.update(classes)
