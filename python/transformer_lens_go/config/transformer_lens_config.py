"""The fields every model configuration has. Plain data: knows nothing of engines or models."""

from __future__ import annotations

import inspect
import pprint
from dataclasses import dataclass
from typing import Any, ClassVar

from .._engine import arrays

FLOAT32 = arrays.torch.float32 if arrays.torch is not None else arrays.np.dtype("float32")


@dataclass(repr=False)
class TransformerLensConfig:
    """Sizes and switches of a transformer.

    `d_model` is the width of the residual stream, `d_head` that of one head, `n_ctx` the longest
    sequence; `n_heads` is `d_model // d_head` and `d_mlp` is `4 * d_model` unless given; -1 and
    None mean "not set".
    """

    d_model: int
    d_head: int
    n_layers: int
    n_ctx: int
    n_heads: int = -1
    d_mlp: int | None = None
    d_vocab: int = -1
    device: str | None = None
    use_attn_result: bool = False
    use_split_qkv_input: bool = False
    default_prepend_bos: bool = True
    positional_embedding_type: str = "standard"
    n_key_value_heads: int | None = None
    attn_only: bool = False
    gated_mlp: bool = False
    uses_rms_norm: bool = False
    eps: float = 1e-5
    layer_norm_folding: bool = False
    act_fn: str = "relu"
    normalization_type: str | None = "LN"
    num_experts: int | None = None
    experts_per_token: int | None = None
    final_rms: bool = False
    dtype: Any = FLOAT32
    _documented: ClassVar[tuple[str, ...]] = ()  # fields of earlier versions that are still taken

    def __post_init__(self) -> None:
        """Derive what was left unset."""
        if self.n_heads == -1:
            if self.d_model % self.d_head != 0:
                raise ValueError(
                    f"d_model ({self.d_model}) must be divisible by d_head ({self.d_head}) when "
                    "n_heads is not given"
                )
            self.n_heads = self.d_model // self.d_head
        if self.device is None:
            self.device = "cpu"
        if self.d_mlp is None:
            self.d_mlp = self.d_model * 4

    @classmethod
    def unwrap(cls, config: dict | TransformerLensConfig) -> TransformerLensConfig:
        """Make a configuration of a dict; give a configuration back as it is."""
        return TransformerLensConfig.from_dict(config) if isinstance(config, dict) else config

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any]) -> TransformerLensConfig:
        """Make a configuration of those entries that are fields; others are left out."""
        own = inspect.signature(cls).parameters
        accepted = set(own)
        if any(p.kind is p.VAR_KEYWORD for p in own.values()):  # what goes on to the classes above
            for owner in cls.__mro__[1:-1]:
                accepted.update(inspect.signature(owner).parameters)
            accepted.update(cls._documented)
        return cls(**{name: value for name, value in config_dict.items() if name in accepted})

    def to_dict(self) -> dict[str, Any]:
        """All fields and their values, in a dict of its own."""
        return self.__dict__.copy()

    def __repr__(self) -> str:
        return f"TransformerLensConfig:\n{pprint.pformat(self.to_dict())}"
