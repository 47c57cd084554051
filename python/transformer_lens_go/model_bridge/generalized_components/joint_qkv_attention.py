"""Attention whose checkpoint keeps queries, keys and values in one matrix (GPT-2)."""

from __future__ import annotations

from .attention import AttentionBridge

__all__ = ["JointQKVAttentionBridge"]


class JointQKVAttentionBridge(AttentionBridge):
    """`q`, `k` and `v` are column slices of one weight."""
