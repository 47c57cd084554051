"""`boot_native`: a small transformer from a configuration alone, its weights drawn."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from .._engine import arrays
from .._engine.model import EngineModel
from .._engine.recipes import draw_weights
from ..config import TransformerBridgeConfig
from ..given import brief

if TYPE_CHECKING:
    from .bridge import TransformerBridge

__all__ = ["NativeMixin", "boot_native"]

_OR_STANDARD = ("act_fn", "init_mode", "positional_embedding_type")  # None is the usual one
_OR_NONE = ("d_mlp", "n_key_value_heads")  # 0 is "not given"


def boot_native(
    config: TransformerBridgeConfig | dict[str, Any],
    tokenizer: Any | None = None,
    device: Any | None = None,
    dtype: Any | None = None,
    model_name: str = "native",
) -> TransformerBridge:
    """Build a transformer of upstream's native kind from a configuration, with random weights.

    Args:
        config: a configuration, which is copied, or a dict for `TransformerBridgeConfig.from_dict`. `init_mode`
            ("gpt2", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal") and
            `initializer_range` say how weights are drawn, `seed` from which generator: with torch, upstream's
            weights bit for bit, seeded or after `torch.manual_seed`. `init_weights=False` keeps what torch's
            modules start with.
        tokenizer: a Hugging Face tokenizer; without one the model takes ids.
        device: "cpu", the only one now.
        dtype: what the model holds and computes in; weights are drawn in float32 and rounded. (`config.dtype`
            plays no part, as upstream.)
        model_name: what `cfg.model_name` says.

    Raises:
        TypeError: neither a TransformerBridgeConfig nor a dict; a field of the wrong type.
        ValueError: a value that no native model can have.
        NotImplementedError: a field whose operation does not exist in native models; another device.

    Example:
        >>> sizes = dict(n_layers=2, d_model=16, n_heads=2, d_head=8, d_mlp=32, n_ctx=8, d_vocab=50)
        >>> small = TransformerBridge.boot_native({**sizes, "act_fn": "gelu", "seed": 0})
        >>> tuple(small.blocks[0].attn.W_Q.shape)  # [head, d_model, d_head]
        (2, 16, 8)
    """
    from .bridge import TransformerBridge

    config = _own_copy(config)
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise NotImplementedError(
            f"boot_native: device={brief(device)} is not supported yet; models run on the CPU"
        )
    values = _values(config)
    engine = EngineModel.native(values, name=model_name)
    _draw(engine, config)
    bridge = TransformerBridge(engine)
    for field, value in config.to_dict().items():  # what JSON has no word for, or no order
        changed = isinstance(value, (dict, list)) or values[field] != value
        if changed and field not in ("dtype", "device"):
            bridge.cfg.__dict__[field] = value
    if dtype is not None:
        bridge.to(dtype)
    if tokenizer is not None:
        bridge.set_tokenizer(tokenizer)
    return bridge


def _own_copy(config: Any) -> TransformerBridgeConfig:
    if isinstance(config, dict):
        config = TransformerBridgeConfig.from_dict(config)
    elif isinstance(config, TransformerBridgeConfig):
        config = copy.deepcopy(config)
    if not isinstance(config, TransformerBridgeConfig):
        raise TypeError(
            f"boot_native expected a TransformerBridgeConfig or dict, got {type(config).__name__}"
        )
    return config


def _values(config: TransformerBridgeConfig) -> dict[str, Any]:
    """The fields as the engine reads them."""
    values = {name: _plain(value) for name, value in config.to_dict().items()}
    values.update(dtype="float32", device="cpu")
    values.update((name, "") for name in _OR_STANDARD if values.get(name) is None)
    values.update((name, None) for name in _OR_NONE if values.get(name) == 0)
    return values


def _plain(value: Any) -> Any:
    """`value` as JSON has it: numbers of NumPy's and torch's as Python's, other objects as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return str(value)


def _draw(engine: EngineModel, config: TransformerBridgeConfig) -> None:
    if not config.init_weights or (config.seed is None and arrays.torch is not None):
        # also where it is drawn over: torch's modules draw when they are made, and move its generator on
        draw_weights(engine, "made", None)
    if config.init_weights:
        draw_weights(engine, "initialized", config.seed)


class NativeMixin:
    """What only native models can do."""

    cfg: Any
    _engine: Any

    def init_weights(self) -> None:
        """Draw a native model's weights afresh, by `cfg.init_mode`, `cfg.initializer_range` and `cfg.seed`.

        Raises:
            RuntimeError: a model with weights of its own, not made by `boot_native`.
            NotImplementedError: an unknown `cfg.init_mode`.
        """
        draw_weights(self._engine, "initialized", self.cfg.seed)
