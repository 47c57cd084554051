"""What the engine computes from belongs to somebody for as long as it does: arrays of users', weights, caches.

Memory that was freed too early is seen by what comes to lie there: `junk` fills it.
"""

from __future__ import annotations

import gc
import json
import struct
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_models import D_HEAD, N_HEADS, Arrays, alive
from transformer_lens_go import TransformerLensKeyValueCache, TransformerLensKeyValueCacheEntry
from transformer_lens_go._engine import arrays
from transformer_lens_go._engine.model import EngineModel

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

BATCH, POS = 2, 6


def junk(like: Any) -> list[Any]:
    """Arrays of that size, where freed memory of that size was a moment ago."""
    gc.collect()
    if arrays.torch is not None:
        return [arrays.torch.full(tuple(like.shape), 777.0) for _ in range(64)]
    return [np.full(like.shape, 777.0, np.float32) for _ in range(64)]


def past_of(model: Any, xp: Arrays) -> Any:
    return model(xp.ids(), return_type="logits_and_cache")[1]


def reorder(cache: Any, xp: Arrays) -> None:
    cache.reorder_cache(xp.array([1, 0], "int64"))


def select(cache: Any, xp: Arrays) -> None:
    cache.batch_select_indices(xp.array([1, 0], "int64"))


def repeat(cache: Any, xp: Arrays) -> None:
    cache.batch_select_indices(xp.array([1], "int64"))
    cache.batch_repeat_interleave(2)


def assign(cache: Any, xp: Arrays) -> None:
    for layer in cache.layers:
        layer.keys = xp.copy(layer.keys)
        layer.values = xp.copy(layer.values)


def crop(model: Any, cache: Any, xp: Arrays) -> None:
    cache.crop(0)


def append(model: Any, cache: Any, xp: Arrays) -> None:
    new = xp.array(np.zeros((BATCH, N_HEADS, 1, D_HEAD)))
    for index in range(len(cache)):
        cache.update(new, new, index)


def first_layers(model: Any, cache: Any, xp: Arrays) -> None:
    model(xp.ids(pos=1), past_key_values=cache, stop_at_layer=1)


def last_layers(model: Any, cache: Any, xp: Arrays) -> None:
    model(xp.stream(pos=1), past_key_values=cache, start_at_layer=2)


@pytest.mark.parametrize("use", [crop, append, first_layers, last_layers])
@pytest.mark.parametrize("change", [reorder, select, repeat, assign])
def test_fault_M1_what_a_cache_looks_into_is_kept(
    gpt2: Any, xp: Arrays, change: Callable[..., None], use: Callable[..., None]
) -> None:
    cache = past_of(gpt2, xp)
    change(cache, xp)
    want = [[xp.numpy(half).copy() for half in layer] for layer in cache]
    use(gpt2, cache, xp)
    full = junk(cache[1][0].swapaxes(1, 2)[:, :POS])
    for layer, held in zip(cache, want, strict=True):
        for half, before in zip(layer, held, strict=True):
            np.testing.assert_array_equal(xp.numpy(half)[:, :, :POS], before)
    assert full


def test_fault_M1_an_array_is_let_go_with_its_last_view(xp: Arrays) -> None:
    memory = np.full((BATCH, POS, 2, 4), 3.0, np.float32)
    kept = weakref.ref(memory)
    entry = TransformerLensKeyValueCacheEntry(arrays.from_numpy(memory), arrays.from_numpy(memory))
    del memory
    entry.past_keys = xp.array(np.zeros((BATCH, POS, 2, 4)))
    view = entry._engine_entry().get("values")
    entry.past_values = entry.past_keys
    full = junk(view)
    assert kept() is not None
    assert (xp.numpy(view) == 3.0).all()
    del view, full
    gc.collect()
    assert kept() is None


def test_fault_M1_a_cache_gives_the_array_that_was_set(xp: Arrays) -> None:
    given = xp.array(np.zeros((BATCH, POS, 2, 4)))
    entry = TransformerLensKeyValueCacheEntry(given, given)
    assert entry.past_keys is given
    entry._engine_entry().crop(POS - 1)
    assert entry.past_keys.shape[1] == POS - 1
    entry.append(given, given)
    assert entry.past_keys.shape[1] == 2 * POS - 1


