"""Transformer blocks."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._engine.parts import Frame
from ...hook_points import HookPoint
from .attention import AttentionBridge
from .base import GeneralizedComponent
from .mlp import MLPBridge
from .normalization import NormalizationBridge

__all__ = ["BlockBridge"]


class BlockBridge(GeneralizedComponent):
    """Attention and MLP around one residual stream: `hook_in` and `hook_out` see the stream."""

    ln1: NormalizationBridge
    ln2: NormalizationBridge
    attn: AttentionBridge
    mlp: MLPBridge
    hook_resid_pre: HookPoint
    hook_resid_mid: HookPoint
    hook_resid_post: HookPoint
    hook_attn_in: HookPoint
    hook_attn_out: HookPoint
    hook_q_input: HookPoint
    hook_k_input: HookPoint
    hook_v_input: HookPoint
    hook_mlp_in: HookPoint
    hook_mlp_out: HookPoint

    is_list_item = True
    hook_aliases: ClassVar[dict[str, str]] = {
        "hook_resid_pre": "hook_in",
        "hook_resid_mid": "ln2.hook_in",
        "hook_resid_post": "hook_out",
        "hook_attn_in": "attn.hook_attn_in",
        "hook_attn_out": "attn.hook_out",
        "hook_q_input": "attn.hook_q_input",
        "hook_k_input": "attn.hook_k_input",
        "hook_v_input": "attn.hook_v_input",
        "hook_mlp_out": "mlp.hook_out",
    }

    @classmethod
    def _arguments(cls, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, mask = frame.values["x"], frame.mask()
        beside = {"position_ids": frame.positions()}
        if frame.is_native:
            return (x,), {"attention_mask": mask, **beside}
        beside["use_cache"] = False
        rotation = frame.position_embeddings()
        if rotation is None:  # as GPT-2 calls its blocks
            return (x, None, mask, None), {"encoder_attention_mask": None, **beside}
        keywords = {"attention_mask": mask, "position_embeddings": rotation, **beside}
        return (x,), {**keywords, "past_key_values": None}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The stream [batch, pos, d_model] after the block.

        In a tuple of one when called on hidden states alone, as upstream's blocks answer; the bare tensor when
        masks or positions are passed too.
        """
        alone = len(args) + len(kwargs) == 1
        (out,) = self._on_stream(args, kwargs)
        return (out,) if alone else out
