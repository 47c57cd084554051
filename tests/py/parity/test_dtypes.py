"""Models in float64, bfloat16 and float16: as close to exact as transformer_lens is in the same dtype."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from . import f64, libs, tiny
from .table import FIGURE

SEEDS = 12  # the largest of so many is a steady figure; of four it is a matter of luck
KINDS = ["gpt2", "llama_gqa", "mistral", "qwen2"]
NARROW = [torch.bfloat16, torch.float16]

Checkpoint = Callable[..., Path]


def _exact(folder: Path, dtype: torch.dtype) -> Any:
    """What the weights of that dtype give in float64."""
    model = f64.load(folder)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).double()
    return model


def _near(got: torch.Tensor, want: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether `got` is as near to exact as the reference: both round every edge, in other orders of sums.

    Of one seed the largest errors may differ by more than the factor 2 that holds over several. In float64 the
    reference is "exact" itself, but for norms and softmax, which transformers pins to float32.
    """
    slack = 1e-5 if dtype == torch.float64 else 4 * torch.finfo(dtype).eps
    error, allowed = (got.double() - exact).abs().max(), (want.double() - exact).abs().max()
    return bool(error <= 3 * allowed + slack * exact.abs().max())


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("kind", KINDS)
def test_narrow_logits_are_as_close_to_float64(
    kind: str,
    dtype: torch.dtype,
    everything: bool,
    seed: int,
    reference: libs.Lib,
    subject: libs.Lib,
    checkpoint: Checkpoint,
    record_property: Callable[[str, object], None],
) -> None:
    if not everything and kind in ("mistral", "qwen2"):
        pytest.skip("sampled out; --all runs it")
    ours, theirs = [], []
    for offset in range(SEEDS):
        folder = checkpoint(kind, seed + offset)
        tokens = tiny.random_tokens(seed + offset, (4, 17))
        exact = f64.logits(_exact(folder, dtype), tokens)
        for library, errors in ((subject, ours), (reference, theirs)):
            logits = library.boot(folder, dtype=dtype)(tokens)
            assert logits.dtype == dtype
            errors.append((logits.double() - exact).abs().max().item())
    figures = [f"{error:.3g}" for error in (max(ours), max(theirs), 2 * max(theirs))]
    record_property(FIGURE, (f"{kind}, {str(dtype).removeprefix('torch.')}", *figures))
    assert max(ours) <= 2 * max(theirs), figures


@pytest.mark.parametrize("kind", KINDS)
def test_float64_logits_are_exact(
    kind: str, seed: int, subject: libs.Lib, checkpoint: Checkpoint
) -> None:
    folder = checkpoint(kind, seed)
    tokens = tiny.random_tokens(seed, (4, 17))
    exact_model = f64.load(folder)
    with torch.no_grad():
        logits, cache = subject.boot(folder, dtype=torch.float64).run_with_cache(tokens)
    if "rotary_emb.hook_cos" in cache:
        # float32 constants of the model, whose last bit depends on who computes the cosine
        cos, sin = cache["rotary_emb.hook_cos"], cache["rotary_emb.hook_sin"]
        own = exact_model.model.rotary_emb(logits, torch.arange(17)[None])
        assert (own[0] - cos).abs().max() <= 2e-7 and (own[1] - sin).abs().max() <= 2e-7
        exact_model.model.rotary_emb.forward = lambda x, position_ids: (cos, sin)
    exact = f64.logits(exact_model, tokens)
    assert logits.dtype == torch.float64
    # transformer_lens itself is 1e-7 away where transformers pins norms and softmax to float32
    assert (logits - exact).abs().max() <= 1e-12 * exact.abs().max()


