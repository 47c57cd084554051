"""Hooks that make the tensor they were given another one, in place: as good as returning it, as in transformer_lens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny_models import Arrays
from transformer_lens_go._engine import arrays

torch = arrays.torch
RESID, PATTERN = "blocks.1.hook_resid_pre", "blocks.1.attn.hook_pattern"

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.skipif(torch is None, reason="only tensors become others in place")


def data(value: Any) -> None:
    value.data = torch.full_like(value, 0.5)


def transposed_data(value: Any) -> None:
    value.data = value.data.transpose(-1, -2)


def set_to(value: Any) -> None:
    value.set_(torch.full(tuple(value.shape), 0.5))


def transpose(value: Any) -> None:
    value.transpose_(-1, -2)


def nothing(value: Any) -> None:
    """What is not returned."""


def itself(value: Any) -> Any:
    return value


def a_view(value: Any) -> Any:
    return value[:]


@pytest.mark.parametrize("returned", [nothing, itself, a_view])
@pytest.mark.parametrize("mode", ["no_grad", "inference_mode", "enable_grad"])
@pytest.mark.parametrize(
    ("point", "change"),
    [
        (RESID, data),
        (PATTERN, data),
        (RESID, set_to),
        (PATTERN, transpose),
        (PATTERN, transposed_data),
    ],
)
def test_a_tensor_that_became_another_counts(
    gpt2: Any,
    xp: Arrays,
    point: str,
    change: Callable[[Any], None],
    mode: str,
    returned: Callable[[Any], Any],
) -> None:
    if mode == "enable_grad":
        if change is set_to:
            pytest.skip("torch refuses set_ where gradients are on")
        gpt2.requires_grad_(True)

    def changing(value: Any, hook: Any) -> Any:
        change(value)
        return returned(value)

    def returning(value: Any, hook: Any) -> Any:
        if change in (data, set_to):
            return torch.full_like(value, 0.5)
        return value.transpose(-1, -2).clone()

    ids, seen = xp.ids(), []

    def see(value: Any, hook: Any) -> None:
        seen.append(value.detach().clone())

    with getattr(torch, mode)():
        want = gpt2.run_with_hooks(ids, fwd_hooks=[(point, returning), (point, see)])
        got = gpt2.run_with_hooks(ids, fwd_hooks=[(point, changing), (point, see)])
        plain = gpt2(ids)
    assert xp.same(*seen)
    assert xp.same(got, want)
    assert not xp.same(got, plain)
    if mode == "enable_grad":
        assert got.requires_grad
