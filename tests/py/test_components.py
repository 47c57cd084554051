"""Components: called by themselves, and notes of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_models import D_MODEL, D_VOCAB, N_HEADS, N_LAYERS, Arrays
from transformer_lens_go.hook_points import HookPoint
from transformer_lens_go.model_bridge import generalized_components as parts

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")


# called by themselves


def test_the_logit_lens(model: Any, xp: Arrays) -> None:
    logits, cache = model.run_with_cache(xp.ids())
    for layer in range(N_LAYERS):
        lens = model.unembed(model.ln_final(cache["resid_post", layer]))
        assert tuple(lens.shape) == (2, 6, D_VOCAB)
    assert xp.same(lens, logits)


def test_every_part_gives_what_it_gives_in_a_run(model: Any, xp: Arrays) -> None:
    _, cache = model.run_with_cache(xp.ids())
    assert xp.same(model.embed(xp.ids()), cache["hook_embed"])
    for layer, block in enumerate(model.blocks):
        name = f"blocks.{layer}"
        (out,) = block(cache["resid_pre", layer])
        assert xp.same(out, cache["resid_post", layer])
        attn_out, pattern = block.attn(hidden_states=cache[f"{name}.attn.hook_in"])
        assert xp.same(attn_out, cache["attn_out", layer])
        assert xp.same(pattern, cache["pattern", layer])
        assert xp.same(block.ln1(cache[f"{name}.ln1.hook_in"]), cache[f"{name}.ln1.hook_out"])
        assert xp.same(block.ln2(cache[f"{name}.ln2.hook_in"]), cache[f"{name}.ln2.hook_out"])
        assert xp.same(block.mlp(cache[f"{name}.mlp.hook_in"]), cache["mlp_out", layer])
        assert xp.same(block.mlp.out(cache["post", layer]), cache["mlp_out", layer])
        inner = getattr(block.mlp, "in")(cache[f"{name}.mlp.hook_in"])
        assert xp.same(inner, cache[f"{name}.mlp.in.hook_out"])
        for part in "qkv":
            heads = cache[f"{name}.attn.{part}.hook_out"]
            flat = getattr(block.attn, part)(cache[f"{name}.attn.{part}.hook_in"])
            assert xp.same(flat, heads.reshape(2, 6, -1)), part
        assert xp.same(block.attn.o(cache["z", layer].reshape(2, 6, -1)), cache["attn_out", layer])


def test_positions(gpt2: Any, llama: Any, xp: Arrays) -> None:
    places = xp.array(np.arange(6)[None], "int64")
    _, cache = gpt2.run_with_cache(xp.ids())
    assert xp.same(gpt2.pos_embed(places)[0], cache["hook_pos_embed"][0])
    _, cache = llama.run_with_cache(xp.ids())
    cos, sin = llama.rotary_emb(cache["hook_embed"], places)
    assert xp.same(cos, cache["rotary_emb.hook_cos"])
    assert xp.same(sin, cache["blocks.1.attn.hook_sin"])
    block = llama.blocks[1]
    alone = block(cache["resid_pre", 1])[0]
    assert xp.same(block(cache["resid_pre", 1], position_embeddings=(cos, sin)), alone)
    assert xp.same(block(cache["resid_pre", 1], position_ids=places), alone)
    turned = block(cache["resid_pre", 1], position_embeddings=(cos, sin * 0))
    assert not xp.same(turned, alone)


def test_masks(model: Any, xp: Arrays) -> None:
    mask = np.ones((2, 6), dtype=np.int64)
    mask[0, :3] = 0
    given = xp.array(mask, "int64")
    _, cache = model.run_with_cache(xp.ids(), attention_mask=given)
    places = xp.array(np.maximum(mask.cumsum(1) - 1, 0), "int64")
    keywords = {"attention_mask": given, "position_ids": places}
    out, pattern = model.blocks[1].attn(cache["blocks.1.attn.hook_in"], **keywords)
    assert xp.same(pattern[:, :, 3:], cache["pattern", 1][:, :, 3:])
    assert xp.same(out[:, 3:], cache["attn_out", 1][:, 3:])
    assert float(abs(pattern[0, :, 3:, :3]).max()) == 0


@pytest.mark.parametrize("lead", [(), (5,), (2, 6), (2, 3, 4)])
def test_positionwise_parts_take_any_leading_axes(
    model: Any, xp: Arrays, lead: tuple[int, ...]
) -> None:
    x = np.random.default_rng(0).standard_normal((*lead, D_MODEL)).astype(np.float32)
    flat = xp.array(x.reshape(1, -1, D_MODEL))
    for part, width in (
        (model.ln_final, D_MODEL),
        (model.unembed, D_VOCAB),
        (model.blocks[0].mlp, D_MODEL),
        (model.blocks[0].attn.q, D_MODEL),
    ):
        got = part(xp.array(x))
        assert tuple(got.shape) == (*lead, width)
        assert xp.same(got.reshape(1, -1, width), part(flat))
    ids = np.random.default_rng(0).integers(0, D_VOCAB, lead)
    assert tuple(model.embed(xp.array(ids, "int64")).shape) == (*lead, D_MODEL)


def test_hooks_inside_a_part_fire(model: Any, xp: Arrays) -> None:
    seen: list[str] = []
    stream = xp.stream()
    clean = model.blocks[1](stream)[0]
    model.add_hook("blocks.1.mlp.hook_post", lambda x, hook: seen.append(hook.name))
    model.add_hook("blocks.2.mlp.hook_post", lambda x, hook: seen.append(hook.name))
    model.add_hook("blocks.1.hook_attn_out", lambda x, hook: x * 0)
    assert not xp.same(model.blocks[1](stream)[0], clean)
    assert seen == ["blocks.1.mlp.out.hook_in"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda m, xp: m.ln_final(xp.stream()[..., 1:]),
            RuntimeError,
            r"the input of ln_final must have the shape \[..., 32\], got \(2, 6, 31\)",
        ),
        (lambda m, xp: m.ln_final(xp.ids()), TypeError, "must be a floating array, got int64"),
        (
            lambda m, xp: m.blocks[0](xp.stream()[0]),
            RuntimeError,
            r"hidden_states of blocks.0 must have the shape \[batch, pos, 32\]",
        ),
        (lambda m, xp: m.blocks[0](), TypeError, "takes hidden_states"),
        (lambda m, xp: m.blocks[0].mlp(), TypeError, "takes hidden states"),
        (
            lambda m, xp: m.blocks[0].attn(xp.stream(), encoder_hidden_states=1),
            NotImplementedError,
            "does not take encoder_hidden_states",
        ),
        (lambda m, xp: m.embed(xp.array([D_VOCAB], "int64")), IndexError, "index out of range"),
        (lambda m, xp: m.blocks[N_LAYERS], IndexError, "range"),
        (lambda m, xp: m.blocks[0].nonsense, AttributeError, "no attribute 'nonsense'"),
    ],
)
def test_bad_calls(model: Any, xp: Arrays, call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(model, xp)


def test_a_part_without_a_model_cannot_run(xp: Arrays) -> None:
    part = parts.LinearBridge("mine")
    with pytest.raises(RuntimeError, match="'mine' belongs to no model"):
        part(xp.stream())


# the tree


def test_blocks_are_a_list(model: Any) -> None:
    blocks = model.blocks
    assert len(blocks) == N_LAYERS
    assert [block.name for block in blocks] == [f"blocks.{i}" for i in range(N_LAYERS)]
    assert blocks[-1] is blocks[N_LAYERS - 1]
    assert [block.name for block in blocks[1:]] == ["blocks.1", "blocks.2"]
    assert list(model.blocks_with("attn"))[1] == (1, blocks[1])


def test_classes_by_upstream_names(gpt2: Any, llama: Any) -> None:
    kinds = {
        "embed": parts.EmbeddingBridge,
        "blocks.0": parts.BlockBridge,
        "blocks.0.attn": parts.AttentionBridge,
        "blocks.0.attn.q": parts.LinearBridge,
        "blocks.0.ln1": parts.NormalizationBridge,
        "blocks.0.mlp": parts.MLPBridge,
        "unembed": parts.UnembeddingBridge,
    }
    for model in (gpt2, llama):
        modules = model.mod_dict
        for name, kind in kinds.items():
            assert isinstance(modules[name], kind), name
        assert all(isinstance(modules[name], HookPoint) for name in model.hook_dict)
    assert type(gpt2.blocks[0].attn) is parts.JointQKVAttentionBridge
    assert type(llama.blocks[0].attn) is parts.PositionEmbeddingsAttentionBridge
    assert type(llama.blocks[0].mlp) is parts.GatedMLPBridge
    assert llama.ln_final.uses_rms_norm
    assert not gpt2.ln_final.uses_rms_norm


def test_hooks_by_component(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    attn = model.blocks[0].attn
    attn.add_hook(lambda x, hook: log.append(hook.name))
    attn.add_hook(lambda x, hook: log.append(hook.name), "input")
    with pytest.raises(ValueError, match="'middle' not supported"):
        attn.add_hook(print, "middle")
    model(xp.ids())
    assert log == ["blocks.0.attn.hook_in", "blocks.0.attn.hook_out"]
    attn.remove_hooks()
    assert not model.list_hooks()
    assert {"hook_in", "hook_out", "hook_pattern"} <= set(attn.get_hooks())
    assert attn.W_Q.shape[0] == N_HEADS


def test_notes_of_ones_own_may_be_pinned_on(model: Any) -> None:
    model.my_note = "mine"
    model.blocks[0].my_point = HookPoint()
    assert model.my_note == "mine"
    assert model.blocks[0].my_point.name is None
    del model.my_note
    assert not hasattr(model, "my_note")
