"""What parts of the residual stream add to logits: with the norms' weights, parts add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge

from ..reference import model as stored
from ..reference import to_library, to_numpy

TEXT = "the dog sat on the log and the mat"
RIGHT, WRONG = 7, 23


@pytest.fixture(params=["gpt2", "gpt2_variant", "llama", "mistral", "qwen2"])
def m(request: pytest.FixtureRequest) -> Any:
    return stored(request.param)


def arrays_of(value: Any) -> np.ndarray:
    return to_numpy(value).astype(np.float64)


def left_over(m: Any, right: int, wrong: int) -> float:
    """What of a logit difference is the same for every input: the biases of the final norm and of the unembedding."""
    direction = arrays_of(m.W_U)[:, right] - arrays_of(m.W_U)[:, wrong]
    bias = getattr(m.ln_final, "b", None)
    from_norm = 0.0 if bias is None else arrays_of(bias) @ direction
    b_U = arrays_of(m.b_U)
    return float(from_norm + b_U[right] - b_U[wrong])


def close(got: Any, want: Any) -> None:
    got, want = arrays_of(got), np.asarray(want, np.float64)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(want).max()))


def test_fault_N12_attributions_sum_to_the_logit_difference(m: Any) -> None:
    logits, cache = m.run_with_cache(TEXT)
    difference = arrays_of(logits)[0, :, RIGHT] - arrays_of(logits)[0, :, WRONG]
    for stack in (
        cache.decompose_resid(),
        cache.stack_head_results(incl_remainder=True),
        cache.get_full_resid_decomposition(),
        cache.get_full_resid_decomposition(expand_neurons=False),
    ):
        parts = arrays_of(cache.logit_attrs(stack, RIGHT, WRONG))
        close(parts.sum(0)[0] + left_over(m, RIGHT, WRONG), difference)
    one = arrays_of(
        cache.logit_attrs(cache.decompose_resid(pos_slice=-1), RIGHT, WRONG, pos_slice=-1)
    )
    assert one.sum() + left_over(m, RIGHT, WRONG) == pytest.approx(
        difference[-1], rel=1e-3, abs=1e-3
    )


def test_fault_N12_attributions_sum_in_a_batch_and_without_its_axis(m: Any) -> None:
    texts = [TEXT, "hello"]
    logits, cache = m.run_with_cache(texts, padding_side="left")
    ids = to_library(np.array([RIGHT, WRONG]))
    parts = arrays_of(cache.logit_attrs(cache.decompose_resid(pos_slice=-1), ids, pos_slice=-1))
    for row, token in enumerate((RIGHT, WRONG)):
        bias = getattr(m.ln_final, "b", None)
        rest = 0.0 if bias is None else arrays_of(bias) @ arrays_of(m.W_U)[:, token]
        want = arrays_of(logits)[row, -1, token] - arrays_of(m.b_U)[token]
        assert parts[:, row].sum() + rest == pytest.approx(want, rel=1e-3, abs=1e-3)
    logits, cache = m.run_with_cache(TEXT, remove_batch_dim=True)
    parts = arrays_of(cache.logit_attrs(cache.decompose_resid(), RIGHT, WRONG, has_batch_dim=False))
    difference = arrays_of(logits)[0, :, RIGHT] - arrays_of(logits)[0, :, WRONG]
    close(parts.sum(0) + left_over(m, RIGHT, WRONG), difference)


@pytest.mark.parametrize(("layer", "mlp_input"), [(0, True), (1, False), (1, True), (2, False)])
def test_fault_N12_a_stack_adds_up_to_what_the_norm_gives(
    m: Any, layer: int, mlp_input: bool
) -> None:
    _, cache = m.run_with_cache(TEXT)
    norm = m.ln_final if layer == 2 else getattr(m.blocks[layer], "ln2" if mlp_input else "ln1")
    name = "ln_final" if layer == 2 else f"blocks.{layer}.{'ln2' if mlp_input else 'ln1'}"
    bias = getattr(norm, "b", None)
    want = arrays_of(cache[f"{name}.hook_out"]) - (0.0 if bias is None else arrays_of(bias))
    at = {"mlp_input": mlp_input, "apply_ln": True}
    close(arrays_of(cache.decompose_resid(layer, **at)).sum(0), want)
    close(arrays_of(cache.get_full_resid_decomposition(layer, **at)).sum(0), want)
    onto = to_library(
        np.random.default_rng(0).standard_normal((m.cfg.d_model, 3)).astype(np.float32)
    )
    projected = cache.get_full_resid_decomposition(layer, project_output_onto=onto, **at)
    close(arrays_of(projected).sum(0), want @ arrays_of(onto))


def test_fault_N12_norms_without_weights_are_as_before() -> None:
    config = {
        "n_layers": 2,
        "d_model": 16,
        "n_ctx": 12,
        "d_head": 8,
        "n_heads": 2,
        "d_vocab": 31,
        "act_fn": "relu",
        "normalization_type": "LNPre",
        "seed": 3,
    }
    m = TransformerBridge.boot_native(config)
    logits, cache = m.run_with_cache(to_library(np.arange(6)[None]))
    parts = arrays_of(cache.logit_attrs(cache.decompose_resid(), 3, 5))
    close(parts.sum(0)[0], arrays_of(logits)[0, :, 3] - arrays_of(logits)[0, :, 5])


def test_fault_N12_stacks_are_no_part_of_the_autograd_graph(m: Any) -> None:
    _, cache = m.run_with_cache(TEXT)
    stack = cache.decompose_resid(apply_ln=True)
    assert not getattr(stack, "requires_grad", False)
