"""PastKeyValues: the KV cache of `return_type="logits_and_cache"` and `past_key_values=`.

It has the interface of transformers' DynamicCache: keys and values [batch, head, pos, d_head] by layer, keys rotated
by their positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._engine import arrays
from .._engine.past import Entry, Half, Past
from .._engine.whole import complete
from ..summaries import as_html, as_text, in_bytes, shown, size_of
from ..utilities.tensors import to_numpy

__all__ = ["PastKeyValues", "PastLayer"]

_HALVES: tuple[Half, Half] = ("keys", "values")


class PastLayer:
    """One layer of a PastKeyValues. `keys` and `values` are views: what is written to them counts."""

    is_sliding = False
    is_croppable = True
    is_initialized = True

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def _get(self, half: Half) -> Any:
        return self._entry.get(half).swapaxes(1, 2)

    def _set(self, half: Half, value: Any) -> None:
        self._entry.set(half, arrays.asarray(value).swapaxes(1, 2))

    @property
    def keys(self) -> Any:
        """Past keys [batch, head, pos, d_head]."""
        return self._get("keys")

    @keys.setter
    def keys(self, value: Any) -> None:
        self._set("keys", value)

    @property
    def values(self) -> Any:
        """Past values [batch, head, pos, d_head]."""
        return self._get("values")

    @values.setter
    def values(self, value: Any) -> None:
        self._set("values", value)

    def get_seq_length(self) -> int:
        """How many positions the layer holds."""
        return len(self._entry)

    def get_max_length(self) -> int:
        """-1: it grows without end."""
        return -1

    def __repr__(self) -> str:
        keys, values = self.keys, self.values
        return f"PastLayer(keys={shown(keys)}, values={shown(values)}, {in_bytes(size_of([keys, values]))})"


class PastKeyValues:
    """Keys and values of earlier tokens. A run that is given it adds its own when it ends well.

    `copy.deepcopy` makes one that goes its own way. A mask with padding is remembered: later runs need not be given
    it again.
    """

    def __init__(self, dtype: str, n_layers: int, batch: int, heads: int, d_head: int) -> None:
        self.layers = [PastLayer(Entry(dtype, batch, heads, d_head)) for _ in range(n_layers)]
        self._mask: np.ndarray | None = None  # [batch, pos]; None: no padding

    @classmethod
    def for_model(cls, cfg: Any, batch: int) -> PastKeyValues:
        """An empty one for a model of that configuration."""
        heads = cfg.n_heads if cfg.n_key_value_heads is None else cfg.n_key_value_heads
        return cls(arrays.dtype_name(cfg.dtype), cfg.n_layers, batch, heads, cfg.d_head)

    def _past(self, length: int) -> Past:
        return Past([layer._entry for layer in self.layers], None, True, length)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(keys, values) of one layer."""
        return self.layers[index].keys, self.layers[index].values

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        title = f"PastKeyValues of {len(self)} layers, {self.get_seq_length()} positions"
        return as_text(title, self._named())

    def _repr_html_(self) -> str:
        title = f"PastKeyValues of {len(self)} layers, {self.get_seq_length()} positions"
        return as_html(title, self._named())

    def _named(self) -> dict[str, Any]:
        """What the cache holds, by layer."""
        return {
            f"blocks.{index}.{half}": getattr(layer, half)
            for index, layer in enumerate(self.layers)
            for half in ("keys", "values")
        }

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many positions a layer holds."""
        return self.layers[layer_idx].get_seq_length() if layer_idx < len(self.layers) else 0

    def get_max_length(self, layer_idx: int | None = None) -> int:
        """-1: it grows without end."""
        return -1

    def update(
        self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Put keys and values [batch, head, new, d_head] behind a layer's; returns all of them."""
        keys, values = self.layers[layer_idx]._entry.append(
            arrays.asarray(key_states).swapaxes(1, 2),
            arrays.asarray(value_states).swapaxes(1, 2),
            frozen=False,
        )
        return keys.swapaxes(1, 2), values.swapaxes(1, 2)

    def crop(self, tokens_to_remove: int) -> None:
        """Drop the last positions: -2 drops two. Positive numbers raise ValueError, as in transformers."""
        if tokens_to_remove > 0:
            raise ValueError(
                f"crop({tokens_to_remove}): pass a negative number, of positions to take away from the end"
            )
        complete(self._crop, max(self.get_seq_length() + tokens_to_remove, 0))

    def _crop(self, left: int) -> None:
        for layer in self.layers:
            layer._entry.crop(left)
        if self._mask is not None:
            self._mask = self._mask[:, :left]

    def _keep_rows(self, rows: np.ndarray) -> None:
        chosen = arrays.from_numpy(rows)
        kept = [[layer._entry.get(half)[chosen] for half in _HALVES] for layer in self.layers]
        complete(self._set_all, kept, None if self._mask is None else self._mask[rows])

    def _set_all(self, kept: list[list[Any]], mask: np.ndarray | None) -> None:
        for layer, values in zip(self.layers, kept, strict=True):
            for half, value in zip(_HALVES, values, strict=True):
                layer._entry.set(half, value)
        self._mask = mask

    def reorder_cache(self, beam_idx: Any) -> None:
        """Let row i go on from what was row `beam_idx[i]`."""
        self._keep_rows(np.asarray(to_numpy(beam_idx), dtype=np.int64))

    def batch_select_indices(self, indices: Any) -> None:
        """Keep these rows of the batch."""
        chosen = to_numpy(indices)
        self._keep_rows(np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row of the batch, so that each of several continuations has one."""
        batch = self.layers[0].keys.shape[0] if self.layers else 0
        self._keep_rows(np.arange(batch, dtype=np.int64).repeat(repeats))

    def reset(self) -> None:
        """Forget every position."""
        complete(self._crop, 0)
        self._mask = None
