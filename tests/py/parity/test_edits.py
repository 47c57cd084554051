"""Edits at every hook point, returned and in place: the logits change as the reference's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import Mismatch, check_tensor, outcome
from .differences import heads_of, in_place_counts_as_returned
from .test_activations import check_caches

GATES = ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in")
KINDS = ["gpt2", "llama_gqa", "mistral", "qwen2"]


def edited(value: torch.Tensor, seed: int, gentle: bool = False) -> torch.Tensor:
    """A value moved by seeded noise; ids move by one. Gentle noise is no larger than the value itself."""
    if not value.dtype.is_floating_point:
        return value + 1
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(seed))
    spread = value.abs().clamp(max=1).mean() if gentle else 1
    return value + 0.3 * spread * noise


def returned(seed: int, gentle: bool = False) -> Callable[..., torch.Tensor]:
    return lambda value, hook: edited(value, seed, gentle)


def in_place(seed: int, gentle: bool = False) -> Callable[..., None]:
    def hook_function(value: torch.Tensor, hook: Any) -> None:
        value.copy_(edited(value, seed, gentle))

    return hook_function


def gate_of(name: str) -> str | None:
    """The setter that a hook point waits for."""
    if name.endswith("hook_result"):
        return "use_attn_result"
    if name.endswith(("hook_q_input", "hook_k_input", "hook_v_input")):
        return "use_split_qkv_input"
    if name.endswith("hook_attn_in"):
        return "use_attn_in"
    return "use_hook_mlp_in" if name.endswith("hook_mlp_in") else None


def check_edit(
    models: libs.Pair,
    name: str,
    tokens: torch.Tensor,
    seed: int,
    writes: bool,
    gentle: bool = False,
) -> None:
    """Run one edit through both; the difference list says where an in-place one may count as returned."""
    edit = in_place(seed, gentle) if writes else returned(seed, gentle)
    wanted_edit = edit
    heads = heads_of(models.reference)
    if writes and in_place_counts_as_returned(name, tokens.shape[0], *heads):
        wanted_edit = returned(seed, gentle)
    got, want = (
        outcome(lambda m=model, e=one: m.run_with_hooks(tokens.clone(), fwd_hooks=[(name, e)]))
        for model, one in ((models.subject, edit), (models.reference, wanted_edit))
    )
    # the reference compared with itself has the reference's in-place behaviour
    if wanted_edit is not edit and libs.SUBJECT == libs.REFERENCE:
        return
    if got.error or want.error:
        raise Mismatch(f"{name}: got {got}, want {want}") from got.error
    check_tensor(got.value, want.value, f"{name} {'in place' if writes else 'returned'}")


@pytest.mark.parametrize("writes", [False, True], ids=["returned", "in_place"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_point(
    kind: str, writes: bool, pair: Callable[[str], libs.Pair], seed: int
) -> None:
    models = pair(kind)
    tokens = tiny.random_tokens(seed, (2, 9))
    clean = models.reference(tokens)
    wrong = []
    for index, name in enumerate(models.reference.hook_dict):
        if gate_of(name):
            continue
        try:
            check_edit(models, name, tokens, seed + index, writes)
        except Mismatch as error:
            wrong.append(str(error))
    # the edits of this test must be visible, or it would pass on a library that ignores them
    edit = models.reference.run_with_hooks(tokens, fwd_hooks=[("hook_embed", returned(seed))])
    assert (edit - clean).abs().max() > 0.01
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("writes", [False, True], ids=["returned", "in_place"])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "qwen2_untied"])
def test_gated_hook_points(
    kind: str, gate: str, writes: bool, fresh_pair: Callable[..., libs.Pair], seed: int
) -> None:
    models = fresh_pair(kind)
    for model in (models.reference, models.subject):
        getattr(model, f"set_{gate}")(True)
    tokens = tiny.random_tokens(seed, (2, 9))
    names = list(models.reference.hook_dict)
    gated = [name for name in names if gate_of(name) == gate]
    # points whose computation the flag changes
    around = [
        n for n in names if n.endswith(("q.hook_out", "hook_z", "ln1.hook_in", "ln2.hook_in"))
    ]
    assert gated
    for index, name in enumerate(gated + around):
        check_edit(models, name, tokens, seed + index, writes)


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_downstream_of_an_edit(
    kind: str, pair: Callable[[str], libs.Pair], seed: int, everything: bool
) -> None:
    """What is cached after a returned edit shows the edit from there on, and nothing before."""
    models = pair(kind)
    tokens = tiny.random_tokens(seed, (2, 6))
    names = [n for n in models.reference.hook_dict if not gate_of(n)]
    sample = names if everything else names[seed % 4 :: 4]
    for index, name in enumerate(sample):
        caches = []
        for model in (models.subject, models.reference):
            with model.hooks(fwd_hooks=[(name, returned(seed + index))]):
                caches.append(model.run_with_cache(tokens)[1])
        check_caches(*caches, f"after {name}")


PARTIAL: dict[str, tuple[str, Callable[[torch.Tensor], Any]]] = {
    "zero a head": ("blocks.1.attn.hook_z", lambda z: z[:, :, 2].zero_()),
    "zero positions": ("blocks.0.hook_resid_post", lambda r: r[:, 1:3].zero_()),
    "scale a row": ("blocks.0.mlp.hook_post", lambda p: p[0].mul_(3.0)),
    "swap rows": ("blocks.0.hook_mlp_out", lambda r: r.copy_(r.flip(0))),
    "fill one score": ("blocks.0.attn.hook_attn_scores", lambda s: s[:, 1, 3, 0].fill_(9.0)),
    "uncover the future": ("blocks.0.attn.hook_attn_scores", lambda s: s[:, :, 0, 4].fill_(2.0)),
    "uniform pattern": ("blocks.1.attn.hook_pattern", lambda p: p.fill_(0.1)),
    "one neuron": ("blocks.1.mlp.hook_pre", lambda p: p[..., 5].sub_(4.0)),
    "strided write": ("blocks.0.attn.hook_v", lambda v: v[:, ::2, 1:, ::3].fill_(0.5)),
    "infinity": ("blocks.1.hook_resid_post", lambda r: r[0, 0, 0].fill_(float("inf"))),
    # before an attention the reference's masks let a nan through to earlier positions; the subject's do not
    "nan": ("blocks.1.hook_resid_post", lambda r: r[1, 2].fill_(float("nan"))),
}


@pytest.mark.parametrize("what", list(PARTIAL))
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_partial_writes(kind: str, what: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    name, write = PARTIAL[what]
    if name.endswith("hook_v") and kind != "gpt2":
        name = name.replace("hook_v", "hook_q")
    tokens = tiny.random_tokens(seed, (2, 7))

    def hook_function(value: torch.Tensor, hook: Any) -> None:
        write(value)

    pair(kind).same(lambda m: m.run_with_hooks(tokens, fwd_hooks=[(name, hook_function)]), what)


BROADCAST: dict[str, tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "mean kept as one row": ("blocks.0.attn.hook_z", lambda z: z.mean(0, keepdim=True)),
    "mean of a residual": ("blocks.0.hook_resid_post", lambda r: r.mean(0, keepdim=True)),
    "one position of an output": ("blocks.0.hook_mlp_out", lambda r: r[:, :1]),
    "one row of a pattern": ("blocks.0.attn.hook_pattern", lambda p: p[:1]),
    "one head of a pattern": ("blocks.0.attn.hook_pattern", lambda p: p.mean(1, keepdim=True)),
    "one key": ("blocks.0.attn.hook_k", lambda k: k[:, :1]),
    "mean over batch, expanded": (
        "blocks.0.attn.hook_z",
        lambda z: z.mean(0, keepdim=True).expand_as(z),
    ),
    "smaller batch": ("blocks.0.hook_resid_pre", lambda r: r[:1]),
    "shorter": ("blocks.0.hook_resid_pre", lambda r: r[:, :4]),
    "larger batch": ("hook_embed", lambda r: torch.cat([r, r], 0)),
    "not contiguous": (
        "blocks.0.hook_resid_post",
        lambda r: r.transpose(0, 1).clone().transpose(0, 1),
    ),
    "float64": ("blocks.0.hook_mlp_out", lambda r: r.double()),
}


@pytest.mark.parametrize("what", list(BROADCAST))
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_returned_shapes(kind: str, what: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    name, change = BROADCAST[what]
    tokens = tiny.random_tokens(seed, (2, 7))
    got, want = pair(kind).run(
        lambda m: m.run_with_hooks(tokens, fwd_hooks=[(name, lambda v, hook: change(v))])
    )
    print(f"{what}: {want}")
    if want.error is None:
        assert got.error is None, got
        check_tensor(got.value.to(want.value.dtype), want.value, what)
