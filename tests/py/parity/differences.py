"""Where the subject differs from the reference on purpose (docs/differences.md says why)."""

from __future__ import annotations

from typing import Any

# asked of forward, and answered with NotImplementedError until it is built
NOT_YET: tuple[str, ...] = ()


def in_place_counts_as_returned(name: str, batch: int, heads: int, kv_heads: int) -> bool:
    """Hook points where an in-place edit does in the subject what a returned one does, unlike in the reference."""
    if name.endswith(("hook_scale", "hook_normalized")):
        # the reference's native norm path looks only at what a hook returns
        return True
    if name.endswith(("hook_k_input", "hook_v_input")):
        # with one head the reference's copy is the residual stream itself, which an edit then changes too
        return kv_heads == 1
    if name.endswith(("hook_q_input", "hook_attn_in")):
        return heads == 1
    # the reference's position embedding is one row expanded over the batch, which torch refuses to write
    return batch > 1 and name in ("hook_pos_embed", "pos_embed.hook_out")


def heads_of(model: Any) -> tuple[int, int]:
    """Query heads and key-value heads of a model."""
    heads = model.cfg.n_heads
    return heads, model.cfg.n_key_value_heads or heads
