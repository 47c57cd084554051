"""MLPs."""

from __future__ import annotations

from typing import Any, ClassVar

from ...array_types import Tensor
from ...hook_points import HookPoint
from .base import GeneralizedComponent
from .linear import LinearBridge

__all__ = ["MLPBridge"]


class MLPBridge(GeneralizedComponent):
    """act(x @ W_in + b_in) @ W_out + b_out; `W_in` [d_model, d_mlp] and `W_out` [d_mlp, d_model] are views."""

    gate: LinearBridge  # of gated ones; the input projection's name, `in`, is a keyword
    out: LinearBridge
    W_gate: Tensor
    W_in: Tensor
    W_out: Tensor
    b_gate: Tensor | None
    b_in: Tensor | None
    b_out: Tensor | None
    hook_pre: HookPoint
    hook_post: HookPoint

    hook_aliases: ClassVar[dict[str, str]] = {"hook_pre": "in.hook_out", "hook_post": "out.hook_in"}
    property_aliases: ClassVar[dict[str, str]] = {
        "W_gate": "gate.weight",
        "b_gate": "gate.bias",
        "W_in": "in.weight",
        "b_in": "in.bias",
        "W_out": "out.weight",
        "b_out": "out.bias",
    }

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """[..., d_model] to the same shape."""
        given = args[0] if args else kwargs.get("hidden_states")
        if given is None:
            raise TypeError(f"{self.name} takes hidden states [batch, pos, d_model]")
        return self._positionwise("hidden_states", given, self.config.d_model)
