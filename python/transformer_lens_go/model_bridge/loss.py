"""The losses that `forward` returns: the mask made fit for them, and labels given by the caller."""

from __future__ import annotations

from typing import Any

from .._engine.inputs import check_mask
from .._engine.loss import labelled_loss
from ..utilities.lm_utils import lm_cross_entropy_loss, told
from ..utilities.tensors import is_torch_tensor


def loss_fn(
    logits: Any, tokens: Any, attention_mask: Any | None = None, per_token: bool = False
) -> Any:
    """Next-token loss of `logits` [batch, pos, d_vocab] at `tokens` [batch, pos]; see
    `lm_cross_entropy_loss`. The mask may be longer than the tokens, with past positions in front.
    """
    if attention_mask is not None:
        attention_mask = _loss_mask(attention_mask, tokens)
    return lm_cross_entropy_loss(logits, tokens, attention_mask, per_token)


def labels_loss(
    logits: Any, labels: Any, attention_mask: Any | None = None, per_token: bool = False
) -> Any:
    """Next-token loss against `labels` [batch, pos], where those that are -100 do not count."""
    if tuple(labels.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            "causal labels must match the logits batch and position dimensions, got labels "
            f"{tuple(labels.shape)} and logits {tuple(logits.shape)}"
        )
    mask = None if attention_mask is None else _loss_mask(attention_mask, labels)
    counted = labels[:, 1:] != -100
    if mask is not None:
        counted = counted & mask[:, :-1] & mask[:, 1:]
    return told(labelled_loss(logits, labels, mask, per_token), counted)


def _loss_mask(mask: Any, tokens: Any) -> Any:
    """The part of a mask [batch, key_pos] that belongs to `tokens` [batch, pos], as bools."""
    batch, pos = tokens.shape
    if mask.ndim != 2:
        raise ValueError(
            f"attention_mask must be 2D [batch, key_pos], got shape {tuple(mask.shape)}"
        )
    if mask.shape[0] != batch:
        raise ValueError(
            f"attention_mask batch dimension must match tokens, got {mask.shape[0]} and {batch}"
        )
    if mask.shape[1] < pos:
        raise ValueError(
            "attention_mask must cover every scored token, got length "
            f"{mask.shape[1]} for {pos} tokens"
        )
    check_mask(mask)
    kept = mask[:, -pos:] != 0
    return kept.to(tokens.device) if is_torch_tensor(kept) else kept
