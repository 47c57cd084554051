"""Native models: transformers built from a configuration alone, with torch and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_models import Arrays, alive
from transformer_lens_go import (
    TransformerBridge,
    TransformerBridgeConfig,
    TransformerLensKeyValueCache,
)
from transformer_lens_go._engine import arrays
from transformer_lens_go.hook_points import Module

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

SIZES = dict(d_model=24, d_head=8, n_layers=2, n_ctx=16, d_vocab=37, act_fn="relu", seed=3)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "attention only": dict(attn_only=True),
    "without norms": dict(normalization_type=None),
    "centred only": dict(normalization_type="LNPre", act_fn="gelu_new"),
    "gated": dict(gated_mlp=True, act_fn="silu", normalization_type="RMS", final_rms=True),
    "solu": dict(act_fn="solu_ln"),
    "bidirectional": dict(attention_dir="bidirectional"),
    "capped": dict(attn_scores_soft_cap=1.5, output_logits_soft_cap=2.0),
    "rotary": dict(positional_embedding_type="rotary", n_heads=6, n_key_value_heads=2),
}


def boot(**fields: Any) -> Any:
    options = {name: fields.pop(name) for name in ("dtype",) if name in fields}
    config = TransformerBridgeConfig(**{**SIZES, **fields})
    return TransformerBridge.boot_native(config, **options)


def ids(xp: Arrays) -> Any:
    return xp.ids() % SIZES["d_vocab"]


@pytest.mark.parametrize("kind", list(KINDS))
def test_kinds(kind: str, xp: Arrays) -> None:
    model = boot(**KINDS[kind])
    logits, cache = model.run_with_cache(ids(xp))
    assert tuple(logits.shape) == (2, 6, 37)
    assert np.isfinite(xp.numpy(logits)).all()
    assert xp.same(model(ids(xp)), logits)
    assert xp.same(boot(**KINDS[kind])(ids(xp)), logits)
    assert not xp.same(boot(**{**KINDS[kind], "seed": 4})(ids(xp)), logits)
    assert ("blocks.0.mlp.hook_out" in cache) == (not KINDS[kind].get("attn_only", False))
    sums = xp.numpy(cache["pattern", 1]).sum(-1)
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    first = xp.numpy(cache["pattern", 1])[0, 0, 0]
    assert (first[1:] == 0).all() == (kind != "bidirectional")


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(
    ("dtype", "bound"), [("float64", 1e-5), ("bfloat16", 0.1), ("float16", 0.02)]
)
def test_dtypes(kind: str, dtype: str, bound: float, xp: Arrays) -> None:
    exact = xp.numpy(boot(**KINDS[kind])(ids(xp))).astype(np.float64)
    model = boot(**KINDS[kind], dtype=arrays.dtype(dtype))
    logits, cache = model.run_with_cache(ids(xp))
    assert arrays.dtype_name(logits) == dtype
    assert xp.same(model(ids(xp)), logits)
    got = xp.numpy(logits).astype(np.float64)
    assert np.abs(got - exact).max() <= bound * np.abs(exact).max()
    assert arrays.dtype_name(cache["resid_post", 1]) == dtype


@pytest.mark.parametrize("kind", list(KINDS))
def test_edits_count(kind: str, xp: Arrays) -> None:
    model = boot(**KINDS[kind])
    clean = model(ids(xp))

    def zero(value: Any, hook: Any) -> None:
        value[:] = 0

    for point in ("blocks.0.attn.hook_z", "blocks.1.hook_resid_post", "hook_embed"):
        assert not xp.same(model.run_with_hooks(ids(xp), fwd_hooks=[(point, zero)]), clean), point
    assert xp.same(model(ids(xp)), clean)
    weight = model.blocks[1].attn.W_O
    saved = xp.copy(weight)
    weight[:] = 0
    assert not xp.same(model(ids(xp)), clean)
    weight[:] = saved
    assert xp.same(model(ids(xp)), clean)


def test_init_weights_draws_again(xp: Arrays) -> None:
    model = boot()
    first = xp.copy(model.W_E)
    model.W_E[:] = 0
    model.init_weights()
    assert xp.same(model.W_E, first)


def test_generation(xp: Arrays) -> None:
    model = boot(positional_embedding_type="rotary")
    options = dict(max_new_tokens=5, do_sample=False, stop_at_eos=False, verbose=False)
    cached = model.generate(ids(xp), **options)
    assert xp.same(cached, model.generate(ids(xp), use_past_kv_cache=False, **options))
    assert tuple(cached.shape) == (2, 11)


def test_attention_both_ways_keeps_no_cache(xp: Arrays) -> None:
    """What a position computed changes with those that follow, so that generation must run the whole each time."""
    model = boot(attention_dir="bidirectional")
    options = dict(max_new_tokens=5, do_sample=False, stop_at_eos=False, verbose=False)
    whole = model.generate(ids(xp), use_past_kv_cache=False, **options)
    assert xp.same(model.generate(ids(xp), **options), whole)
    assert xp.same(model.hf_generate(ids(xp), **options), whole)
    logits, cache = model(ids(xp), return_type="logits_and_cache")
    assert cache is None
    assert xp.same(logits, model(ids(xp)))
    other = boot()(ids(xp), return_type="logits_and_cache")[1]
    kept = TransformerLensKeyValueCache.init_cache(model.cfg, None, 2)
    for given in (dict(past_key_values=other), dict(past_kv_cache=kept)):
        with pytest.raises(RuntimeError, match="see those behind them too"):
            model(ids(xp), **given)
    assert other.get_seq_length() == 6
    assert kept[0].past_keys.shape[1] == 0


@pytest.mark.parametrize("both_ways", [False, True])
def test_replaced_attention_is_passed_the_mask_of_keys(both_ways: bool, xp: Arrays) -> None:
    model = boot(**(dict(attention_dir="bidirectional") if both_ways else {}))
    mask = xp.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]], "int64")
    clean = model(ids(xp), attention_mask=mask)
    given: list[Any] = []
    inner = model.blocks[1].attn

    class Attend(Module):
        def forward(self, x: Any, attention_mask: Any = None, position_ids: Any = None) -> Any:
            given.append(attention_mask)
            return inner(x, attention_mask=attention_mask, position_ids=position_ids)

    model.blocks[1].attn = Attend()
    assert xp.same(model(ids(xp), attention_mask=mask), clean)
    assert xp.same(given[0], mask)
    model(ids(xp))
    assert given[1] is None
    with pytest.raises(NotImplementedError, match="four axes"):
        inner(clean[..., : SIZES["d_model"]], attention_mask=mask[:, None, None])


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        (dict(parallel_attn_mlp=True), NotImplementedError, "parallel_attn_mlp"),
        (dict(num_experts=4, experts_per_token=2), NotImplementedError, "num_experts"),
        (dict(init_mode="muP"), NotImplementedError, "init_mode"),
        (dict(use_local_attn=True), ValueError, "window_size"),
    ],
    ids=["parallel", "experts", "initialisation", "window"],
)
def test_what_has_no_operation(fields: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        boot(**fields)


def test_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="TransformerBridgeConfig or dict"):
        TransformerBridge.boot_native(3)  # type: ignore[arg-type]
    assert TransformerBridge.boot_native(dict(SIZES)).cfg.d_model == 24


def test_nothing_is_left_behind(xp: Arrays) -> None:
    boot()(ids(xp))
    before = alive()
    for kind in KINDS:
        boot(**KINDS[kind]).run_with_cache(ids(xp))
    assert alive() == before
