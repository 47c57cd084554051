"""KV caches: the classes by themselves, and runs that go on from them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tiny_models import D_HEAD, N_HEADS, N_LAYERS, Arrays
from transformer_lens_go import (
    TransformerLensKeyValueCache,
    TransformerLensKeyValueCacheEntry,
    cache,
)
from transformer_lens_go._engine.model import counts
from transformer_lens_go.utilities.cache import get_pos_offset

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

Run = Callable[[Any], Any]


def new_cache(model: Any, batch: int = 2) -> TransformerLensKeyValueCache:
    return TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", batch)


def heads_of(model: Any) -> int:
    return model.cfg.n_key_value_heads or model.cfg.n_heads


def runs(model: Any, ids: Any, cuts: list[int], **cache: Any) -> list[Any]:
    """Logits of consecutive pieces of `ids`, each behind what the cache holds."""
    bounds = [0, *cuts, ids.shape[1]]
    return [model(ids[:, a:b], **cache) for a, b in pairwise(bounds)]


def joined(xp: Arrays, parts: list[Any]) -> np.ndarray:
    return np.concatenate([xp.numpy(part) for part in parts], axis=1)


def padding(xp: Arrays) -> Any:
    mask = np.ones((2, 6), dtype=np.int64)
    mask[0, :3] = 0
    return xp.array(mask, "int64")


# the classes by themselves


def test_a_new_cache(model: Any, xp: Arrays) -> None:
    cache = new_cache(model)
    assert len(cache.entries) == N_LAYERS
    assert not cache.frozen
    assert tuple(cache.previous_attention_mask.shape) == (2, 0)
    for layer, entry in enumerate(cache.entries):
        assert cache[layer] is entry
        assert tuple(entry.past_keys.shape) == (2, 0, heads_of(model), D_HEAD)
        assert tuple(entry.past_values.shape) == (2, 0, heads_of(model), D_HEAD)
        assert not entry.frozen
    assert cache[1:] == cache.entries[1:]
    assert get_pos_offset(cache, 2) == 0
    assert get_pos_offset(None, 2) == 0
    with pytest.raises(NotImplementedError, match="cuda"):
        TransformerLensKeyValueCache.init_cache(model.cfg, "cuda", 1)


def numbers(xp: Arrays, pos: int, start: float = 0.0) -> Any:
    values = start + np.arange(2 * pos * 3 * 4, dtype=np.float32).reshape(2, pos, 3, 4)
    return xp.array(values, "float32")


def test_append(xp: Arrays) -> None:
    first, second = numbers(xp, 2), numbers(xp, 3, 1000.0)
    entry = TransformerLensKeyValueCacheEntry(first, first * 2)
    assert entry.past_keys is first
    keys, values = entry.append(second, second * 2)
    want = np.concatenate([xp.numpy(first), xp.numpy(second)], axis=1)
    np.testing.assert_array_equal(xp.numpy(keys), want)
    np.testing.assert_array_equal(xp.numpy(values), want * 2)
    np.testing.assert_array_equal(xp.numpy(entry.past_keys), want)
    entry.frozen = True
    keys, _ = entry.append(second, second)
    assert keys.shape[1] == 8
    assert entry.past_keys.shape[1] == entry.past_values.shape[1] == 5


def test_views_stay_as_they_are(xp: Arrays) -> None:
    one = numbers(xp, 1)
    entry = TransformerLensKeyValueCacheEntry(one, one)
    entry.append(one, one)
    old = entry.past_keys
    before = xp.numpy(old).copy()
    for step in range(40):
        new = one + float(step)
        keys, _ = entry.append(new, new)
        keys[:] = -1.0  # an edit of what came later
        np.testing.assert_array_equal(xp.numpy(old), before)
    np.testing.assert_array_equal(xp.numpy(entry.past_keys)[:, :-1], -1.0)


def test_reading_copies_nothing(xp: Arrays) -> None:
    one = numbers(xp, 1)
    entry = TransformerLensKeyValueCacheEntry(one, one)
    entry.append(one, one)
    entry.past_values[:, 1] = 7.0
    assert (xp.numpy(entry.past_values)[:, 1] == 7.0).all()
    storages = counts()["Storages"]
    views = [entry.past_keys for _ in range(50)]
    assert counts()["Storages"] == storages
    assert len(views) == 50


@pytest.mark.parametrize("shape", [(2, 1, 3, 5), (1, 1, 3, 4), (2, 1, 2, 4), (2, 3, 4)])
def test_append_of_what_does_not_fit(xp: Arrays, shape: tuple[int, ...]) -> None:
    one = numbers(xp, 1)
    entry = TransformerLensKeyValueCacheEntry(one, one)
    wrong = xp.array(np.zeros(shape, dtype=np.float32), "float32")
    with pytest.raises(RuntimeError):
        entry.append(wrong, wrong)
    assert entry.past_keys.shape[1] == 1
    entry.append(one, one)


def test_append_attention_mask(model: Any, xp: Arrays) -> None:
    cache = new_cache(model)
    mask = padding(xp)
    assert xp.same(cache.append_attention_mask(mask), mask)
    assert tuple(cache.previous_attention_mask.shape) == (2, 6)
    cache.freeze()
    assert tuple(cache.append_attention_mask(mask).shape) == (2, 12)
    assert tuple(cache.previous_attention_mask.shape) == (2, 6)
    cache.unfreeze()
    assert not any(entry.frozen for entry in cache.entries)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copies(model: Any, xp: Arrays, again: Run) -> None:
    ids = xp.ids()
    cache = new_cache(model)
    model(ids, past_kv_cache=cache)
    other = again(cache)
    want = model(ids[:, :2], past_kv_cache=copy.deepcopy(cache))
    assert xp.same(model(ids[:, :2], past_kv_cache=other), want)
    if again is not copy.copy:  # which shares its entries
        assert cache[0].past_keys.shape[1] == 6


def test_where_they_are() -> None:
    assert cache.key_value_cache.TransformerLensKeyValueCache is TransformerLensKeyValueCache
    entry = cache.key_value_cache_entry.TransformerLensKeyValueCacheEntry
    assert entry is TransformerLensKeyValueCacheEntry


def test_an_entry_by_itself(llama: Any, xp: Arrays) -> None:
    entry = TransformerLensKeyValueCacheEntry.init_cache_entry(llama.cfg, None, 3)
    assert tuple(entry.past_keys.shape) == (3, 0, heads_of(llama), D_HEAD)
    assert str(entry.past_values.dtype).endswith("float32")


# runs


@pytest.mark.parametrize("cuts", [[1], [5], [2, 3, 4], [1, 2, 3, 4, 5]])
def test_pieces_have_the_bits_of_the_whole(model: Any, xp: Arrays, cuts: list[int]) -> None:
    ids = xp.ids()
    want = xp.numpy(model(ids))
    cache = new_cache(model)
    np.testing.assert_array_equal(joined(xp, runs(model, ids, cuts, past_kv_cache=cache)), want)
    assert get_pos_offset(cache, 2) == 6
    assert (xp.numpy(cache.previous_attention_mask) == 1).all()
    _, other = model(ids[:, : cuts[0]], return_type="logits_and_cache")
    rest = runs(model, ids[:, cuts[0] :], [c - cuts[0] for c in cuts[1:]], past_key_values=other)
    np.testing.assert_array_equal(joined(xp, rest), want[:, cuts[0] :])
    assert other.get_seq_length() == 6


def test_what_entries_hold(model: Any, xp: Arrays) -> None:
    """Keys as the projection gave them, values, by key-value head."""
    ids, cache = xp.ids(), new_cache(model)
    names = ["blocks.1.attn.hook_k", "blocks.1.attn.hook_v"]
    _, seen = model.run_with_cache(ids, names_filter=names, past_kv_cache=cache)
    assert xp.same(cache[1].past_keys, seen["blocks.1.attn.hook_k"])
    assert xp.same(cache[1].past_values, seen["blocks.1.attn.hook_v"])
    _, later = model.run_with_cache(ids[:, :2], names_filter=names, past_kv_cache=cache)
    assert later["blocks.1.attn.hook_k"].shape[1] == 2
    assert xp.same(cache[1].past_keys[:, 6:], later["blocks.1.attn.hook_k"])


def test_what_hooks_see(model: Any, xp: Arrays) -> None:
    ids, cache = xp.ids(), new_cache(model)
    model(ids[:, :4], past_kv_cache=cache)
    places = []
    model.run_with_hooks(
        ids[:, 4:],
        past_kv_cache=cache,
        fwd_hooks=[
            (
                f"blocks.0.attn.{name}",
                lambda v, hook: places.append((tuple(v.shape), hook.positions)),
            )
            for name in ("hook_q", "hook_k", "hook_attn_scores", "hook_pattern")
        ],
    )
    new = range(4, 6)
    scores = ((2, N_HEADS, 2, 6), new)
    keys = ((2, 2, heads_of(model), D_HEAD), new)
    assert places == [((2, 2, N_HEADS, D_HEAD), new), keys, scores, scores]
    assert model.hook_dict["blocks.0.attn.hook_q"].positions is None


@pytest.mark.parametrize("kind", ["past_kv_cache", "past_key_values"])
def test_padding(model: Any, xp: Arrays, kind: str) -> None:
    """A padded row goes on as it does alone, and the mask need not be given again."""
    ids, mask = xp.ids(), padding(xp)
    whole = xp.numpy(model(ids, attention_mask=mask))
    cache = new_cache(model) if kind == "past_kv_cache" else None
    if cache is None:
        _, cache = model(ids[:, :4], attention_mask=mask[:, :4], return_type="logits_and_cache")
    else:
        model(ids[:, :4], attention_mask=mask[:, :4], past_kv_cache=cache)
    first = model(ids[:, 4:5], **{kind: cache})
    second = model(ids[:, 5:], attention_mask=mask[:, 5:], **{kind: cache})
    np.testing.assert_array_equal(joined(xp, [first, second]), whole[:, 4:])
    alone = xp.numpy(model(ids[:1, 3:]))
    np.testing.assert_array_equal(joined(xp, [first, second])[:1], alone[:, 1:])


def test_masks_over_past_and_new(model: Any, xp: Arrays) -> None:
    ids, mask = xp.ids(), padding(xp)
    whole = xp.numpy(model(ids, attention_mask=mask))
    _, cache = model(ids[:, :4], attention_mask=mask[:, :4], return_type="logits_and_cache")
    rest = model(ids[:, 4:], attention_mask=mask, past_key_values=cache)
    np.testing.assert_array_equal(xp.numpy(rest), whole[:, 4:])
    with pytest.raises(ValueError, match=r"\(2, 2\), or \(2, 8\) with the KV cache"):
        model(ids[:, 4:], attention_mask=mask[:, :3], past_key_values=cache)


def test_frozen_prefix(model: Any, xp: Arrays) -> None:
    ids, cache = xp.ids(), new_cache(model)
    model(ids[:, :3], past_kv_cache=cache)
    cache.freeze()
    for other in (xp.ids(), xp.ids(1), xp.ids(2)):
        xp.numpy(other)[:, :3] = xp.numpy(ids)[:, :3]
        want = xp.numpy(model(other))[:, 3:]
        got = model(other[:, 3:], past_kv_cache=cache)
        np.testing.assert_array_equal(xp.numpy(got), want)
        stopped = model(other[:, 3:], past_kv_cache=cache, stop_at_layer=1)
        resid = xp.numpy(model(other, stop_at_layer=1))[:, 3:]
        np.testing.assert_array_equal(xp.numpy(stopped), resid)
        rest = xp.numpy(model(stopped, start_at_layer=1, past_kv_cache=cache))
        np.testing.assert_array_equal(rest, want)
    assert get_pos_offset(cache, 2) == 3


def test_edits_count(model: Any, xp: Arrays) -> None:
    """What is written into a cache, or assigned, is what the next run reads."""
    ids = xp.ids()

    def after(edit: Run) -> np.ndarray:
        cache = new_cache(model)
        model(ids, past_kv_cache=cache)
        edit(cache)
        return xp.numpy(model(ids[:, :1], past_kv_cache=cache)).copy()

    def in_place(cache: Any) -> None:
        cache[1].past_values[:, 2:4] = 0.0

    def assigned(cache: Any) -> None:
        values = xp.array(xp.numpy(cache[1].past_values).copy(), "float32")
        cache[1].past_values = values
        values[:, 2:4] = 0.0  # an assigned array is looked into, not copied

    plain = after(lambda cache: None)
    assert not np.array_equal(after(in_place), plain)
    np.testing.assert_array_equal(after(assigned), after(in_place))


def test_a_failing_run_adds_nothing(model: Any, xp: Arrays) -> None:
    ids, cache = xp.ids(), new_cache(model)
    model(ids[:, :4], past_kv_cache=cache)

    def fail(value: Any, hook: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.run_with_hooks(
            ids[:, 4:], past_kv_cache=cache, fwd_hooks=[("blocks.1.hook_out", fail)]
        )
    assert [entry.past_keys.shape[1] for entry in cache.entries] == [4] * N_LAYERS
    assert tuple(cache.previous_attention_mask.shape) == (2, 4)
    rest = xp.numpy(model(ids[:, 4:], past_kv_cache=cache))
    np.testing.assert_array_equal(rest, xp.numpy(model(ids))[:, 4:])


def test_a_hook_may_run_the_model_on_another_cache(model: Any, xp: Arrays) -> None:
    ids, cache, other = xp.ids(), new_cache(model), new_cache(model)

    places = []

    def again(value: Any, hook: Any) -> None:
        places.append(hook.positions)
        if len(places) == 1:
            model(ids[:, :3], past_kv_cache=other)
            places.append(hook.positions)

    with_hook = model.run_with_hooks(
        ids, past_kv_cache=cache, fwd_hooks=[("blocks.1.hook_in", again)]
    )
    assert xp.same(with_hook, model(ids))
    assert get_pos_offset(other, 2) == 3
    assert places == [range(6), range(3), range(6)]

    def same(value: Any, hook: Any) -> None:
        model(ids[:, :3], past_kv_cache=cache)

    with pytest.raises(RuntimeError, match="being extended by another run"):
        model.run_with_hooks(ids, past_kv_cache=cache, fwd_hooks=[("blocks.1.hook_in", same)])


def test_caches_that_do_not_fit(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    with pytest.raises(RuntimeError, match="previous_attention_mask"):
        model(ids[:1], past_kv_cache=new_cache(model))
    short = new_cache(model)
    short.entries = short.entries[:-1]
    with pytest.raises(RuntimeError, match=f"it has {N_LAYERS - 1} layers"):
        model(ids, past_kv_cache=short)
    wide = new_cache(model)
    wide[1].past_keys = xp.array(
        np.zeros((2, 0, heads_of(model), D_HEAD + 1), np.float32), "float32"
    )
    with pytest.raises(RuntimeError, match="past keys of layer 1"):
        model(ids, past_kv_cache=wide)
    double = new_cache(model)
    double[0].past_values = xp.array(np.zeros((2, 0, heads_of(model), D_HEAD)), "float64")
    with pytest.raises(RuntimeError, match="float64"):
        model(ids, past_kv_cache=double)
    apart = new_cache(model)
    model(ids, past_kv_cache=apart, stop_at_layer=1)
    with pytest.raises(RuntimeError, match="layer 0 holds 6 positions, layer 1 holds 0"):
        model(ids, past_kv_cache=apart)
    _, other = model(ids, return_type="logits_and_cache")
    with pytest.raises(RuntimeError):
        model(ids[:1], past_key_values=other)
    with pytest.raises(TypeError, match="past_kv_cache"):
        model(ids, past_key_values=new_cache(model))
    with pytest.raises(TypeError, match="TransformerLensKeyValueCache"):
        model(ids, past_kv_cache=other)
    with pytest.raises(TypeError):
        model(ids, past_key_values=3)
    with pytest.raises(ValueError, match="two caches"):
        model(ids, past_kv_cache=new_cache(model), past_key_values=other)


def test_the_context_ends(gpt2: Any, xp: Arrays) -> None:
    """Learned positions end with the context; the cache is left as it was."""
    ids = xp.array(np.arange(47)[None], "int64")
    _, cache = gpt2(ids, return_type="logits_and_cache")
    with pytest.raises(IndexError):
        gpt2(ids[:, :2], past_key_values=cache)
    assert cache.get_seq_length() == 47
    gpt2(ids[:, :1], past_key_values=cache)


def test_both_kinds_agree_under_flags(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    want = xp.numpy(model(ids))
    model.set_use_split_qkv_input(True)
    try:
        cache = new_cache(model)
        model(ids[:, :4], past_kv_cache=cache)
        np.testing.assert_array_equal(xp.numpy(model(ids[:, 4:], past_kv_cache=cache)), want[:, 4:])
    finally:
        model.set_use_split_qkv_input(False)


def test_nothing_is_left_behind(model: Any, xp: Arrays) -> None:
    ids = xp.ids()

    def once() -> None:
        cache = new_cache(model)
        model(ids, past_kv_cache=cache)
        model(ids[:, :1], past_kv_cache=cache)
        _, other = model(ids, return_type="logits_and_cache")
        model(ids[:, :1], past_key_values=copy.deepcopy(other))
        assert cache[0].past_keys.shape[1] == 7

    once()
    before = counts()
    for _ in range(5):
        once()
    after = counts()
    for what in ("Storages", "Bytes", "Handles", "Exported", "CacheEntries", "Runs"):
        assert after[what] == before[what], what
