"""Models in dtypes other than float32: at boot, by `to`, at every edge, and in parameters that are in hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import D_MODEL, Arrays, write_gpt2
from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine import arrays
from transformer_lens_go._engine.model import counts

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

DTYPES = ["float64", "bfloat16", "float16"]
NEAR = {"float64": 1e-6, "bfloat16": 0.15, "float16": 0.02}

boot = TransformerBridge.boot_transformers


def wide(value: Any) -> np.ndarray:
    """The values in float64."""
    if arrays.torch is not None:
        return value.detach().double().numpy()
    return value.astype(np.float64)


def near(value: Any, exact: np.ndarray, dtype: str) -> bool:
    return bool(np.abs(wide(value) - exact).max() <= NEAR[dtype] * np.abs(exact).max())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_gpt2(tmp_path)


@pytest.mark.parametrize("dtype", DTYPES)
def test_boot(folder: Path, xp: Arrays, dtype: str) -> None:
    exact = wide(boot(folder)(xp.ids()))
    model = boot(folder, dtype=arrays.dtype(dtype))
    assert model.cfg.dtype == arrays.dtype(dtype)
    logits, cache = model.run_with_cache(xp.ids())
    assert near(logits, exact, dtype)
    assert not np.array_equal(wide(logits), exact)
    for name, value in cache.items():
        inner = name.endswith(("hook_scale", "hook_normalized")) and dtype != "float64"
        if arrays.is_floating(value):
            assert arrays.dtype_name(value) == ("float32" if inner else dtype), name
    loss = model(xp.ids(), return_type="loss")
    assert arrays.dtype_name(loss) == dtype
    assert arrays.dtype_name(model.W_Q) == arrays.dtype_name(model.blocks[0].mlp.W_in) == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_to_and_back(model: Any, xp: Arrays, dtype: str) -> None:
    ids = xp.ids()
    exact = wide(model(ids))
    assert model.to(arrays.dtype(dtype)) is model
    logits = model(ids)
    assert arrays.dtype_name(logits) == dtype == arrays.dtype_name(model.cfg.dtype)
    assert near(logits, exact, dtype)
    assert xp.same(model(ids), logits)
    assert model.float() is model
    again = wide(model(ids))
    assert np.array_equal(again, exact) == (dtype == "float64")


def test_words_for_it(model: Any, xp: Arrays) -> None:
    for move, dtype in (
        (model.half, "float16"),
        (model.double, "float64"),
        (model.bfloat16, "bfloat16"),
        (lambda: model.to(model.W_E, "cpu"), "bfloat16"),
        (lambda: model.to("cpu", dtype="float32"), "float32"),
    ):
        assert move() is model
        assert arrays.dtype_name(model(xp.ids())) == dtype
    for bad in (np.int8, np.dtype("int64")) if arrays.torch is None else (arrays.torch.int8,):
        with pytest.raises(TypeError, match="float32, float64, float16, bfloat16"):
            model.to(bad)
    with pytest.raises(NotImplementedError, match="convert the whole model"):
        model.blocks[0].half()
    with pytest.raises(ValueError, match="by to"):
        model.cfg.dtype = arrays.dtype("float16")
    assert arrays.dtype_name(model.cfg.dtype) == arrays.dtype_name(model(xp.ids())) == "float32"


@pytest.mark.parametrize("dtype", DTYPES)
def test_edits_of_weights_count(model: Any, xp: Arrays, dtype: str) -> None:
    model.blocks[0].mlp.W_out[:] = 0
    model.to(arrays.dtype(dtype))
    weight = model.blocks[0].mlp.W_out
    assert not wide(weight).any()
    clean = model(xp.ids())
    weight[:] = 1
    edited = model(xp.ids())
    assert not xp.same(edited, clean)
    weight[:] = 0
    assert xp.same(model(xp.ids()), clean)


@pytest.mark.skipif(arrays.torch is None, reason="of torch")
def test_parameters_in_hand_go_along(model: Any, xp: Arrays) -> None:
    parameters = dict(model.named_parameters())
    first = next(iter(parameters.values()))
    first.grad = arrays.torch.ones_like(first)
    model.double()
    assert dict(model.named_parameters()).keys() == parameters.keys()
    for name, parameter in model.named_parameters():
        assert parameter is parameters[name]
        assert parameter.dtype == arrays.torch.float64
    assert first.grad.dtype == arrays.torch.float64
    clean = model(xp.ids())
    first.data.mul_(2)
    assert not xp.same(model(xp.ids()), clean)
    state = model.state_dict()
    assert {value.dtype for value in state.values()} == {arrays.torch.float64}


@pytest.mark.skipif(arrays.torch is None, reason="of torch")
def test_as_a_part_of_another_module(model: Any, xp: Arrays) -> None:
    outer = arrays.torch.nn.Sequential(arrays.torch.nn.Linear(2, 2), model)
    outer.to(arrays.torch.bfloat16)
    assert outer[0].weight.dtype == model(xp.ids()).dtype == arrays.torch.bfloat16
    outer.double()
    assert model(xp.ids()).dtype == arrays.torch.float64


@pytest.mark.skipif(arrays.torch is not None, reason="of NumPy")
def test_arrays_of_the_old_dtype_refuse_writes(model: Any) -> None:
    weight = model.blocks[0].attn.o.weight
    model.to("float64")
    with pytest.raises(ValueError, match="read-only"):
        weight[:] = 0
    assert model.blocks[0].attn.o.weight.dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
def test_hooks(model: Any, xp: Arrays, dtype: str) -> None:
    model.to(arrays.dtype(dtype))
    seen = []

    def in_place(value: Any, hook: Any) -> None:
        seen.append(arrays.dtype_name(value))
        value[:] = 0

    def returned(value: Any, hook: Any) -> Any:
        return xp.array(np.zeros(tuple(value.shape)), "float32")

    ids = xp.ids()
    for point in ("blocks.0.hook_resid_pre", "blocks.1.attn.hook_z", "blocks.2.hook_mlp_out"):
        one = model.run_with_hooks(ids, fwd_hooks=[(point, in_place)])
        other = model.run_with_hooks(ids, fwd_hooks=[(point, returned)])
        assert xp.same(one, other), point
        assert not xp.same(one, model(ids)), point
    assert set(seen) == {dtype}


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_and_slices(model: Any, xp: Arrays, dtype: str) -> None:
    model.to(arrays.dtype(dtype))
    ids = xp.ids()
    logits, cache = model.run_with_cache(ids)
    assert xp.same(model.unembed(model.ln_final(cache["resid_post", 2])), logits)
    assert xp.same(model(cache["resid_pre", 1], start_at_layer=1), logits)
    assert xp.same(model(ids, stop_at_layer=1), cache["resid_pre", 1])
    assert xp.same(model.embed(ids), cache["embed.hook_out"])
    # embeddings of another dtype are cast, as what hooks return is
    embedded = xp.array(wide(cache["embed.hook_out"]), "float64")
    assert xp.same(model(embedded), model(cache["embed.hook_out"]))
    stack = cache.accumulated_resid(layer=-1)
    assert arrays.dtype_name(stack) == dtype
    assert tuple(stack.shape[2:]) == (6, D_MODEL)


def test_nothing_is_left_behind(model: Any, xp: Arrays) -> None:
    def measure() -> int:
        return counts()["Storages"]

    for dtype in (*DTYPES, "float32"):
        model.to(arrays.dtype(dtype))
        model(xp.ids())
    before = measure()
    for _ in range(20):
        for dtype in (*DTYPES, "float32"):
            model.to(arrays.dtype(dtype))
            model(xp.ids())
    assert measure() == before


@pytest.mark.skipif(arrays.torch is None, reason="of torch")
def test_loss_gradient_in_its_dtype(model: Any) -> None:
    torch = arrays.torch
    from transformer_lens_go.utilities.lm_utils import lm_cross_entropy_loss

    with torch.enable_grad():
        tokens = torch.arange(12).reshape(2, 6)
        for dtype, bound in ((torch.float64, 1e-12), (torch.bfloat16, 1e-2)):
            logits = torch.randn(2, 6, 50, dtype=dtype, requires_grad=True)
            loss = lm_cross_entropy_loss(logits, tokens)
            loss.backward()
            again = logits.detach().double().requires_grad_()
            log_probs = again[:, :-1].log_softmax(-1)
            want = -log_probs.gather(2, tokens[:, 1:, None]).mean()
            want.backward()
            assert loss.dtype == logits.grad.dtype == dtype
            assert abs(loss.item() - want.item()) <= bound * want.item()
            assert (logits.grad.double() - again.grad).abs().max() <= bound * again.grad.abs().max()
