"""Where the engine meets torch's autograd: runs are cut into segments at the edges that hooks see.

Each segment is one autograd function whose inputs are the edges before it that carry gradients (and an anchor for
the weights), and whose output is a fresh tensor: neither leaf nor view, so that hooks may edit it in place.
Only imported when torch is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import arrays

__all__ = ["LossSegment", "Segment", "anchor"]

torch = arrays.torch

_anchor: Any = None


def anchor() -> Any:
    """What stands for the weights in the autograd graph, while they have no node of their own."""
    global _anchor
    if _anchor is None:
        _anchor = torch.zeros((), requires_grad=True)
    return _anchor


class Segment(torch.autograd.Function):
    """The part of a run between the edges that carry gradients and one edge or output."""

    @staticmethod
    def forward(ctx: Any, make: Callable[[], Any], name: str, *live: Any) -> Any:
        ctx.name = name
        ctx.set_materialize_grads(False)
        return make()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(
            f"backward() reached {ctx.name}, and gradients through the engine are not built yet. Run under "
            "torch.no_grad(), or call .detach() where the gradient should end."
        )


class LossSegment(torch.autograd.Function):
    """The engine's loss as a function of the logits, with its gradient."""

    @staticmethod
    def forward(ctx: Any, loss: Any, per_token: bool, logits: Any, tokens: Any, pairs: Any) -> Any:
        ctx.per_token = per_token
        ctx.save_for_backward(logits, tokens, pairs)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        # d loss[b, t] / d logits[b, t] = softmax(logits[b, t]) - onehot(tokens[b, t + 1]), for t < pos - 1
        logits, tokens, pairs = ctx.saved_tensors
        weight = grad * pairs if ctx.per_token else grad * pairs / pairs.sum()
        result, n = torch.zeros_like(logits), tokens.shape[1] - 1  # logits may be n, or n + 1
        result[:, :n] = torch.softmax(logits[:, :n], dim=-1)
        result[:, :n].scatter_add_(
            2, tokens[:, 1:, None], -torch.ones_like(pairs, dtype=result.dtype)[..., None]
        )
        result[:, :n] *= weight[..., None]
        return None, None, result, None, None
