"""TransformerLensKeyValueCache: the keys and values of earlier tokens, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._engine import arrays
from .._engine.whole import complete
from ..summaries import as_html, as_text
from .key_value_cache_entry import TransformerLensKeyValueCacheEntry

__all__ = ["TransformerLensKeyValueCache"]


@dataclass
class TransformerLensKeyValueCache:
    """What a model keeps of tokens that it has seen, so that tokens behind them need not compute it again.

    Pass it as `past_kv_cache` with the new tokens only. A run that ends well adds their keys, as they are before
    rotary positions, and values, and their part of the attention mask. A frozen cache is read and left as it is, so
    that many continuations can share it.

    `entries` has one entry for each layer; `previous_attention_mask` [batch, pos] is 1 for tokens, 0 for padding.
    """

    entries: list[TransformerLensKeyValueCacheEntry]
    previous_attention_mask: Any
    frozen: bool = False

    @classmethod
    def init_cache(cls, cfg: Any, device: Any, batch_size: int = 1) -> TransformerLensKeyValueCache:
        """An empty cache for a model of that configuration and a batch of that size."""
        entries = [
            TransformerLensKeyValueCacheEntry.init_cache_entry(cfg, device, batch_size)
            for _ in range(cfg.n_layers)
        ]
        return cls(entries, arrays.zeros((batch_size, 0), "int32"))

    def freeze(self) -> None:
        """Keep runs from adding to the cache."""
        complete(self._set_frozen, True)

    def unfreeze(self) -> None:
        """Let runs add to the cache again."""
        complete(self._set_frozen, False)

    def _set_frozen(self, frozen: bool) -> None:
        self.frozen = frozen
        for entry in self.entries:
            entry.frozen = frozen

    def append_attention_mask(self, attention_mask: Any) -> Any:
        """The mask of past and new tokens, [batch, pos + new_tokens]; kept unless the cache is frozen."""
        updated = arrays.concat([self.previous_attention_mask, arrays.asarray(attention_mask)], -1)
        if not self.frozen:
            self.previous_attention_mask = updated
        return updated

    def __getitem__(self, idx: Any) -> Any:
        """The entry of one layer, or the entries of a slice of them."""
        return self.entries[idx]

    def __repr__(self) -> str:
        return as_text(self._title(), self._named())

    def _repr_html_(self) -> str:
        return as_html(self._title(), self._named())

    def _title(self) -> str:
        frozen = ", frozen" if self.frozen else ""
        return f"TransformerLensKeyValueCache of {len(self.entries)} layers{frozen}"

    def _named(self) -> dict[str, Any]:
        """What the cache holds, by the paths under which it is found."""
        named = {
            f"blocks.{layer}.{half}": getattr(entry, half)
            for layer, entry in enumerate(self.entries)
            for half in ("past_keys", "past_values")
        }
        return {**named, "previous_attention_mask": self.previous_attention_mask}
