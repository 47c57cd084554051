"""The next-token loss, computed by the engine."""

from __future__ import annotations

from typing import Any

from . import arrays
from .compiled import go
from .inputs import Borrowed, in_rows

__all__ = ["labelled_loss", "next_token_loss"]


def next_token_loss(logits: Any, tokens: Any, mask: Any, per_token: bool) -> Any:
    """Minus the log-probability that logits [b, p, v] give to the next of tokens [b, p].

    `mask` (int64 [b, p], or None) leaves out pairs with a masked token. The mean over what is left, or with
    `per_token` each [b, p - 1], zero where left out.
    """
    with Borrowed() as lent:
        loss = arrays.made(
            go.Loss,
            lent.add(in_rows(_constant(logits), arrays.dtype_name(logits))),
            lent.add(tokens),
            0 if mask is None else lent.add(mask),
            per_token,
        )
    if arrays.torch is None or not arrays.torch.is_grad_enabled() or not logits.requires_grad:
        return loss
    from .autograd import LossSegment

    pairs = arrays.torch.ones_like(tokens[:, 1:]) if mask is None else mask[:, :-1] * mask[:, 1:]
    exact = arrays.torch.promote_types(logits.dtype, arrays.torch.float32)
    return LossSegment.apply(loss, per_token, logits, tokens, pairs.to(exact))


def labelled_loss(logits: Any, labels: Any, mask: Any, per_token: bool) -> Any:
    """The loss against labels [b, p] of their own, where -100 marks a target to leave out."""
    valid = labels[:, 1:] != -100
    if mask is not None:
        valid = valid & (mask[:, :-1] != 0) & (mask[:, 1:] != 0)
    known = in_rows(labels * (labels != -100), "int64")
    losses = next_token_loss(logits, known, None, per_token=True)
    library = arrays.torch or arrays.np
    losses = library.where(valid, losses, arrays.zeros((), arrays.dtype_name(losses)))
    if per_token:
        return losses
    if arrays.torch is not None:
        return losses.sum() / valid.sum()
    with arrays.np.errstate(invalid="ignore"):  # of no label at all it is NaN
        return arrays.np.asarray(losses.sum() / valid.sum(), dtype=losses.dtype)


def _constant(array: Any) -> Any:
    return array.detach() if hasattr(array, "detach") else array
