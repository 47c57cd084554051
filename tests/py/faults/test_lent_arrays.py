"""Arrays of users' that the engine looks into: what it cannot read as it lies, or cannot hold, is copied or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import D_HEAD, N_HEADS, Arrays
from transformer_lens_go import TransformerLensKeyValueCacheEntry
from transformer_lens_go._engine import arrays, inputs

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

BATCH, POS = 2, 6
SHAPE = (BATCH, POS, N_HEADS, D_HEAD)
needs_torch = pytest.mark.skipif(arrays.torch is None, reason="only tensors can be resized")


def numbers(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def of_bytes(plain: np.ndarray, folder: Path) -> np.ndarray:
    return np.frombuffer(plain.tobytes(), np.float32).reshape(plain.shape)


def mapped(plain: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "numbers.npy", plain)
    return np.load(folder / "numbers.npy", mmap_mode="r")


def big_endian(plain: np.ndarray, folder: Path) -> np.ndarray:
    return plain.astype(">f4")


def field(plain: np.ndarray, folder: Path) -> np.ndarray:
    records = np.zeros(plain.shape, [("number", "f4"), ("kind", "i2")])
    records["number"] = plain
    return records["number"]


def unaligned(plain: np.ndarray, folder: Path) -> np.ndarray:
    return np.frombuffer(bytearray(b"?" + plain.tobytes()), np.float32, offset=1).reshape(
        plain.shape
    )


def backwards(plain: np.ndarray, folder: Path) -> np.ndarray:
    return plain[:, ::-1].copy()[:, ::-1]


@pytest.fixture(params=[of_bytes, mapped, big_endian, field, unaligned, backwards])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """An array with the same numbers as a plain one, that lies differently."""
    return lambda plain: request.param(plain, tmp_path)


def test_fault_U13_a_cache_takes_arrays_however_they_lie(
    odd: Callable[[np.ndarray], np.ndarray], xp: Arrays
) -> None:
    plain = numbers()
    entry = TransformerLensKeyValueCacheEntry(odd(plain), odd(plain))
    np.testing.assert_array_equal(xp.numpy(entry.past_keys), plain)
    entry._engine_entry().crop(POS - 1)
    for half in (entry.past_keys, entry.past_values):
        np.testing.assert_array_equal(xp.numpy(half), plain[:, : POS - 1])
        half[0, 0, 0, 0] = 5.0  # memory that can be written to
        assert float(half[0, 0, 0, 0]) == 5.0


def test_fault_U13_an_append_takes_arrays_however_they_lie(
    odd: Callable[[np.ndarray], np.ndarray], xp: Arrays
) -> None:
    plain = numbers()
    entry = TransformerLensKeyValueCacheEntry(xp.array(plain), xp.array(plain))
    keys, values = entry.append(odd(plain), odd(plain))
    for half in (keys, values):
        np.testing.assert_array_equal(xp.numpy(half)[:, POS:], plain)


def test_fault_U13_layers_of_a_cache_take_arrays_however_they_lie(
    odd: Callable[[np.ndarray], np.ndarray], gpt2: Any, xp: Arrays
) -> None:
    cache = gpt2(xp.ids(), return_type="logits_and_cache")[1]
    plain = numbers((BATCH, N_HEADS, POS, D_HEAD))
    cache.layers[0].keys = odd(plain)
    np.testing.assert_array_equal(xp.numpy(cache.layers[0].keys), plain)
    cache.crop(-1)
    cache.layers[0].keys[0, 0, 0, 0] = 5.0
    assert float(cache.layers[0].keys[0, 0, 0, 0]) == 5.0


@pytest.mark.skipif(arrays.torch is not None, reason="tensors have no such strides")
def test_fault_U13_steps_within_numbers_are_never_rounded() -> None:
    with pytest.raises(ValueError, match="whole numbers of entries"):
        inputs.memory(field(numbers(), Path()))


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "resize", [lambda x: x.resize_(10**6), lambda x: x.untyped_storage().resize_(0)]
)
def test_fault_M1_what_a_cache_looks_into_cannot_be_resized(
    dtype: str, resize: Callable[[Any], Any]
) -> None:
    given = arrays.torch.ones(SHAPE, dtype=arrays.dtype(dtype))
    entry = TransformerLensKeyValueCacheEntry(given, given)
    with pytest.raises(RuntimeError, match="not resizable"):
        resize(given)
    assert bool((entry.past_keys == 1.0).all())  # torch may have changed the shape of `given`
    entry._engine_entry().crop(1)
    assert bool((entry.past_keys == 1.0).all())


@needs_torch
def test_fault_M1_weights_that_are_shared_cannot_be_resized(gpt2_folder: Any) -> None:
    pytest.importorskip("transformers")
    from transformer_lens_go import TransformerBridge
    from transformers import AutoModelForCausalLM

    hf = AutoModelForCausalLM.from_pretrained(gpt2_folder)
    hf.lm_head.weight.data = (
        hf.lm_head.weight.data.clone()
    )  # those of a file cannot be resized anyway
    model = TransformerBridge.boot_transformers("tiny", hf_model=hf, tokenizer=None)
    with pytest.raises(RuntimeError, match="not resizable"):
        hf.lm_head.weight.data.untyped_storage().resize_(0)
    assert bool(model.W_U.isfinite().all())
