"""TransformerLensKeyValueCacheEntry: one layer's keys and values of earlier tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._engine import arrays
from .._engine.past import Entry, Half
from ..given import brief
from ..summaries import in_bytes, shown, size_of

__all__ = ["TransformerLensKeyValueCacheEntry"]


class _Kept:
    """A field whose value lies in the engine's memory."""

    def __init__(self, half: Half) -> None:
        self._half: Half = half

    def __get__(self, entry: Any, owner: type | None = None) -> Any:
        if entry is None:
            raise AttributeError(f"past_{self._half} is a field of each entry")  # no default
        return entry._engine_entry().get(self._half)

    def __set__(self, entry: Any, value: Any) -> None:
        entry._engine_entry().set(self._half, value)


@dataclass
class TransformerLensKeyValueCacheEntry:
    """`past_keys` and `past_values`, [batch, pos, head, d_head] each (key-value heads, not query heads).

    Both are views of memory that is taken ahead and doubles when it is full: reading them copies nothing, what is
    written to them counts in the next run, and they stay as they are when the entry grows. `frozen` keeps runs and
    `append` from adding to the entry.
    """

    past_keys: Any = _Kept("keys")
    past_values: Any = _Kept("values")
    frozen: bool = False

    @classmethod
    def init_cache_entry(
        cls, cfg: Any, device: Any, batch_size: int = 1
    ) -> TransformerLensKeyValueCacheEntry:
        """An entry without positions, of the configuration's heads, `d_head` and dtype.

        `device` is the CPU, or None; another raises NotImplementedError.
        """
        if str(device).partition(":")[0] not in ("cpu", "None"):
            raise NotImplementedError(
                f"device={brief(device)}: KV caches are on the CPU in this version"
            )
        heads = cfg.n_heads if cfg.n_key_value_heads is None else cfg.n_key_value_heads
        entry = cls.__new__(cls)
        dtype = "float32" if cfg.dtype is None else arrays.dtype_name(cfg.dtype)
        entry.__dict__["_entry"] = Entry(dtype, batch_size, heads, cfg.d_head)
        entry.frozen = False
        return entry

    def append(self, new_keys: Any, new_values: Any) -> tuple[Any, Any]:
        """All keys and values, the new ones [batch, new_tokens, head, d_head] behind the past ones.

        They become the past unless the entry is frozen. RuntimeError where sizes or dtypes do not fit.
        """
        return self._engine_entry().append(new_keys, new_values, bool(self.frozen))

    def _engine_entry(self) -> Entry:
        entry = self.__dict__.get("_entry")
        if entry is None:
            entry = self.__dict__["_entry"] = Entry()
        return entry

    def __repr__(self) -> str:
        keys, values = self.past_keys, self.past_values
        return (
            f"TransformerLensKeyValueCacheEntry(past_keys={shown(keys)}, past_values={shown(values)}, "
            f"{in_bytes(size_of([keys, values]))}, frozen={self.frozen})"
        )
