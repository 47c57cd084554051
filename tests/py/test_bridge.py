"""The model: what forward and run_with_cache return, weights, configuration, and what is not there yet."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import D_HEAD, D_MODEL, D_VOCAB, N_CTX, N_HEADS, N_LAYERS, Arrays, write_gpt2
from transformer_lens_go import ActivationCache, TransformerBridge

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
    with pytest.raises(NotImplementedError, match="KV cache"):
        model(ids, return_type="logits_and_cache")


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
        (lambda m, xp: m(xp.ids(), past_key_values=[1]), NotImplementedError, "KV cache"),
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


# weights


def test_stacks_are_copies_and_single_weights_are_not(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    clean = model(ids)
    kv = model.cfg.n_key_value_heads or N_HEADS
    shapes = {
        "W_Q": (N_LAYERS, N_HEADS, D_MODEL, D_HEAD),
        "W_K": (N_LAYERS, kv, D_MODEL, D_HEAD),
        "W_O": (N_LAYERS, N_HEADS, D_HEAD, D_MODEL),
        "W_in": (N_LAYERS, D_MODEL, model.cfg.d_mlp),
        "W_out": (N_LAYERS, model.cfg.d_mlp, D_MODEL),
        "W_E": (D_VOCAB, D_MODEL),
        "W_U": (D_MODEL, D_VOCAB),
        "b_U": (D_VOCAB,),
    }
    for name, shape in shapes.items():
        assert tuple(getattr(model, name).shape) == shape, name
    stack = model.W_Q
    assert xp.same(stack[1], model.blocks[1].attn.W_Q)
    stack[:] = 0
    assert xp.same(model(ids), clean)
    weight = model.blocks[1].attn.W_Q
    saved = xp.copy(weight)
    weight[:] = 0
    assert not xp.same(model(ids), clean)
    weight[:] = saved
    assert xp.same(model(ids), clean)


def test_head_weights_are_views_of_the_layers(model: Any, xp: Arrays) -> None:
    _, cache = model.run_with_cache(xp.ids())
    attn = model.blocks[1].attn
    x = xp.numpy(cache["blocks.1.ln1.hook_out"])
    q = np.einsum("bpd,hde->bphe", x, xp.numpy(attn.W_Q))
    if attn.b_Q is not None:
        q = q + xp.numpy(attn.b_Q)
    np.testing.assert_allclose(q, xp.numpy(cache["q", 1]), rtol=1e-4, atol=1e-5)
    out = np.einsum("bphe,hed->bpd", xp.numpy(cache["z", 1]), xp.numpy(attn.W_O))
    if attn.b_O is not None:
        out = out + xp.numpy(attn.b_O)
    np.testing.assert_allclose(out, xp.numpy(cache["attn_out", 1]), rtol=1e-4, atol=1e-5)
    logits = xp.numpy(cache["unembed.hook_in"]) @ xp.numpy(model.W_U)
    np.testing.assert_allclose(logits, xp.numpy(cache["unembed.hook_out"]), rtol=1e-4, atol=1e-5)


def test_missing_weights(gpt2: Any, llama: Any) -> None:
    assert llama.blocks[0].attn.b_Q is None
    assert llama.blocks[0].mlp.b_in is None
    with pytest.raises(AttributeError, match=r"blocks\[0\].attn.b_Q is None"):
        _ = llama.b_Q
    with pytest.raises(AttributeError, match="W_pos is only defined"):
        _ = llama.W_pos
    with pytest.raises(AttributeError, match=r"attribute '(bias|b)'"):
        _ = llama.blocks[0].ln1.b
    assert gpt2.W_gate is None
    assert gpt2.blocks[0].mlp.W_gate is None
    with pytest.raises(AttributeError, match="b_gate"):
        _ = gpt2.blocks[0].mlp.b_gate
    assert tuple(gpt2.W_E_pos.shape) == (D_VOCAB + N_CTX, D_MODEL)
    with pytest.raises(ValueError, match="No blocks have submodule 'mamba'"):
        gpt2.stack_params_for("mamba", "mamba.W")


def test_tied_weights_are_one(gpt2: Any, xp: Arrays) -> None:
    assert gpt2.embed.weight is gpt2.unembed.weight
    clean = gpt2(xp.ids())
    gpt2.W_U[:, 3] = 0
    assert float(abs(gpt2.W_E[3]).max()) == 0
    assert not xp.same(gpt2(xp.ids()), clean)


def test_the_checkpoint_is_never_written(tmp_path: Path, xp: Arrays) -> None:
    folder = write_gpt2(tmp_path / "mine")
    before = (folder / "model.safetensors").read_bytes()
    one = TransformerBridge.boot_transformers(folder)
    clean = one(xp.ids())
    one.blocks[0].mlp.W_in[:] = 0
    assert (folder / "model.safetensors").read_bytes() == before
    assert xp.same(TransformerBridge.boot_transformers(folder)(xp.ids()), clean)


def test_zeros_for_a_missing_bias_cannot_be_written(gpt2: Any, xp: Arrays) -> None:
    gpt2.b_U[0] = 1
    with pytest.raises(NotImplementedError, match="the bias of unembed was written to"):
        gpt2(xp.ids())
    gpt2.b_U[0] = 0
    gpt2(xp.ids())


def test_parameters_by_name(gpt2: Any, xp: Arrays) -> None:
    named = dict(gpt2.named_parameters())
    assert named["blocks.1.mlp.in.weight"] is getattr(gpt2.blocks[1].mlp, "in").weight
    assert "unembed.weight" not in named  # tied
    assert len(list(gpt2.parameters())) == len(named)
    state = gpt2.state_dict()
    assert "unembed.weight" in state
    assert "unembed.bias" in state
    assert gpt2.n_params_total == D_VOCAB * 32 + N_CTX * 32 + 64 + N_LAYERS * 12704
    other = {name: xp.copy(value) for name, value in state.items()}
    other["blocks.0.mlp.out.bias"][:] = 3
    gpt2.load_state_dict(other)
    assert float(gpt2.blocks[0].mlp.b_out[5]) == 3
    with pytest.raises(RuntimeError, match=r"(?i)unexpected key"):
        gpt2.load_state_dict({**other, "nonsense": other["embed.weight"]})


# placement, copies, and what is to come


def test_placement(model: Any) -> None:
    for stay in (
        lambda: model.to("cpu"),
        lambda: model.cpu(),
        lambda: model.float(),
        lambda: model.eval(),
        lambda: model.train(),
        lambda: model.to(model.cfg.dtype),
        lambda: model.to(device="cpu", dtype=model.cfg.dtype, print_details=False),
    ):
        assert stay() is model
    assert model.training
    assert model.blocks[0].attn.training
    for move in (
        lambda: model.to("cuda"),
        lambda: model.cuda(1),
        lambda: model.half(),
        lambda: model.bfloat16(),
        lambda: model.double(),
        lambda: model.mps(),
        lambda: model.blocks[0].to("cuda:0"),
    ):
        with pytest.raises(NotImplementedError, match=r"moving a model to .* is not supported yet"):
            move()


def test_nothing_is_handed_out_by_calls_on_the_whole_model(model: Any) -> None:
    model.requires_grad_(False)
    model.zero_grad()
    model.eval()
    repr(model)
    assert model.n_params_total > 0
    assert model._engine.params._made == {}


@pytest.mark.parametrize(
    "name",
    [
        "generate",
        "enable_compatibility_mode",
        "process_weights",
        "all_composition_scores",
        "boot_native",
    ],
)
def test_what_is_to_come_says_so(model: Any, name: str) -> None:
    with pytest.raises(
        NotImplementedError, match=f"TransformerBridge.{name}: .* is not in this version yet"
    ):
        getattr(model, name)()
    with pytest.raises(NotImplementedError, match=r"TransformerBridge.QK"):
        _ = model.QK


def test_models_are_not_copied(model: Any) -> None:
    for duplicate in (copy.deepcopy, pickle.dumps):
        with pytest.raises(NotImplementedError, match="cannot be copied or pickled"):
            duplicate(model)


def test_a_closed_model_says_so(gpt2: Any, xp: Arrays) -> None:
    _, cache = gpt2.run_with_cache(xp.ids())
    saved = xp.copy(cache["hook_embed"])
    gpt2.close()
    gpt2.close()
    with pytest.raises(RuntimeError, match="model"):
        gpt2(xp.ids())
    assert xp.same(cache["hook_embed"], saved)


def test_only_engine_models_become_bridges() -> None:
    with pytest.raises(TypeError, match=r"boot_transformers\(name, hf_model=model\)"):
        TransformerBridge(object())


def test_config_writes(model: Any) -> None:
    model.cfg.default_prepend_bos = False
    assert model.cfg.default_prepend_bos is False
    model.cfg.my_own_note = {"any": "thing"}
    assert model.cfg.my_own_note == {"any": "thing"}
    assert model.cfg.n_layers == len(model.blocks) == N_LAYERS


def test_representations(gpt2: Any) -> None:
    tree = repr(gpt2)
    assert tree.splitlines()[0] == "TransformerBridge(GPT2LMHeadModel, 0.0M parameters, 3 layers)"
    assert "(0-2): BlockBridge()" in tree
    assert "W_Q [4, 32, 8]" in tree
    assert "hook_pattern" in tree
    assert "aliases: hook_k hook_q hook_v hook_z" in tree
    assert str(gpt2).splitlines()[:5] == [
        "TransformerBridge:",
        "  embed: EmbeddingBridge",
        "  pos_embed: PosEmbedBridge",
        "  blocks: BlockBridge",
        "    ln1: NormalizationBridge",
    ]
    assert repr(gpt2.blocks[0].attn.q).splitlines()[0] == "LinearBridge(weight [32, 32], bias [32])"


def test_a_field_that_decides_numbers_cannot_be_written(model: Any) -> None:
    eps = model.cfg.eps
    with pytest.raises(NotImplementedError, match=r"eps.*hf_config_overrides"):
        model.cfg.eps = 0.5
    assert model.cfg.eps == eps
    model.cfg.eps = eps
    model.cfg.n_ctx = model.cfg.n_ctx  # no number depends on it
