"""What upstream's bridge has and this version does not yet: each name says so when it is used."""

from __future__ import annotations

from typing import Any

__all__ = ["LaterMixin"]

_METHODS = {
    "enable_compatibility_mode": "compatibility mode (HookedTransformer's weight processing)",
    "process_weights": "weight processing",
    "encoder_output": "encoder models",
    "to_sentence_pair_tokens": "encoder models",
    "predict_next_sentence": "encoder models",
    "prepare_multimodal_inputs": "multimodal models",
    "all_composition_scores": "composition scores",
    "composition_layer_indices": "composition scores",
    "QK_for_attn_layers": "factored weight circuits",
    "OV_for_attn_layers": "factored weight circuits",
    "get_params": "weights by HookedTransformer's names",
    "tl_parameters": "weights by HookedTransformer's names",
    "tl_named_parameters": "weights by HookedTransformer's names",
}
_PROPERTIES = {"QK": "factored weight circuits", "OV": "factored weight circuits"}
_STATIC = {
    "boot_tl_legacy": "HookedTransformer's own checkpoints",
    "check_model_support": "the registry of models",
    "list_supported_models": "the registry of models",
}


def _not_yet(name: str, feature: str) -> NotImplementedError:
    return NotImplementedError(f"TransformerBridge.{name}: {feature} is not in this version yet")


class LaterMixin:
    """Raises NotImplementedError for features to come."""


def _fill(cls: type) -> None:
    def method(name: str, feature: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            raise _not_yet(name, feature)

        call.__name__ = name
        call.__doc__ = f"Not in this version yet: {feature}."
        return call

    for name, feature in _METHODS.items():
        setattr(cls, name, method(name, feature))
    for name, feature in _STATIC.items():
        setattr(cls, name, staticmethod(method(name, feature)))
    for name, feature in _PROPERTIES.items():
        setattr(
            cls, name, property(method(name, feature), doc=f"Not in this version yet: {feature}.")
        )


_fill(LaterMixin)