def test_fault_M2_what_a_run_reads_of_a_frozen_cache_is_kept(gpt2: Any, xp: Arrays) -> None:
    cache = TransformerLensKeyValueCache.init_cache(gpt2.cfg, "cpu", BATCH)
    gpt2(xp.ids(), past_kv_cache=cache)
    cache.freeze()
    for entry in cache.entries:
        entry.past_keys, entry.past_values = xp.copy(entry.past_keys), xp.copy(entry.past_values)
    new = xp.ids(seed=1, pos=2)
    want = gpt2(new, past_kv_cache=cache)
    full = []

    def replace(value: Any, hook: Any) -> None:
        for entry in cache.entries:
            entry.past_keys = entry.past_values = xp.array(np.zeros(entry.past_keys.shape))
        full.extend(junk(cache[0].past_keys))

    got = gpt2.run_with_hooks(new, fwd_hooks=[("blocks.0.hook_in", replace)], past_kv_cache=cache)
    assert xp.same(got, want)
    assert (xp.numpy(cache[2].past_keys) == 0.0).all()
    assert full


def test_fault_M2_what_a_hook_returned_is_kept_while_it_is_read(gpt2: Any, xp: Arrays) -> None:
    """Nothing in Python holds it: not its tensor, whose memory may become another's."""
    ids = xp.ids()
    shape = (BATCH, POS, gpt2.cfg.d_model)
    want = gpt2.run_with_hooks(
        ids, fwd_hooks=[("blocks.0.hook_in", lambda v, hook: xp.array(np.ones(shape)))]
    )
    returned, full = [], []

    def ones(value: Any, hook: Any) -> Any:
        returned.append(xp.array(np.ones(shape)))
        return returned[0]

    def free(value: Any, hook: Any) -> None:
        if arrays.torch is not None:
            returned[0].data = arrays.torch.zeros(1)
        returned.clear()
        full.extend(junk(value))

    points = [("blocks.0.hook_in", ones), ("blocks.0.ln1.hook_out", free)]
    assert xp.same(gpt2.run_with_hooks(ids, fwd_hooks=points), want)
    assert full


@pytest.fixture
def of_state(gpt2_folder: Any, xp: Arrays) -> Callable[[], EngineModel]:
    """Opens a model that computes from arrays which nobody else holds."""
    raw = (gpt2_folder / "model.safetensors").read_bytes()
    config = json.loads((gpt2_folder / "config.json").read_text())
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])

    def read(told: dict[str, Any]) -> Any:
        start, end = told["data_offsets"]
        values = np.frombuffer(raw[8 + length + start : 8 + length + end], np.float32)
        return xp.array(values.reshape(told["shape"]))

    return lambda: EngineModel.from_state(config, {n: read(told) for n, told in header.items()})


def test_fault_M3_a_parameter_outlives_the_model_it_was_made_of(
    of_state: Callable[[], EngineModel], xp: Arrays
) -> None:
    before = alive()
    model = of_state()
    index = next(i for i, shape in model.params.shapes.items() if len(shape) == 2)
    weight = model.params.get(index)
    want = xp.numpy(weight).copy()
    model.close()
    del model
    full = [junk(weight)]
    np.testing.assert_array_equal(xp.numpy(weight), want)
    view = weight[1:]
    del weight
    full += [junk(view)]
    np.testing.assert_array_equal(xp.numpy(view), want[1:])
    del view
    assert alive() == before


@pytest.mark.skipif(Arrays.torch is None, reason="hf_model shares torch tensors")
def test_fault_M3_weights_outlive_the_model_they_came_from(gpt2_folder: Any, xp: Arrays) -> None:
    pytest.importorskip("transformers")
    from transformer_lens_go import TransformerBridge
    from transformers import AutoModelForCausalLM

    hf = AutoModelForCausalLM.from_pretrained(gpt2_folder)
    model = TransformerBridge.boot_transformers("tiny", hf_model=hf, tokenizer=None)
    W, state = model.W_U, model.state_dict()
    kept = [W, *state.values()]
    want = [xp.numpy(value).copy() for value in kept]
    del model, hf
    full = [junk(value) for value in kept]
    for value, before in zip(kept, want, strict=True):
        np.testing.assert_array_equal(xp.numpy(value), before)
    assert full
