"""Attention layers."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._engine.parts import Frame
from ...array_types import Tensor
from ...hook_points import HookPoint
from .base import GeneralizedComponent
from .linear import LinearBridge

__all__ = ["AttentionBridge"]


class AttentionBridge(GeneralizedComponent):
    """Queries, keys and values of heads, patterns, and the output projection.

    `W_Q` [n_heads, d_model, d_head], `W_K` and `W_V` [n_kv_heads, d_model, d_head], `W_O` [n_heads, d_head,
    d_model] and the biases are writable views of the weights; biases are None where the checkpoint has none.
    """

    q: LinearBridge
    k: LinearBridge
    v: LinearBridge
    o: LinearBridge
    W_Q: Tensor
    W_K: Tensor
    W_V: Tensor
    W_O: Tensor
    b_Q: Tensor | None
    b_K: Tensor | None
    b_V: Tensor | None
    b_O: Tensor | None
    hook_q: HookPoint
    hook_k: HookPoint
    hook_v: HookPoint
    hook_rot_q: HookPoint
    hook_rot_k: HookPoint
    hook_attn_scores: HookPoint
    hook_pattern: HookPoint
    hook_z: HookPoint
    hook_result: HookPoint
    hook_attn_in: HookPoint
    hook_q_input: HookPoint
    hook_k_input: HookPoint
    hook_v_input: HookPoint

    hook_aliases: ClassVar[dict[str, str]] = {
        "hook_q": "q.hook_out",
        "hook_k": "k.hook_out",
        "hook_v": "v.hook_out",
        "hook_z": "o.hook_in",
    }
    property_aliases: ClassVar[dict[str, str]] = {
        "W_Q": "q.weight",
        "W_K": "k.weight",
        "W_V": "v.weight",
        "W_O": "o.weight",
        "b_Q": "q.bias",
        "b_K": "k.bias",
        "b_V": "v.bias",
        "b_O": "o.bias",
    }
    supports_attn_result: ClassVar[bool] = True
    supports_split_qkv_fork: ClassVar[bool] = True

    @classmethod
    def _arguments(cls, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        beside = {"attention_mask": frame.mask(), "position_ids": frame.positions()}
        if not frame.is_native:
            beside |= {"past_key_values": None, "use_cache": False}
        return (frame.values["x"],), beside

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """(output [batch, pos, d_model], pattern [batch, head, query, key]) of hidden states."""
        out, pattern = self._on_stream(args, kwargs)
        return out, pattern
