"""Models from `boot_native`: structure, weights, activations, edits and errors as the reference's native models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from . import f64, libs, native_kinds
from .compare import Mismatch, check_tensor, outcome
from .native_kinds import KINDS, SAMPLE
from .test_activations import check_caches
from .test_edits import check_edit, gate_of
from .test_live_tree import Through, alike


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, everything: bool) -> str:
    if not everything and request.param not in SAMPLE:
        pytest.skip("sampled out; --all runs it")
    return request.param


@pytest.fixture
def models(kind: str, reference: libs.Lib, subject: libs.Lib, seed: int) -> libs.Pair:
    return native_kinds.pair(reference, subject, kind, seed)


@pytest.mark.parametrize("any_kind", list(KINDS))
def test_structure_and_logits(
    any_kind: str, reference: libs.Lib, subject: libs.Lib, seed: int
) -> None:
    """Every kind: hook names in order, weights in order, the configuration, and what it computes."""
    models = native_kinds.pair(reference, subject, any_kind, seed)
    for read in (
        lambda m: list(m.hook_dict),
        lambda m: [(name, tuple(value.shape)) for name, value in m.state_dict().items()],
        lambda m: [type(part).__name__ for part in m.blocks[0].submodules.values()],
        lambda m: {k: str(v).removeprefix("torch.") for k, v in m.cfg.to_dict().items()},
    ):
        models.same(read, any_kind)
    models.same(lambda m: m(native_kinds.tokens(seed, (3, 16))), any_kind, tolerance=1e-5)


@pytest.mark.parametrize(
    "mode", ["gpt2", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]
)
@pytest.mark.parametrize("spread", [-1.0, 0.3])
def test_initial_weights(mode: str, spread: float, reference: libs.Lib, subject: libs.Lib) -> None:
    """Bit for bit: seeded, from the global generator (which moves on as far), and drawn afresh."""
    for kind in ("gelu", "solu_ln", "gated", "attn_only", "rotary"):
        for given in (5, None):
            states = []
            for lib in (subject, reference):
                torch.manual_seed(11)
                model = native_kinds.boot(
                    lib, kind, seed=given, init_mode=mode, initializer_range=spread
                )
                state = {name: value.detach().clone() for name, value in model.state_dict().items()}
                state["generator"] = torch.rand(3)
                model.cfg.seed = 7
                model.init_weights()
                state["afresh"] = model.state_dict()["embed.weight"].detach().clone()
                states.append(state)
            native_kinds.check_equal(*states)


def test_weights_of_new_modules(reference: libs.Lib, subject: libs.Lib) -> None:
    for kind in ("gelu", "solu_ln", "gated", "attn_only_bare"):
        states = []
        for lib in (subject, reference):
            torch.manual_seed(3)
            model = native_kinds.boot(lib, kind, init_weights=False)
            states.append({**model.state_dict(), "generator": torch.rand(3)})
        native_kinds.check_equal(*states)


def test_activations(kind: str, models: libs.Pair, seed: int) -> None:
    ids = native_kinds.tokens(seed, (2, 9))
    caches = [m.run_with_cache(ids)[1] for m in (models.subject, models.reference)]
    check_caches(*caches, kind)


@pytest.mark.parametrize("writes", [False, True], ids=["returned", "in_place"])
def test_edits(kind: str, writes: bool, models: libs.Pair, seed: int) -> None:
    ids = native_kinds.tokens(seed, (1, 9))
    wrong = []
    for index, name in enumerate(models.reference.hook_dict):
        if gate_of(name) or name in ("pos_embed.hook_in", "embed.hook_in"):
            continue
        try:
            check_edit(models, name, ids, seed + index, writes)
        except Mismatch as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


def test_edited_ids(models: libs.Pair, seed: int) -> None:
    """Other tokens, other positions: each row of the batch has its own."""
    ids = native_kinds.tokens(seed, (2, 9))

    def other(value: torch.Tensor, hook: Any) -> torch.Tensor:
        assert value.shape == (2, 9)
        return torch.stack([value[0].flip(0), value[1]])

    for name in {"embed.hook_in", "pos_embed.hook_in"} & set(models.reference.hook_dict):
        models.same(lambda m, n=name: m.run_with_hooks(ids, fwd_hooks=[(n, other)]), name)


def test_masks_and_positions(kind: str, models: libs.Pair, seed: int) -> None:
    """Padding left and right: queries that see nothing get nothing."""
    ids = native_kinds.tokens(seed, (3, 7))
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[0, :3], mask[1, 5:] = 0, 0
    names = lambda n: n.endswith(("hook_pattern", "hook_z", "pos_embed.hook_in"))  # noqa: E731
    models.same(lambda m: m.run_with_cache(ids, attention_mask=mask, names_filter=names), "mask")
    positions = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
    for given in (positions, positions.expand(3, 7)):
        models.same(lambda m, p=given: m(ids, position_ids=p), "positions")
    if "d_vocab_out" not in KINDS[kind]:
        models.same(lambda m: m(ids, return_type="loss", attention_mask=mask), "loss")


@pytest.mark.parametrize("any_kind", ["plain", "bidirectional", "rotary"])
def test_replaced_parts(any_kind: str, reference: libs.Lib, subject: libs.Lib, seed: int) -> None:
    """Blocks, attention and MLPs: what they are called with, and that what they return counts."""
    ids = native_kinds.tokens(seed, (2, 7))
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[0, :3] = 0
    for path in ("1", "attn", "mlp", "ln2"):
        models = native_kinds.pair(reference, subject, any_kind, seed)
        clean = models.subject(ids, attention_mask=mask)
        noted = []
        for model, blocks in (
            (models.subject, models.subject.blocks),
            (models.reference, models.reference.original_model.layers),
        ):
            # there the module that the bridge wraps computes, by its own parts
            block = getattr(blocks[1], "original_component", blocks[1])
            owner = blocks if path == "1" else block
            part = owner._modules[path] = Through(
                owner._modules[path], lambda x: x * 1.5 + x[..., :1]
            )
            result = model(ids, attention_mask=mask)
            model(ids)
            noted.append((result, part.given))
        (got, given), (want, given_there) = noted
        check_tensor(got, want, path, 1e-4)
        assert not torch.equal(got, clean), path
        alike(any_kind, path, given, given_there)


def test_parts_of_runs(kind: str, models: libs.Pair, seed: int) -> None:
    ids = native_kinds.tokens(seed, (2, 5))
    stream = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(seed))
    for body in (
        lambda m: m(ids, stop_at_layer=1),
        lambda m: m(stream),
        lambda m: m(stream, start_at_layer=1),
        lambda m: m.ln_final(stream),
        lambda m: m.blocks[1](stream)[0],
        lambda m: m.blocks[0].attn(stream)[0],
        lambda m: m.blocks[0].attn(stream)[1],
        lambda m: m.unembed(m.ln_final(stream)),
        lambda m: m.W_Q + m.W_K.mean(),
        lambda m: m.W_E_pos,
    ):
        models.same(body, kind)


def test_close_to_float64(kind: str, reference: libs.Lib, subject: libs.Lib, seed: int) -> None:
    if kind == "gated":
        pytest.skip("the reference's RMS norm computes in float32 whatever the dtype")
    ours, theirs, allowed = [], [], []
    for offset in range(12):
        models = native_kinds.pair(reference, subject, kind, seed + offset)
        ids = native_kinds.tokens(seed + offset, (4, 16))
        got, want = models.subject(ids), models.reference(ids)
        exact = models.reference.original_model.double()(ids)
        ours.append((got.double() - exact).abs().max().item())
        theirs.append((want.double() - exact).abs().max().item())
        allowed.append(f64.bound(theirs[-1], exact))
    print(f"{kind}: ours {max(ours):.3g}, torch {max(theirs):.3g}, allowed {max(allowed):.3g}")
    assert max(ours) <= max(allowed)


ERRORS: dict[str, dict[str, Any]] = {
    "no vocabulary": dict(d_vocab=-1),
    "scores that are not scaled": dict(attn_scale=1.0),
    "heads that do not divide": dict(n_key_value_heads=2),
    "unknown activation": dict(act_fn="elu"),
    "unknown gated activation": dict(act_fn="elu", gated_mlp=True),
    "unknown positions": dict(positional_embedding_type="shortformer"),
    "unknown initialisation": dict(init_mode="muP"),
    "odd rotary dimension": dict(positional_embedding_type="rotary", rotary_dim=3),
    "unknown rotary scaling": dict(
        positional_embedding_type="rotary", rope_scaling=dict(rope_type="yarn", factor=2.0)
    ),
    "another architecture": dict(architecture="GPT2LMHeadModel"),
    "another type": dict(d_model="24"),
}


@pytest.mark.parametrize("what", list(ERRORS))
def test_errors_at_boot(what: str, reference: libs.Lib, subject: libs.Lib) -> None:
    got, want = (
        outcome(lambda lib=lib: native_kinds.boot(lib, ERRORS[what]))
        for lib in (subject, reference)
    )
    assert want.error is not None, want
    assert type(got.error) is type(want.error), f"got {got}, want {want}"


def test_other_errors(reference: libs.Lib, subject: libs.Lib, seed: int) -> None:
    models = native_kinds.pair(reference, subject, "plain", seed)
    boots = [lib.bridge().boot_native for lib in (subject, reference)]
    for given in (3, {"d_model": 8}, None):
        got, want = (outcome(lambda b=boot, g=given: b(g)) for boot in boots)
        assert want.error is not None
        assert type(got.error) is type(want.error), f"{given}: got {got}, want {want}"
    for body in (
        lambda m: m(torch.zeros(1, 17, dtype=torch.long)),
        lambda m: m(torch.tensor([[1, 37]])),
        lambda m: m(torch.tensor([[1, 2]]), position_ids=torch.tensor([[0, 16]])),
        lambda m: m("text"),
        lambda m: m.set_use_attn_result(True),
        lambda m: m.set_use_split_qkv_input(True),
        lambda m: m.set_use_attn_in(True),
    ):
        assert models.same(body, "error").error is not None


def test_scores_point_shows_the_pattern(reference: libs.Lib, subject: libs.Lib, seed: int) -> None:
    """Edits there reach nothing, in both; ours says so however they were made."""
    models = native_kinds.pair(reference, subject, "plain", seed)
    ids = native_kinds.tokens(seed, (2, 5))
    clean = models.subject(ids)
    name = "blocks.0.attn.hook_attn_scores"

    def zero(value: torch.Tensor, hook: Any) -> None:
        value.zero_()

    for hook in (lambda v, hook: v * 2, zero):
        got = outcome(lambda h=hook: models.subject.run_with_hooks(ids, fwd_hooks=[(name, h)]))
        check_tensor(got.value, clean, name, 0.0)
        assert any("reaches nothing" in text for text in got.warnings)
    got = outcome(lambda: models.subject.run_with_hooks(ids, fwd_hooks=[(name, lambda v, hook: v)]))
    assert not got.warnings


def test_mlp_in(reference: libs.Lib, subject: libs.Lib, seed: int) -> None:
    models = native_kinds.pair(reference, subject, "plain", seed)
    models.same(lambda m: m.set_use_hook_mlp_in(True), "set")
    ids = native_kinds.tokens(seed, (1, 6))
    for writes in (False, True):
        check_edit(models, "blocks.1.hook_mlp_in", ids, seed, writes)