@pytest.mark.parametrize("dtype", [*NARROW, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_every_activation_has_the_dtype_and_value(
    kind: str,
    dtype: torch.dtype,
    everything: bool,
    seed: int,
    reference: libs.Lib,
    subject: libs.Lib,
    checkpoint: Checkpoint,
) -> None:
    if not everything and kind in ("mistral", "qwen2"):
        pytest.skip("sampled out; --all runs it")
    folder, tokens = checkpoint(kind, seed), tiny.random_tokens(seed, (2, 9))
    with torch.no_grad():
        got = subject.boot(folder, dtype=dtype).run_with_cache(tokens)[1]
        model = reference.boot(folder, dtype=dtype)
        want = model.run_with_cache(tokens)[1]
        exact = model.to(torch.float64).run_with_cache(tokens)[1]
    assert list(got.keys()) == list(want.keys())
    lowest = torch.finfo(dtype).min
    for name, value in want.items():
        assert got[name].dtype == value.dtype, name
        assert got[name].shape == value.shape, name
        if not value.is_floating_point():
            continue
        seen = value != lowest
        assert torch.equal(got[name] != lowest, seen), name
        assert _near(got[name][seen], value[seen], exact[name][seen], dtype), name


@pytest.mark.parametrize("dtype", [*NARROW, torch.float64])
@pytest.mark.parametrize(
    "point", ["blocks.0.hook_resid_pre", "blocks.1.attn.hook_z", "blocks.0.mlp.hook_post"]
)
def test_edits(
    point: str,
    dtype: torch.dtype,
    seed: int,
    reference: libs.Lib,
    subject: libs.Lib,
    checkpoint: Checkpoint,
) -> None:
    folder, tokens = checkpoint("llama_gqa", seed), tiny.random_tokens(seed, (2, 9))
    generator = torch.Generator().manual_seed(seed)

    def double(value: torch.Tensor, hook: Any) -> torch.Tensor:
        return value * 2

    def noise(value: torch.Tensor, hook: Any) -> None:
        value += torch.randn(value.shape, generator=generator).to(dtype)

    for edit in (double, noise):
        logits = []
        exact = reference.boot(folder, dtype=dtype).to(torch.float64)
        for model in (
            subject.boot(folder, dtype=dtype),
            reference.boot(folder, dtype=dtype),
            exact,
        ):
            generator.manual_seed(seed)
            with torch.no_grad():
                plain = model(tokens)
                logits.append(model.run_with_hooks(tokens, fwd_hooks=[(point, edit)]).double())
            assert (plain.double() - logits[-1]).abs().max() > 0.1
        assert _near(*logits, dtype)


@pytest.mark.parametrize("dtype", [*NARROW, torch.float64])
def test_to(
    dtype: torch.dtype, seed: int, reference: libs.Lib, subject: libs.Lib, checkpoint: Checkpoint
) -> None:
    """`to` at run time gives what booting in the dtype does, and parameters in hand go with it."""
    folder, tokens = checkpoint("gpt2", seed), tiny.random_tokens(seed, (2, 9))
    told = []
    for library in (subject, reference):
        model = library.boot(folder)
        parameter = model.blocks[0].attn.W_Q
        weight = dict(model.named_parameters())
        assert model.to(dtype) is model
        same = all(value is weight[name] for name, value in model.named_parameters())
        logits, loss = model(tokens, return_type="both")
        told.append((model.cfg.dtype, parameter.dtype, same, logits.dtype, loss.dtype))
        assert torch.equal(logits, library.boot(folder, dtype=dtype)(tokens))
    assert told[0] == told[1]


def test_a_model_in_memory_keeps_its_dtype(
    seed: int, reference: libs.Lib, subject: libs.Lib, checkpoint: Checkpoint
) -> None:
    folder, tokens = checkpoint("llama_gqa", seed), tiny.random_tokens(seed, (1, 5))
    for library in (subject, reference):
        hf_model = tiny.build("llama_gqa", seed).to(torch.bfloat16)
        model = library.boot(folder, hf_model=hf_model)
        assert model(tokens).dtype == torch.bfloat16
        assert model.blocks[1].attn.W_Q.dtype == torch.bfloat16


@pytest.mark.parametrize("bad", [torch.int32, "float8"])
def test_dtypes_that_are_none(
    bad: Any, seed: int, reference: libs.Lib, subject: libs.Lib, checkpoint: Checkpoint
) -> None:
    folder = checkpoint("gpt2", seed)
    for library in (subject, reference):
        with pytest.raises(ValueError, match="dtype"):
            library.boot(folder, dtype=bad)
        with pytest.raises(TypeError, match=r"floating|float32"):
            library.boot(folder).to(torch.int8)
