"""The model: what forward and run_with_cache return, and what its names find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_models import D_HEAD, D_MODEL, D_VOCAB, N_CTX, N_HEADS, N_LAYERS, Arrays
from transformer_lens_go import ActivationCache

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

LAST = N_LAYERS - 1


def losses(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """[batch, pos - 1], in float64."""
    scores = logits[:, :-1].astype(np.float64)
    norms = np.log(np.exp(scores - scores.max(-1, keepdims=True)).sum(-1)) + scores.max(-1)
    return norms - np.take_along_axis(scores, ids[:, 1:, None], -1)[..., 0]


# forward


def test_return_types(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    logits = model(ids)
    assert tuple(logits.shape) == (2, 6, D_VOCAB)
    loss = model(ids, return_type="loss")
    assert tuple(loss.shape) == ()
    both = model(ids, return_type="both")
    assert isinstance(both, tuple)
    assert xp.same(both[0], logits)
    assert xp.same(both[1], loss)
    assert model(ids, return_type=None) is None
    assert isinstance(logits, np.ndarray if xp.torch is None else xp.torch.Tensor)
    with pytest.raises(ValueError, match="Invalid return_type: nonsense"):
        model(ids, return_type="nonsense")
    logits_again, cache = model(ids, return_type="logits_and_cache")
    assert xp.same(logits_again, logits)
    assert cache.get_seq_length() == 6


def test_losses(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    want = losses(xp.numpy(model(ids)), xp.numpy(ids))
    per_token = xp.numpy(model(ids, return_type="loss", loss_per_token=True))
    np.testing.assert_allclose(per_token, want, rtol=1e-5)
    np.testing.assert_allclose(xp.numpy(model(ids, return_type="loss")), want.mean(), rtol=1e-6)
    np.testing.assert_allclose(xp.numpy(model.loss_fn(model(ids), ids)), want.mean(), rtol=1e-6)


def test_losses_leave_out_what_is_masked(model: Any, xp: Arrays) -> None:
    ids, mask = xp.ids(), np.ones((2, 6), dtype=np.int64)
    mask[0, :2] = 0
    given = xp.array(mask, "int64")
    logits, loss = model(ids, return_type="both", attention_mask=given)
    pairs = mask[:, 1:] * mask[:, :-1]
    want = (losses(xp.numpy(logits), xp.numpy(ids)) * pairs).sum() / pairs.sum()
    np.testing.assert_allclose(xp.numpy(loss), want, rtol=1e-5)
    per_token = model(ids, return_type="loss", attention_mask=given, loss_per_token=True)
    assert (xp.numpy(per_token)[pairs == 0] == 0).all()


def test_losses_against_labels(model: Any, xp: Arrays) -> None:
    ids, labels = xp.ids(0), xp.numpy(xp.ids(1)).copy()
    each = losses(xp.numpy(model(ids)), labels)
    labels[:, 2:4] = -100
    counted = labels[:, 1:] != -100
    given = xp.array(labels, "int64")
    loss = model(ids, return_type="loss", labels=given)
    np.testing.assert_allclose(xp.numpy(loss), each[counted].mean(), rtol=1e-5)
    per_token = model(ids, return_type="loss", labels=given, loss_per_token=True)
    np.testing.assert_allclose(xp.numpy(per_token), np.where(counted, each, 0), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16"])
def test_ids_of_any_integers_and_strides(model: Any, xp: Arrays, dtype: str) -> None:
    ids = xp.ids()
    want = model(ids)
    wide = np.zeros((2, 12), dtype=dtype)
    wide[:, ::2] = xp.numpy(ids)
    assert xp.same(model(xp.array(wide, dtype)[:, ::2]), want)
    assert xp.same(model(xp.numpy(ids).astype(dtype)), want)
    assert xp.same(model(ids[0]), model(ids[:1]))


def test_left_padding_changes_nothing_for_the_rest(model: Any, xp: Arrays) -> None:
    ids = xp.numpy(xp.ids(batch=1))
    padded = np.concatenate([np.full((1, 3), 5), ids], axis=1)
    mask = np.array([[0] * 3 + [1] * 6])
    got = model(xp.array(padded, "int64"), attention_mask=xp.array(mask, "int64"))
    assert xp.same(got[:, 3:], model(xp.array(ids, "int64")))
    again = model(xp.array(padded, "int64"), one_zero_attention_mask=xp.array(mask, "float32"))
    assert xp.same(got, again)


def test_positions_can_be_given(model: Any, xp: Arrays) -> None:
    ids = xp.ids(batch=1)
    shifted = xp.array(np.arange(6)[None] + 4, "int64")
    assert xp.same(model(ids, position_ids=shifted - 4), model(ids))
    got = model(ids, position_ids=shifted)
    if model.cfg.positional_embedding_type == "rotary":  # only distances count
        np.testing.assert_allclose(xp.numpy(got), xp.numpy(model(ids)), rtol=1e-3, atol=1e-4)
    else:
        assert not np.allclose(xp.numpy(got), xp.numpy(model(ids)), atol=1e-3)


def test_embeddings_as_input(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    embedded = model.embed(ids)
    assert xp.same(model(embedded), model(ids))
    with pytest.raises(ValueError, match="Cannot compute loss with inputs_embeds"):
        model(embedded, return_type="loss")
    labelled = model(embedded, return_type="loss", labels=ids)
    assert labelled.dtype == embedded.dtype
    np.testing.assert_allclose(
        xp.numpy(labelled), xp.numpy(model(ids, return_type="loss")), rtol=1e-6
    )
    with pytest.raises(
        RuntimeError, match=r"embeddings must have the shape \[batch, pos, 32\], got \(2, 6, 31\)"
    ):
        model(embedded[..., :-1])


def test_start_and_stop(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    logits, cache = model.run_with_cache(ids)
    for layer in range(N_LAYERS):
        stream = model(ids, stop_at_layer=layer)
        assert xp.same(stream, cache["resid_pre", layer])
        assert xp.same(model(stream, start_at_layer=layer), logits)
        assert xp.same(model(ids, stop_at_layer=layer - N_LAYERS, return_type=None), stream)
    assert xp.same(model(ids, stop_at_layer=N_LAYERS), logits)
    middle = model(cache["resid_pre", 0], start_at_layer=0, stop_at_layer=2)
    assert xp.same(middle, cache["resid_pre", 2])
    for bad, text in (
        (lambda: model(ids, start_at_layer=1), "requires a residual-stream tensor"),
        (lambda: model(cache["resid_pre", 0], start_at_layer=N_LAYERS), r"out of range \[0, 3\)"),
        (
            lambda: model(cache["resid_pre", 0], start_at_layer=2, stop_at_layer=1),
            "before start_at_layer",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            bad()


def test_input_to_embed(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    residual, tokens, nothing, mask = model.input_to_embed(ids)
    assert xp.same(residual, model(ids, stop_at_layer=0))
    assert xp.same(tokens, ids)
    assert nothing is None
    assert mask is None


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m, xp: m(), TypeError, "input"),
        (lambda m, xp: m([1, 2, 3]), ValueError, "taken as texts"),
        (lambda m, xp: m("text"), AssertionError, "without a tokenizer"),
        (
            lambda m, xp: m(xp.array([[0, D_VOCAB]], "int64")),
            IndexError,
            "index out of range",
        ),
        (lambda m, xp: m(xp.array([[0, -1]], "int64")), IndexError, "index out of range"),
        (lambda m, xp: m(xp.array([[[1]]], "int64")), ValueError, "token ids must have the shape"),
        (
            lambda m, xp: m(xp.array([[True]], "bool")),
            TypeError,
            "token ids must be integers, got bool",
        ),
        (lambda m, xp: m(xp.array(np.zeros((1, 0)), "int64")), ValueError, "at least one token"),
        (
            lambda m, xp: m({"input_ids": 1}),
            TypeError,
            "must be a tensor, an array or nested lists of numbers, got dict",
        ),
        (
            lambda m, xp: m(xp.ids(), attention_mask=xp.array([[1]], "int64")),
            ValueError,
            "attention_mask must",
        ),
        (
            lambda m, xp: m(xp.ids(), attention_mask=xp.array(np.ones((2, 1, 6, 6)))),
            NotImplementedError,
            "four axes",
        ),
        (lambda m, xp: m(xp.ids(), banana=1), TypeError, "unexpected keyword arguments: banana"),
        (lambda m, xp: m(xp.ids(), past_key_values=[1]), TypeError, "logits_and_cache"),
        (
            lambda m, xp: m(xp.ids(), pixel_values=[1]),
            ValueError,
            "pixel_values can only be passed",
        ),
    ],
)
def test_bad_input(model: Any, xp: Arrays, call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(model, xp)
    model(xp.ids())


def test_too_long(gpt2: Any, xp: Arrays) -> None:
    gpt2(xp.ids(pos=N_CTX))
    with pytest.raises(IndexError, match="index out of range"):
        gpt2(xp.ids(pos=N_CTX + 1))


# run_with_cache


def test_cache_holds_everything_in_order(model: Any, xp: Arrays) -> None:
    logits, cache = model.run_with_cache(xp.ids())
    assert isinstance(cache, ActivationCache)
    assert xp.same(logits, model(xp.ids()))
    keys = list(cache)
    assert keys[:3] == ["embed.hook_in", "embed.hook_out", "hook_embed"]
    assert keys[-1] == "hook_unembed"
    for alias, name in (
        ("hook_embed", "embed.hook_out"),
        ("blocks.2.hook_resid_mid", "blocks.2.ln2.hook_in"),
    ):
        assert keys.index(alias) == keys.index(name) + 1
        assert cache[alias] is cache[name]
    assert xp.same(cache["unembed.hook_out"], logits)
    shapes = {
        "q": (2, 6, N_HEADS, D_HEAD),
        "k": (2, 6, model.cfg.n_key_value_heads or N_HEADS, D_HEAD),
        "pattern": (2, N_HEADS, 6, 6),
        "attn_scores": (2, N_HEADS, 6, 6),
        "z": (2, 6, N_HEADS, D_HEAD),
        "resid_mid": (2, 6, D_MODEL),
        "mlp_out": (2, 6, D_MODEL),
        "post": (2, 6, model.cfg.d_mlp),
    }
    for name, shape in shapes.items():
        assert tuple(cache[name, 1].shape) == shape, name
    np.testing.assert_allclose(xp.numpy(cache["pattern", 0]).sum(-1), 1, rtol=1e-6)


def test_names_filters(model: Any, xp: Arrays) -> None:
    def keys(names_filter: Any, **options: Any) -> list[str]:
        return list(model.run_with_cache(xp.ids(), names_filter=names_filter, **options)[1])

    z, o = "blocks.1.attn.hook_z", "blocks.1.attn.o.hook_in"
    assert keys(z) == [o, z]
    assert keys(o) == [o]
    assert keys([z, "hook_embed"]) == ["embed.hook_out", "hook_embed", o, z]
    assert keys([]) == []
    assert keys(lambda name: name == z) == [z]
    assert keys(lambda name: name.endswith("hook_resid_pre"), stop_at_layer=2) == [
        f"blocks.{i}.hook_resid_pre" for i in range(2)
    ]
    with pytest.raises(
        KeyError, match=r"matched no hook points .* Did you mean 'blocks\.1\.attn\.hook_z'"
    ):
        keys("blocks.1.atn.hook_z")
    for bad in (("hook_embed",), 3):
        with pytest.raises(ValueError, match="names_filter must be"):
            keys(bad)
    with pytest.warns(UserWarning, match="skipped 1 gated-off"):
        assert keys(["blocks.0.attn.hook_result", z]) == [o, z]


def test_cached_values_are_their_own(model: Any, xp: Arrays) -> None:
    """Later runs and edits leave them, and writing to one changes no other and no later run."""
    ids = xp.ids()
    logits, cache = model.run_with_cache(ids)
    saved = {name: xp.copy(value) for name, value in cache.items()}
    model.run_with_hooks(ids, fwd_hooks=[("blocks.1.hook_out", lambda x, hook: x * 0)])
    model.run_with_cache(xp.ids(1))
    assert all(xp.same(cache[name], saved[name]) for name in saved)
    cache["blocks.0.hook_resid_post"][:] = 0
    changed = {name for name in saved if not xp.same(cache[name], saved[name])}
    assert {"blocks.0.hook_out", "blocks.0.hook_resid_post"} <= changed
    assert xp.same(model(ids), logits)


def test_watching_changes_no_bit(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    logits = model(ids)
    for name in model.run_with_cache(ids)[1]:
        watched, one = model.run_with_cache(ids, names_filter=name)
        assert xp.same(watched, logits), name
        assert name in one


def test_position_slices(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    _, whole = model.run_with_cache(ids)
    _, part = model.run_with_cache(ids, pos_slice=(1, 3))
    for name, value in whole.items():
        if name.endswith(("hook_cos", "hook_sin")) or name == "pos_embed.hook_in":
            continue
        axis = 2 if name.endswith(("pattern", "scores")) else 1
        want = value[:, :, 1:3] if axis == 2 else value[:, 1:3]
        assert xp.same(part[name], want), name
        assert part[name].nbytes < value.nbytes
    _, last = model.run_with_cache(ids, pos_slice=-1)
    assert tuple(last["resid_post", 1].shape) == (2, 1, D_MODEL)
    assert last["blocks.1.hook_out"] is last["blocks.1.hook_resid_post"]


def test_batch_axis_removed(model: Any, xp: Arrays) -> None:
    _, cache = model.run_with_cache(xp.ids(batch=1), remove_batch_dim=True)
    assert tuple(cache["resid_post", 0].shape) == (6, D_MODEL)
    assert not cache.has_batch_dim
    _, plain = model.run_with_cache(
        xp.ids(batch=1), remove_batch_dim=True, return_cache_object=False
    )
    assert type(plain) is dict
    assert tuple(plain["hook_embed"].shape) == (6, D_MODEL)
    with pytest.raises(AssertionError, match="batch size 2"):
        model.run_with_cache(xp.ids(batch=2), remove_batch_dim=True)


def test_caching_within_bounds(model: Any, xp: Arrays) -> None:
    output, cache = model.run_with_cache(xp.ids(), stop_at_layer=1)
    assert tuple(output.shape) == (2, 6, D_MODEL)
    assert "blocks.0.hook_resid_post" in cache
    assert not any(
        name.startswith(("blocks.1", "blocks.2", "ln_final", "unembed")) for name in cache
    )
    _, later = model.run_with_cache(output, start_at_layer=1)
    assert not any(name.startswith(("embed", "hook_embed", "blocks.0.")) for name in later)
    assert "hook_unembed" in later


def test_hooks_left_behind_cache_later_runs(model: Any, xp: Arrays) -> None:
    _, cache = model.run_with_cache(xp.ids(0), names_filter="hook_embed", reset_hooks_end=False)
    first = xp.copy(cache["hook_embed"])
    model(xp.ids(1))
    assert not xp.same(cache["hook_embed"], first)
    model.reset_hooks()
    assert not model.list_hooks()


def test_hooks_that_cache(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    _, want = model.run_with_cache(ids)
    cache, forward, backward = model.get_caching_hooks(lambda name: "resid" in name)
    assert cache == {}
    assert backward == []
    model.run_with_hooks(ids, fwd_hooks=forward)
    assert set(cache) == {n for n in want if "resid" in n} | {
        f"blocks.{i}.{n}" for i in range(N_LAYERS) for n in ("hook_in", "hook_out", "ln2.hook_in")
    }
    assert all(xp.same(cache[name], want[name]) for name in cache)
    every = model.add_caching_hooks()
    model(ids)
    assert set(every) == {name for name in want if name == model.hook_dict[name].name}
    model.reset_hooks()
    with pytest.warns(DeprecationWarning, match="cache_some is deprecated"):
        model.cache_some(mine := {}, lambda name: name == "hook_embed")
    model(ids)
    assert list(mine) == ["embed.hook_out", "hook_embed"]


def test_gradients_cached_later(model: Any, xp: Arrays) -> None:
    with pytest.raises(ValueError, match="cannot be combined with stop_at_layer"):
        model.run_with_cache(xp.ids(), incl_bwd=True, stop_at_layer=1)
    with pytest.raises(ValueError, match="incl_bwd=True needs autograd"):
        model.run_with_cache(xp.ids(), incl_bwd=True)


# names


def test_dictionaries_of_names(model: Any) -> None:
    names = model.hook_dict
    assert (
        names["blocks.1.attn.hook_q"]
        is names["blocks.1.attn.q.hook_out"]
        is model.blocks[1].attn.q.hook_out
    )
    assert model.get_hook_point("hook_embed") is model.hook_embed is model.embed.hook_out
    assert model.get_hook_point("nonsense") is None
    assert {id(point) for point in model.hook_points()} == {id(point) for point in names.values()}
    modules = model.mod_dict
    assert modules["blocks.2.mlp"] is model.blocks[2].mlp
    assert modules["blocks.2.hook_resid_post"] is names["blocks.2.hook_out"]
    names.clear()
    assert model.hook_dict
    assert "attn.hook_z" in model.block_hooks(1)
    assert set(model.block_submodules(0)) == {"ln1", "attn", "ln2", "mlp"}
    assert model.all_head_labels[N_HEADS] == "L1H0"
    assert model.layer_types() == ["attn+mlp"] * N_LAYERS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nonsense", "Hook point 'nonsense' not found on component"),
        (
            "blocks.0.attn.hook_zz",
            r"'hook_zz' not found on component\. Did you mean 'blocks.0.attn.hook_z'",
        ),
        ("blocks.9.hook_in", "Component path 'blocks.9' not found"),
        ("no.such", "Component path 'no' not found"),
        ("blocks.0.mlp", "'mlp' is not a hook point"),
    ],
)
def test_unknown_hook_names(model: Any, xp: Arrays, name: str, text: str) -> None:
    with pytest.raises(AttributeError, match=text):
        model.add_hook(name, print)
    with pytest.raises(KeyError, match=f"Hook name '{name}' does not exist on this model"):
        model.run_with_hooks(xp.ids(), fwd_hooks=[(name, print)])
    with (
        pytest.raises(KeyError, match="does not exist"),
        model.hooks(fwd_hooks=[("hook_embed", print), (name, print)]),
    ):
        pass
    assert not model.list_hooks()
    assert model.context_level == 0


def test_names_filter_belongs_to_run_with_cache(model: Any, xp: Arrays) -> None:
    with pytest.raises(TypeError, match="names_filter"):
        model.run_with_hooks(xp.ids(), names_filter="hook_embed")
    with pytest.raises(TypeError, match="expected a hook name or a predicate"):
        model.add_hook(3, print)


def test_unknown_attributes(model: Any) -> None:
    with pytest.raises(AttributeError, match="object has no attribute 'nonsense'"):
        _ = model.nonsense
    with pytest.raises(
        AttributeError, match=r"no attribute 'hook_embd'. Did you mean 'hook_embed'"
    ):
        _ = model.hook_embd
    with pytest.raises(AttributeError, match="wraps no Hugging Face model"):
        _ = model.original_model
    assert not hasattr(model.blocks[0], "original_component")
    assert {"embed", "blocks", "hook_embed", "W_Q"} <= set(dir(model))
