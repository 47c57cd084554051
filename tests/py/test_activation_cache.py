"""ActivationCache: a mapping with short names, and the residual stream taken apart."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import ActivationCache, TransformerBridge
from transformer_lens_go.utilities import Slice, get_act_name

from .reference import DATA, model, to_library, to_numpy, uses_torch

NAMES = ["gpt2", "llama"]
TEXTS = ["the cat sat on the mat", "hello world the dog sat"]


def cached(name: str, texts: list[str] = TEXTS) -> tuple[Any, Any, ActivationCache]:
    m = model(name)
    tokens = m.to_tokens(texts)
    logits, cache = m.run_with_cache(tokens)
    return m, logits, cache


def close(got: Any, want: Any) -> bool:
    got, want = to_numpy(got), to_numpy(want)
    assert got.shape == want.shape
    return bool(np.allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max()))


# the mapping


def test_short_names() -> None:
    _, _, cache = cached("gpt2")
    for key, name in [
        (("pattern", 1), "blocks.1.attn.hook_pattern"),
        (("attn", 1), "blocks.1.attn.hook_pattern"),
        (("q", 0, "attn"), "blocks.0.attn.hook_q"),
        ("q0", "blocks.0.attn.hook_q"),
        (("resid_post", -1), "blocks.1.hook_resid_post"),
        (("resid_pre", 0, "b"), "blocks.0.hook_resid_pre"),
        (("scale", 0, "ln1"), "blocks.0.ln1.hook_scale"),
        (("post", 1, "m"), "blocks.1.mlp.hook_post"),
        ("scale", "ln_final.hook_scale"),
        ("embed", "hook_embed"),
    ]:
        assert cache[key] is cache[name]
    assert cache["blocks.0.hook_in"] is cache["resid_pre", 0]
    with pytest.raises(KeyError, match=r"blocks\.0\.hook_nonsense"):
        cache["nonsense", 0]
    with pytest.raises(KeyError, match=r"blocks\.9\.attn\.hook_q"):
        cache["q", 9]
    cache.model = None
    assert cache["q", 0] is cache["q0"]
    with pytest.raises(AttributeError, match=r"cache\.model is None"):
        cache["q", -1]


def test_act_names() -> None:
    assert get_act_name("k6") == get_act_name("key", 6) == "blocks.6.attn.hook_k"
    assert get_act_name("normalized27ln2") == "blocks.27.ln2.hook_normalized"
    assert get_act_name("mlp_post", 3) == "blocks.3.mlp.hook_post"
    assert get_act_name("ln1.hook_scale") == "ln1.hook_scale"
    assert get_act_name("normalized") == "ln_final.hook_normalized"


def test_it_is_a_mapping() -> None:
    _, _, cache = cached("gpt2")
    assert len(cache) == len(list(cache)) == len(cache.keys()) == len(list(cache.values()))
    assert next(iter(cache)) == "embed.hook_in"
    assert all(cache[name] is value for name, value in cache.items())
    assert "hook_embed" in cache
    assert ("q", 0) not in cache
    assert dict(cache) == cache.cache_dict
    cache.cache_dict["mine"] = cache["embed"]
    assert cache["mine"] is cache["embed"]
    assert repr(cache).startswith(f"ActivationCache: {len(cache)} names, ")


def test_batch_axis(caplog: pytest.LogCaptureFixture) -> None:
    _, _, cache = cached("gpt2")
    with pytest.raises(AssertionError, match="batch size 2"):
        cache.remove_batch_dim()
    second = cache.apply_slice_to_batch_dim(1)
    assert second.has_batch_dim is False
    assert close(second["q", 0], cache["q", 0][1])
    both = cache.apply_slice_to_batch_dim([1, 0])
    assert close(both["q", 0][0], cache["q", 0][1])
    with pytest.raises(AssertionError, match="without a batch dim"):
        second.apply_slice_to_batch_dim(0)

    _, _, single = cached("gpt2", TEXTS[:1])
    shape = single["pattern", 0].shape
    assert single.remove_batch_dim() is single
    assert single["pattern", 0].shape == shape[1:]
    with caplog.at_level(logging.WARNING):
        single.remove_batch_dim()
    assert "already" in caplog.text


def test_moving() -> None:
    _, _, cache = cached("gpt2")
    before = cache["embed"]
    assert cache.to("cpu") is cache
    assert close(cache["embed"], before)
    if not uses_torch():
        with pytest.raises(ValueError, match="cuda"):
            cache.to("cuda")


def test_toggle_autodiff() -> None:
    _, _, cache = cached("gpt2")
    if not uses_torch():
        with pytest.raises(RuntimeError, match="torch"):
            cache.toggle_autodiff(False)
        return
    import torch

    before = torch.is_grad_enabled()
    try:
        cache.toggle_autodiff(False)
        assert not torch.is_grad_enabled()
        cache.toggle_autodiff(True)
        assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(before)


@pytest.mark.parametrize(
    "method", ["logit_lens", "ssm_layers", "compute_ssm_effective_attention", "compute_ssm_state"]
)
def test_what_is_not_there_yet_says_so(method: str) -> None:
    with pytest.raises(NotImplementedError, match=method):
        getattr(ActivationCache({}, None), method)()


# the residual stream


@pytest.mark.parametrize("name", NAMES)
def test_parts_add_up_to_the_stream(name: str) -> None:
    m, _, cache = cached(name)
    n = m.cfg.n_layers
    final = cache["resid_post", n - 1]
    parts, labels = cache.decompose_resid(return_labels=True)
    assert close(parts.sum(0), final)
    assert labels[-2:] == [f"{n - 1}_attn_out", f"{n - 1}_mlp_out"]
    assert close(cache.decompose_resid(1).sum(0), cache["resid_pre", 1])
    assert close(cache.decompose_resid(1, mlp_input=True).sum(0), cache["resid_mid", 1])
    by_kind = [cache.decompose_resid(mode=mode, incl_embeds=False) for mode in ("attn", "mlp")]
    embeds = cache.decompose_resid(0)
    assert close(by_kind[0].sum(0) + by_kind[1].sum(0) + embeds.sum(0), final)
    for expand in (True, False):
        whole, labels = cache.get_full_resid_decomposition(
            expand_neurons=expand, return_labels=True
        )
        assert len(labels) == whole.shape[0] == len(set(labels))
        assert labels[-1] == "bias"
        assert close(whole.sum(0), final)
    middle = cache.get_full_resid_decomposition(1, mlp_input=True)
    assert close(middle.sum(0), cache["resid_mid", 1])


@pytest.mark.parametrize("name", NAMES)
def test_accumulated_stream(name: str) -> None:
    m, logits, cache = cached(name)
    stack, labels = cache.accumulated_resid(incl_mid=True, return_labels=True)
    assert labels == ["0_pre", "0_mid", "1_pre", "1_mid", "final_post"]
    assert close(stack[1], cache["resid_mid", 0])
    assert close(stack[-1], cache["resid_post", -1])
    lens = cache.accumulated_resid(apply_ln=True)
    assert close(m.unembed(lens[-1]), logits)
    assert close(lens[0], m.ln_final(cache["resid_pre", 0]))
    one = cache.accumulated_resid(1, apply_ln=True, mlp_input=True, pos_slice=-1)
    scale = to_numpy(cache["scale", 1, "ln2"])[:, -1]
    resid = to_numpy(cache["resid_mid", 1])[:, -1]
    centred = resid - resid.mean(-1, keepdims=True) if name == "gpt2" else resid
    assert close(one[-1], centred / scale * to_numpy(m.blocks[1].ln2.w))


@pytest.mark.parametrize("name", NAMES)
def test_heads(name: str) -> None:
    m, _, cache = cached(name)
    stack, labels = cache.stack_head_results(return_labels=True)
    heads = m.cfg.n_heads
    assert labels[heads] == "L1H0"
    assert stack.shape == (2 * heads, *cache["embed"].shape)
    bias = getattr(m.blocks[1].attn, "b_O", None)
    total = stack[heads:].sum(0)
    assert close(total if bias is None else total + bias, cache["attn_out", 1])
    assert close(cache["result", 1][:, :, 2], stack[heads + 2])
    rest = cache.stack_head_results(2, incl_remainder=True)
    assert close(rest.sum(0), cache["resid_post", 1])
    assert close(cache.stack_head_results(pos_slice=(1, 3)), stack[:, :, 1:3])
    assert cache.stack_head_results(0).shape == (0, *cache["embed"].shape)


def test_head_results_of_the_run_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    m = TransformerBridge.boot_transformers(DATA / "llama")
    tokens = m.to_tokens(TEXTS)
    _, bare = m.run_with_cache(tokens)
    m.set_use_attn_result(True)
    _, full = m.run_with_cache(tokens)
    bare.compute_head_results()
    assert close(bare["result", 1], full["result", 1])
    kept = full["result", 0]
    with caplog.at_level(logging.WARNING):
        full.compute_head_results()
    assert "already cached" in caplog.text
    assert full["result", 0] is kept


@pytest.mark.parametrize("name", NAMES)
def test_neurons(name: str) -> None:
    m, _, cache = cached(name)
    results = cache.get_neuron_results(1)
    assert results.shape == (*cache["post", 1].shape, m.cfg.d_model)
    bias = getattr(m.blocks[1].mlp, "b_out", None)
    total = results.sum(-2)
    assert close(total if bias is None else total + bias, cache["mlp_out", 1])
    assert close(cache.get_neuron_results(1, neuron_slice=3, pos_slice=-1), results[:, -1, 3])

    stack, labels = cache.stack_neuron_results(2, neuron_slice=[4, 1], return_labels=True)
    assert labels == ["L0N4", "L0N1", "L1N4", "L1N1"]
    assert close(stack[3], results[:, :, 1])
    assert cache.stack_neuron_results(2, neuron_slice=Slice(3)).shape[0] == 2
    rest, labels = cache.stack_neuron_results(1, incl_remainder=True, return_labels=True)
    assert labels[-1] == "remainder"
    assert close(rest.sum(0), cache["resid_post", 0])
    with pytest.raises(ValueError, match="layer must be >= 0"):
        cache.stack_neuron_results(-2, incl_remainder=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [None, 2])
def test_projections_commute_with_norms(name: str, columns: int | None) -> None:
    m, _, cache = cached(name)
    generator = np.random.default_rng(0)
    shape = (m.cfg.d_model,) if columns is None else (m.cfg.d_model, columns)
    onto = to_library(generator.standard_normal(shape).astype(np.float32))
    for options in ({"apply_ln": True}, {"layer": 1, "apply_ln": True, "mlp_input": True}, {}):
        whole = cache.get_full_resid_decomposition(**options)
        folded = cache.get_full_resid_decomposition(**options, project_output_onto=onto)
        assert close(folded, whole @ onto)
    neurons = cache.stack_neuron_results(2, apply_ln=True, incl_remainder=True)
    folded = cache.stack_neuron_results(
        2, apply_ln=True, incl_remainder=True, project_output_onto=onto
    )
    assert close(folded, neurons @ onto)


@pytest.mark.parametrize("name", NAMES)
def test_logit_attributions_add_up_to_logits(name: str) -> None:
    m, logits, cache = cached(name)
    answer = m.to_single_token(" the")
    column = to_numpy(m.W_U)[:, answer]
    stack = cache.decompose_resid()
    attrs = cache.logit_attrs(stack, " the")
    assert attrs.shape == stack.shape[:-1]
    offset = float(column @ to_numpy(m.ln_final.b)) if name == "gpt2" else 0.0
    assert close(attrs.sum(0), to_numpy(logits)[..., answer] - offset)

    pairs = to_library(np.array([answer, answer + 1]))
    one_each = cache.logit_attrs(stack, pairs)
    assert close(one_each[:, 0], attrs[:, 0])
    difference = cache.logit_attrs(stack, " the", incorrect_tokens=answer + 1)
    assert close(difference[:, 1], attrs[:, 1] - one_each[:, 1])
    with pytest.raises(ValueError, match="same shape"):
        cache.logit_attrs(stack, pairs, incorrect_tokens=answer)


def test_stacks_without_a_batch_axis() -> None:
    m, _, batched = cached("gpt2", TEXTS[:1])
    _, cache = m.run_with_cache(m.to_tokens(TEXTS[:1]))
    cache.remove_batch_dim()
    for method in ("accumulated_resid", "decompose_resid", "stack_head_results"):
        alone = getattr(cache, method)(apply_ln=True)
        assert close(alone, getattr(batched, method)(apply_ln=True)[:, 0])


def test_stacked_activations() -> None:
    _, _, cache = cached("llama")
    stack = cache.stack_activation("pattern")
    assert close(stack[1], cache["pattern", 1])
    assert cache.stack_activation("scale", 1, "ln2").shape[0] == 1


def test_a_missing_scale_is_named() -> None:
    m = model("gpt2")
    wanted = ["hook_embed", "hook_pos_embed", "blocks.0.hook_attn_out", "blocks.0.hook_mlp_out"]
    _, cache = m.run_with_cache("hello", names_filter=wanted)
    with pytest.raises(KeyError, match=r"blocks\.1\.ln1\.hook_scale"):
        cache.decompose_resid(1, apply_ln=True)
    with pytest.raises(RuntimeError, match="nothing to stack"):
        cache.decompose_resid(0, incl_embeds=False)
