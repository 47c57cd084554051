"""Small helpers for KV caches."""

from __future__ import annotations

from typing import Any

__all__ = ["get_pos_offset"]


def get_pos_offset(past_kv_cache: Any | None, batch_size: int) -> int:
    """How many positions a cache holds; 0 without one."""
    return 0 if past_kv_cache is None else past_kv_cache.entries[0].past_keys.shape[1]
