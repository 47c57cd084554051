"""What stands in the place of a hook point's name: the point itself, other modules, names that are not there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import HookedRootModule, HookPoint, TransformerBridge

from ..reference import DATA, to_library

TEXT = "the dog sat on the log"
ONE = to_library(np.ones((1, 2), dtype="float32"))


@pytest.fixture
def m() -> Any:
    return TransformerBridge.boot_transformers(DATA / "gpt2")


class Own(HookedRootModule):
    def __init__(self) -> None:
        super().__init__()
        self.hook_one, self.hook_two = HookPoint(), HookPoint()
        self.setup()

    def forward(self, x: Any) -> Any:
        return self.hook_two(self.hook_one(x) + 1)


def test_fault_U10_a_point_in_the_place_of_its_name_is_that_point(m: Any) -> None:
    called: list[str] = []

    def note(value: Any, hook: Any) -> None:
        called.append(hook.name)

    point = m.hook_dict["hook_embed"]
    m.run_with_hooks(TEXT, fwd_hooks=[(point, note)])
    with m.hooks(fwd_hooks=[(point, note)]):
        m(TEXT)
    m.add_hook(point, note)
    assert list(m.list_hooks(point)) == list(m.list_hooks([point])) == list(m.list_hooks())
    m(TEXT)
    m.reset_hooks()
    assert len(called) == 3
    want = set(m.run_with_cache(TEXT, names_filter="hook_embed")[1])
    assert set(m.run_with_cache(TEXT, names_filter=point)[1]) == want
    assert set(m.run_with_cache(TEXT, names_filter=[point])[1]) == want
    kept = m.add_caching_hooks(point)
    m(TEXT)
    assert set(kept) == want


def test_fault_U10_a_point_of_an_own_module_likewise() -> None:
    own, called = Own(), []

    def note(tensor: Any, hook: Any) -> None:
        called.append(hook.name)

    own.run_with_hooks(ONE, fwd_hooks=[(own.hook_one, note)])
    own.add_hook(own.hook_two, note)
    own(ONE)
    assert called == ["hook_one", "hook_two"]
    assert set(own.run_with_cache(ONE, names_filter=own.hook_one)[1]) == {"hook_one"}
    assert set(own.run_with_cache(ONE, names_filter=[own.hook_one])[1]) == {"hook_one"}


def test_fault_U10_a_module_that_is_no_point_of_the_model_is_refused(m: Any) -> None:
    def note(value: Any, hook: Any) -> None:
        raise AssertionError("called")

    other = TransformerBridge.boot_transformers(DATA / "gpt2").hook_dict["hook_embed"]
    for place in (other, m.blocks[0].attn, Own().hook_one):
        says = f"{place.name!r}, which is no hook point of this model"
        for call in (
            lambda: m.run_with_hooks(TEXT, fwd_hooks=[(place, note)]),  # noqa: B023
            lambda: m.add_hook(place, note),  # noqa: B023
            lambda: m.run_with_cache(TEXT, names_filter=place),  # noqa: B023
            lambda: m.run_with_cache(TEXT, names_filter=["hook_embed", place]),  # noqa: B023
            lambda: m.get_caching_hooks(place),  # noqa: B023
            lambda: m.list_hooks(place),  # noqa: B023
            lambda: Own().add_hook(place, note),  # noqa: B023
        ):
            with pytest.raises(ValueError, match=says.replace("[", r"\[")):
                call()


def test_fault_U6_a_name_of_a_list_that_is_not_there_is_warned_of(m: Any) -> None:
    names = ["hook_embed", "blocks.0.hook_resid_preX"]
    says = "called 'blocks.0.hook_resid_preX', .*Did you mean 'blocks.0.hook_resid_pre'"
    with pytest.warns(UserWarning, match=says) as told:
        _, cache = m.run_with_cache(TEXT, names_filter=names)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert "hook_embed" in cache
    for call in (m.get_caching_hooks, m.add_caching_hooks):
        with pytest.warns(UserWarning, match=says) as told:
            call(names)
        assert len(told) == 1
    with pytest.warns(UserWarning, match="called 'hook_onX', .*Did you mean 'hook_one'") as told:
        Own().run_with_cache(ONE, names_filter=["hook_one", "hook_onX"])
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.run_with_cache(TEXT, names_filter=["hook_embed", "blocks.0.hook_resid_pre"])
