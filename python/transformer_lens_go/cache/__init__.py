"""Caches of the keys and values of earlier tokens."""

from __future__ import annotations

__all__: list[str] = []
