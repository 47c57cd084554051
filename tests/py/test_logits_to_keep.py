"""`logits_to_keep`: the logits of some positions are those among all, and no others are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_models import D_VOCAB, Arrays

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")


@pytest.mark.parametrize(
    "keep", [1, 3, 6, 60, [0, 2], [-1, 0, 0], [[1], [4]], [[-1, 2], [3, -6]]], ids=str
)
def test_they_are_those_among_all(model: Any, xp: Arrays, keep: Any) -> None:
    ids = xp.ids()
    logits = xp.numpy(model(ids))
    if isinstance(keep, int):
        want = logits[:, -keep:]
        given: Any = keep
    else:
        positions = np.broadcast_to(np.array(keep), (2, np.array(keep).shape[-1]))
        want = np.take_along_axis(logits, positions[..., None] % 6, axis=1)
        given = xp.array(keep, "int64")
        assert np.array_equal(xp.numpy(model(ids, logits_to_keep=keep)), want)  # lists do too
    assert np.array_equal(xp.numpy(model(ids, logits_to_keep=given)), want)


def test_who_looks_at_all_sees_all(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    every = model(ids)
    logits, cache = model.run_with_cache(ids, logits_to_keep=1)
    assert xp.same(logits, every[:, -1:])
    assert xp.same(cache["unembed.hook_out"], every)

    seen = []

    def double(value: Any, hook: Any) -> Any:
        seen.append(tuple(value.shape))
        return 2 * value

    doubled = model.run_with_hooks(
        ids, fwd_hooks=[("unembed.hook_out", double)], logits_to_keep=[0]
    )
    assert seen == [(2, 6, D_VOCAB)]
    assert xp.same(doubled, 2 * every[:, :1])


def test_a_hook_added_on_the_way_sees_all(model: Any, xp: Arrays) -> None:
    seen = []

    def add(value: Any, hook: Any) -> None:
        model.unembed.hook_out.add_hook(lambda v, hook: seen.append(tuple(v.shape)))

    model.run_with_hooks(xp.ids(), fwd_hooks=[("ln_final.hook_in", add)], logits_to_keep=1)
    assert seen == [(2, 6, D_VOCAB)]


def test_with_a_cache(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    _, past = model(ids[:, :4], return_type="logits_and_cache", logits_to_keep=1)
    rest = model(ids[:, 4:], past_key_values=past, logits_to_keep=1)
    assert xp.same(rest, model(ids)[:, -1:])


def test_generation_unembeds_one_position_a_row(model: Any, xp: Arrays) -> None:
    shapes = []
    plan = type(model).forward

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        logits = plan(self, *args, **kwargs)
        shapes.append(tuple(logits.shape))
        return logits

    model.forward = forward.__get__(model)
    model.generate(xp.ids(), max_new_tokens=3, do_sample=False, verbose=False, stop_at_eos=False)
    assert shapes == [(2, 1, D_VOCAB)] * 3


@pytest.mark.parametrize(
    ("keep", "options", "error", "says"),
    [
        (-1, {}, ValueError, "logits_to_keep=-1"),
        (1.5, {}, (ValueError, TypeError), "logits_to_keep"),
        ([6], {}, IndexError, "position 6 were asked for, there are 6"),
        ([-7], {}, IndexError, "position -7"),
        ([[0], [1], [2]], {}, ValueError, "[1 or 2, n]"),
        (1, {"return_type": "loss"}, ValueError, "return_type='loss'"),
        (1, {"return_type": None}, ValueError, "returns none"),
        (1, {"stop_at_layer": 1}, ValueError, "stop_at_layer"),
    ],
    ids=str,
)
def test_refusals(
    gpt2: Any, xp: Arrays, keep: Any, options: dict[str, Any], error: Any, says: str
) -> None:
    with pytest.raises(error) as raised:
        gpt2(xp.ids(), logits_to_keep=keep, **options)
    assert says in str(raised.value)
