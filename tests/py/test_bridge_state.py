"""The model as an object: its weights, placement, copies, configuration, and what is to come."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import D_HEAD, D_MODEL, D_VOCAB, N_CTX, N_HEADS, N_LAYERS, Arrays, write_gpt2
from transformer_lens_go import TransformerBridge

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")


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
        "enable_compatibility_mode",
        "process_weights",
        "all_composition_scores",
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
