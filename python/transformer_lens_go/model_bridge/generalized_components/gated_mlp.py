"""Gated MLPs (the Llama kind)."""

from __future__ import annotations

from typing import ClassVar

from ...hook_points import HookPoint
from .mlp import MLPBridge

__all__ = ["GatedMLPBridge"]


class GatedMLPBridge(MLPBridge):
    """(act(x @ W_gate) * (x @ W_in)) @ W_out."""

    hook_pre_linear: HookPoint

    hook_aliases: ClassVar[dict[str, str]] = {
        "hook_pre": "gate.hook_out",
        "hook_pre_linear": "in.hook_out",
        "hook_post": "out.hook_in",
    }
