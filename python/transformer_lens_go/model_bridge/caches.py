"""The KV cache that a forward pass was given, as the engine takes it; and what becomes of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._engine import arrays
from .._engine.inputs import attention_mask as mask_input
from .._engine.past import Entry, Past
from ..cache.key_value_cache import TransformerLensKeyValueCache
from ..utilities.tensors import to_numpy
from .past_key_values import PastKeyValues

__all__ = ["Caching", "can_cache", "open_cache"]


def can_cache(cfg: Any) -> bool:
    """Whether what a position keeps stays right when more follow: not where attention looks both ways."""
    return cfg.attention_dir == "causal"


@dataclass(slots=True)
class Caching:
    """A run's use of a cache that the caller holds."""

    past: Past
    mask: Any  # of past and new tokens, int64 [batch, past + pos]; None: no padding
    keep: Callable[[], None]  # called when the run has ended well
    put_back: Callable[[], None]  # undoes keep; idempotent
    grows: list[Entry]  # the entries to which the run adds
    pos: int  # how many tokens it adds
    _grown: list[Entry] | None = None

    def undo(self) -> None:
        """Take back what the run added, if it came so far: to all entries at once, or to none. Idempotent."""
        if self._grown is None:
            ended = all(len(entry) == self.past.length + self.pos for entry in self.grows)
            self._grown = self.grows if ended else []
        for entry in self._grown:
            entry.crop(self.past.length)
        self.put_back()


def open_cache(cache: Any, cfg: Any, batch: int, pos: int, mask: Any) -> Caching:
    """What a run over `pos` new tokens needs of any cache that users pass.

    `mask` is about the new tokens or about all, [batch, pos] or [batch, past + pos]; None: there is no padding.
    """
    if isinstance(cache, TransformerLensKeyValueCache):
        return _of_transformer_lens(cache, batch, pos, mask)
    if isinstance(cache, PastKeyValues):
        return _of_past_key_values(cache, batch, pos, mask)
    return _of_transformers(cache, cfg, batch, pos, mask)


def _joined(before: Any, given: Any, batch: int, length: int, pos: int) -> Any:
    """The mask of past and new tokens, from what is known of either; None where nothing is."""
    if given is not None:
        given = mask_input(given, batch, pos, length)
        if given.shape[1] == length + pos:
            return given
    if before is None and given is None:
        return None
    library = arrays.torch if arrays.torch is not None else np
    before = library.ones((batch, length), dtype=library.int64) if before is None else before
    given = library.ones((batch, pos), dtype=library.int64) if given is None else given
    return arrays.concat([before, given], -1)


def _of_transformer_lens(
    cache: TransformerLensKeyValueCache, batch: int, pos: int, mask: Any
) -> Caching:
    entries = [entry._engine_entry() for entry in cache.entries]
    frozen = [bool(entry.frozen) for entry in cache.entries]
    length = len(entries[0]) if entries else 0
    before = arrays.asarray(cache.previous_attention_mask)
    if tuple(before.shape) != (batch, length):
        raise RuntimeError(
            f"the KV cache's previous_attention_mask has the shape {tuple(before.shape)}, expected "
            f"{(batch, length)}: the batch of these tokens and the positions of its entries"
        )
    whole = _joined(before, mask, batch, length, pos)
    if arrays.torch is not None:
        whole = whole.to(arrays.torch.int64)
    else:
        whole = whole.astype(np.int64)

    was = cache.previous_attention_mask

    def keep() -> None:
        if not cache.frozen:
            cache.previous_attention_mask = whole

    def put_back() -> None:
        cache.previous_attention_mask = was

    grows = [entry for entry, stays in zip(entries, frozen, strict=True) if not stays]
    past = Past(entries, frozen, False, length)
    return Caching(past, whole, keep, put_back, grows, pos)


def _of_past_key_values(cache: PastKeyValues, batch: int, pos: int, mask: Any) -> Caching:
    length, was = cache.get_seq_length(), cache._mask
    before = None if cache._mask is None else arrays.from_numpy(cache._mask)
    if before is not None and tuple(before.shape) != (batch, length):
        raise RuntimeError(
            f"past_key_values has the padding of {before.shape[0]} rows of {before.shape[1]} positions, and is used "
            f"with {batch} rows behind {length} positions; pass attention_mask [{batch}, {length + pos}]"
        )
    whole = _joined(before, mask, batch, length, pos)

    def keep() -> None:
        padded = whole is not None and bool((whole == 0).any())
        cache._mask = to_numpy(whole).copy() if padded else None

    def put_back() -> None:
        cache._mask = was

    grows = [layer._entry for layer in cache.layers]
    return Caching(cache._past(length), whole, keep, put_back, grows, pos)


def _of_transformers(cache: Any, cfg: Any, batch: int, pos: int, mask: Any) -> Caching:
    """A DynamicCache of transformers': read, and updated by its own method."""
    layers = getattr(cache, "layers", None)
    if layers is None or not hasattr(cache, "update") or arrays.torch is None:
        raise TypeError(
            "past_key_values must be what return_type='logits_and_cache' gave, or a DynamicCache of transformers, "
            f"not {type(cache).__name__}; a TransformerLensKeyValueCache goes to past_kv_cache"
        )
    odd = {type(layer).__name__ for layer in layers} - {"DynamicLayer"}
    if odd or type(cache).__name__ != "DynamicCache":
        raise NotImplementedError(
            f"past_key_values is a {type(cache).__name__} of {', '.join(sorted(odd)) or 'no layers'}: only a plain "
            "DynamicCache of transformers can be used, or what return_type='logits_and_cache' gives"
        )
    fresh = PastKeyValues.for_model(cfg, batch)
    entries = [
        Entry.of(layer.keys.transpose(1, 2), layer.values.transpose(1, 2))
        if layer.is_initialized and layer.keys is not None and layer.keys.numel()
        else unused._entry
        for layer, unused in zip(
            [*layers, *fresh.layers[len(layers) :]], fresh.layers, strict=False
        )
    ]
    length = len(entries[0])
    whole = _joined(None, mask, batch, length, pos)

    def keep() -> None:
        for index, entry in enumerate(entries):
            new = [
                entry.get(half)[:, length:].transpose(1, 2).clone() for half in ("keys", "values")
            ]
            if new[0].shape[2]:
                cache.update(*new, index)

    held = [(layer, dict(layer.__dict__)) for layer in layers]

    def put_back() -> None:
        for layer, state in held:  # update makes new tensors
            layer.__dict__.update(state)
        del layers[len(held) :]

    return Caching(Past(entries, None, True, length), whole, keep, put_back, [], pos)
