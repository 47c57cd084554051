"""`model.plan`: what is told of a run is what the run does."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import D_MODEL, D_VOCAB, N_LAYERS, Arrays, alive

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")


def called(plan: Any) -> list[str]:
    return [step.name for step in plan.steps if step.called]


def kept(plan: Any) -> list[str]:
    return [step.name for step in plan.steps if step.kept]


def test_nothing_runs(model: Any, xp: Arrays) -> None:
    held = alive()
    seen = []
    model.plan(xp.ids(), fwd_hooks=[("blocks.0.hook_in", lambda v, hook: seen.append(hook))])
    assert not seen
    assert alive() == held
    assert not model.blocks[0].hook_in.has_hooks()


def test_what_nobody_looks_at_is_fused_or_skipped(model: Any, xp: Arrays) -> None:
    plan = model.plan(xp.ids())
    attention = [step for step in plan.steps if step.op == "attention"]
    assert len(attention) == N_LAYERS
    assert all("blocks" in step.name and step.kind == "fused" for step in attention)
    assert any(name.endswith("hook_pattern") for name in attention[0].inside)
    assert plan.steps[-1].outputs == (f"float32 [2, 6, {D_VOCAB}]",)
    assert not called(plan)

    stopped = model.plan(xp.ids(), stop_at_layer=1)
    assert {"blocks.1.hook_out", "unembed.hook_out"} <= set(stopped.skipped)
    assert stopped.operations < plan.operations / 2


def test_who_looks_is_in_it(model: Any, xp: Arrays) -> None:
    hooks = [("blocks.1.attn.hook_pattern", lambda v, hook: None)]
    plan = model.plan(xp.ids(), fwd_hooks=hooks, names_filter="blocks.0.hook_resid_post")
    assert called(plan) == ["blocks.1.attn.hook_pattern"]
    assert kept(plan) == ["blocks.0.hook_out"]
    assert sum(step.op == "attention" for step in plan.steps) == N_LAYERS - 1

    model.blocks[2].hook_out.add_hook(lambda v, hook: None)
    assert called(model.plan(xp.ids())) == ["blocks.2.hook_out"]


def test_its_sums_are_those_of_the_cache(model: Any, xp: Arrays) -> None:
    logits, cache = model.run_with_cache(xp.ids())
    plan = model.plan(xp.ids(), cache=True)
    canonical = {id(value): value for value in cache.values()}.values()
    assert sorted(kept(plan)) == sorted(
        {point._canonical for name, point in model.hook_dict.items() if name in cache}
    )
    each = sum(v.nbytes for v in canonical)
    assert plan.kept >= each
    assert plan.kept - logits.nbytes == sum(
        cache[point._canonical].nbytes
        for point in set(model.hook_dict.values())
        if point._canonical in cache
    )


def test_a_longer_input_costs_more(model: Any, xp: Arrays) -> None:
    one, two = model.plan(xp.ids(batch=1, pos=5)), model.plan(xp.ids(batch=2, pos=5))
    assert one.operations < two.operations <= 2 * one.operations
    assert one.peak < two.peak
    assert one.kept == 4 * 5 * D_VOCAB
    assert [step.name for step in one.steps] == [step.name for step in two.steps]


def test_a_replaced_part(gpt2: Any, xp: Arrays) -> None:
    mlp = gpt2.blocks[0].mlp
    mlp.forward = lambda x: 2 * x
    plan = gpt2.plan(xp.ids())
    (step,) = [step for step in plan.steps if step.kind == "replaced"]
    assert step.name == "blocks.0.mlp.hook_out"
    assert step.outputs == (f"float32 [2, 6, {D_MODEL}]",)


def test_behind_a_cache(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    _, past = model(ids, return_type="logits_and_cache")
    plan = model.plan(ids[:, :1], past_key_values=past)
    assert past.get_seq_length() == 6
    (first, *_) = [step for step in plan.steps if step.op == "attention"]
    assert any("[2, 7," in given for given in first.inputs)


def test_shown(model: Any, xp: Arrays) -> None:
    plan = model.plan(xp.ids(), return_type=None, names_filter="blocks.0.hook_resid_post")
    text, html = str(plan), plan._repr_html_()
    layers = " ".join(text.partition("skipped: ")[2].split())
    assert f"each of blocks.1 to blocks.{N_LAYERS - 1}" in layers
    assert "unembed.hook_out" in layers and "blocks.1." not in layers
    assert "blocks.0.hook_out" in text and "keeps" in text
    assert html.count("<tr>") == len(plan.steps) + 1
    assert "steps" in repr(plan) and "\n" not in repr(plan)


def test_refusals(model: Any, xp: Arrays) -> None:
    with pytest.raises(KeyError):
        model.plan(xp.ids(), fwd_hooks=[("blocks.0.hook_nowhere", print)])
    with pytest.raises(ValueError, match="return_type"):
        model.plan(xp.ids(), return_type="logit")
    with pytest.raises(TypeError, match="surprise"):
        model.plan(xp.ids(), surprise=1)
