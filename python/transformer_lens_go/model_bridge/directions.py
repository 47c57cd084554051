"""Directions and biases in the residual stream: the part of the model's interface that reads only
weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._engine import arrays
from ..utilities.tensors import is_torch_tensor, library_of


class DirectionsMixin:
    """Needs `cfg`, `W_U`, `blocks` and `to_single_token`."""

    cfg: Any
    W_U: Any
    blocks: Any

    def tokens_to_residual_directions(self, tokens: Any) -> Any:
        """The columns of W_U that belong to tokens: [d_model], or [*tokens.shape, d_model] of
        several ids.

        The residual stream is read by these times the weights of the final norm:
        `ActivationCache.logit_attrs` multiplies by both.
        """
        if isinstance(tokens, str):
            return self.W_U[:, self.to_single_token(tokens)]  # type: ignore[attr-defined]
        if isinstance(tokens, (int, np.integer)):
            return self.W_U[:, int(tokens)]
        if isinstance(tokens, np.ndarray) or is_torch_tensor(tokens):
            if np.prod(tokens.shape) == 1:
                return self.W_U[:, int(tokens.reshape(-1)[0])]
            columns = self.W_U[:, tokens]
            return library_of(columns).moveaxis(columns, 0, -1)
        raise ValueError(
            f"Invalid token type: {type(tokens)}; expected text, an id or an array of ids"
        )

    def accumulated_bias(
        self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True
    ) -> Any:
        """The output biases of all layers before `layer` together: [d_model].

        `mlp_input` adds that of the attention of `layer` itself.
        """
        if mlp_input and layer >= self.cfg.n_layers:
            raise AssertionError("Cannot include attn_bias from beyond the final layer")
        total = arrays.zeros([self.cfg.d_model], arrays.dtype_name(self.cfg.dtype))
        for index in range(layer):
            total = _plus(total, getattr(self.blocks[index].attn, "b_O", None))
            if include_mlp_biases:
                total = _plus(total, getattr(self.blocks[index].mlp, "b_out", None))
        return _plus(total, getattr(self.blocks[layer].attn, "b_O", None)) if mlp_input else total


def _plus(total: Any, bias: Any | None) -> Any:
    return total if bias is None else total + bias
