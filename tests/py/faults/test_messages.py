"""What errors about hooks and caches say: the user's words, what was given, what is there."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import ActivationCache, HookedRootModule, HookPoint, TransformerBridge

from ..reference import DATA, to_numpy, uses_torch
from ..reference import model as stored

TEXT = "the dog sat on the log"
NAME = "blocks.0.attn.hook_z"


@pytest.fixture
def m() -> Any:
    return TransformerBridge.boot_transformers(DATA / "gpt2")


# the names of hook points


def wrong(value: Any, hook: Any) -> Any:
    return value[..., :3]


def test_fault_U4_an_error_says_the_name_that_the_user_wrote(m: Any) -> None:
    said = r"the hook at blocks\.0\.attn\.hook_z \(blocks\.0\.attn\.o\.hook_in\) returned shape"
    with pytest.raises(RuntimeError, match=said):
        m.run_with_hooks(TEXT, fwd_hooks=[(NAME, wrong)])
    with pytest.raises(RuntimeError, match=said):
        m.run_with_hooks(TEXT, fwd_hooks=[(lambda name: name == NAME, wrong)])
    with pytest.raises(RuntimeError, match=said), m.hooks(fwd_hooks=[(NAME, wrong)]):
        m(TEXT)
    with pytest.raises(TypeError, match=r"the hook at blocks\.0\.attn\.hook_z .*returned str"):
        m.run_with_hooks(TEXT, fwd_hooks=[(NAME, lambda value, hook: "no")])
    m.add_hook(NAME, wrong)
    with pytest.raises(RuntimeError, match=said):
        m(TEXT)
    m.reset_hooks()
    with pytest.raises(RuntimeError, match=r"the hook at blocks\.0\.attn\.o\.hook_in returned"):
        m.run_with_hooks(TEXT, fwd_hooks=[("blocks.0.attn.o.hook_in", wrong)])


# the form of hooks


class Own(HookedRootModule):
    def __init__(self) -> None:
        super().__init__()
        self.point = HookPoint()
        self.setup()

    def forward(self, x: Any) -> Any:
        return self.point(x)


def double(value: Any, hook: Any) -> Any:
    return value * 2


@pytest.mark.parametrize("own", [False, True])
def test_fault_U10_hooks_in_another_form_say_the_form(m: Any, own: bool) -> None:
    subject, name, given = (Own(), "point", np.ones(3)) if own else (m, NAME, TEXT)
    if own and uses_torch():
        import torch

        given = torch.ones(3)
    form = r"fwd_hooks is a list of pairs \(name, f\), where f\(value, hook\)"
    for hooks, says in (
        ({name: double}, "got a dict: pass list"),
        ((name, double), "put the one pair in a list"),
        ([(double, name)], rf"'{name}' in the place of the function: the name comes first"),
        ([(name, double, 1)], "in the place of a pair"),
        ([double], "in the place of a pair"),
        ([name], "in the place of a pair"),
        (name, f"got '{name}'"),
        (double, "got <function double"),
        ([(name, None)], "None in the place of the function"),
    ):
        for error in (TypeError, ValueError):
            with pytest.raises(error, match=f"{form}.*{says}"):
                subject.run_with_hooks(given, fwd_hooks=hooks)
        with pytest.raises(TypeError, match=form), subject.hooks(fwd_hooks=hooks):
            pass
    with pytest.raises(TypeError, match="bwd_hooks is a list"):
        subject.run_with_hooks(given, bwd_hooks={name: double})
    with pytest.raises(TypeError, match="expected a hook name or a predicate on names, got 3"):
        subject.run_with_hooks(given, fwd_hooks=[(3, double)])
    subject.run_with_hooks(given, fwd_hooks=[[name, double]])


@pytest.mark.parametrize("own", [False, True])
def test_fault_U10_a_hook_without_hook_says_how_it_is_called(m: Any, own: bool) -> None:
    subject, name = (Own(), "point") if own else (m, NAME)
    point = subject.hook_dict[name]
    says = r"called as f\(value, hook=point\), and .*<lambda>\(z\) has no parameter 'hook'"
    with pytest.raises(TypeError, match=says):
        point.add_hook(lambda z: z)
    with pytest.raises(TypeError, match=says), subject.hooks(fwd_hooks=[(name, lambda z: z)]):
        pass
    with pytest.raises(TypeError, match="no parameter 'hook'"):
        point.add_hook(lambda z, hook, /: z)
    assert not point.fwd_hooks
    for fits in (lambda z, hook: z, lambda z, *, hook: z, lambda z, **options: z, double):
        point.add_hook(fits)
    point.remove_hooks()


# names that a cache has not


def test_fault_U6_a_name_that_is_not_there_is_explained(m: Any) -> None:
    _, cache = m.run_with_cache(TEXT)
    for key, error, says in (
        ("nonsense", KeyError, "hook_nonsense.* is not in this cache, and no name of the model"),
        ("blocks.0.attn.hok_z", KeyError, r"Did you mean .*blocks\.0\.attn\.hook_z"),
        (("reside_pre", 0), KeyError, r"Did you mean .*blocks\.0\.hook_resid_pre"),
        (("resid_pre", 99), KeyError, "no layer 99, the model has layers 0 to 1"),
        (("resid_pre", -9), KeyError, "no layer -7, the model has layers 0 to 1"),
        (("result", 0), KeyError, r"use_attn_result was off. Call set_use_attn_result\(True\)"),
        (5, TypeError, r"short name with its layer \(.*; got 5"),
        (("z", "0"), TypeError, "got \\('z', '0'\\)"),
        ((), TypeError, "got \\(\\)"),
    ):
        with pytest.raises(error, match=says):
            cache[key]


def test_fault_U6_a_name_that_the_filter_left_out_is_said_to_be(m: Any) -> None:
    _, cache = m.run_with_cache(TEXT, names_filter="blocks.0.hook_resid_post")
    with pytest.raises(KeyError, match=r"has 2 of the model's \d+ names: names_filter.* left it"):
        cache["z", 0]
    _, cache = m.run_with_cache(TEXT, stop_at_layer=1)
    with pytest.raises(KeyError, match="stop_at_layer left it out"):
        cache["resid_post", 1]
    bare = ActivationCache({"mine": cache["embed"]}, None)
    with pytest.raises(KeyError, match="'hook_mone' is not in this cache"):
        bare["mone"]


# copies of caches


def test_fault_U8_a_cache_can_be_copied() -> None:
    m = stored("llama")
    _, cache = m.run_with_cache(TEXT)
    cache.remove_batch_dim()
    shallow, deep = copy.copy(cache), copy.deepcopy(cache)
    assert shallow.cache_dict is cache.cache_dict
    assert shallow.model is deep.model is m
    assert list(deep) == list(cache)
    assert not deep.has_batch_dim
    before = to_numpy(cache["resid_post", -1]).copy()
    deep["resid_post", -1][:] = 0
    assert np.array_equal(to_numpy(cache["resid_post", -1]), before)
    assert deep["blocks.0.hook_in"] is deep["resid_pre", 0], "two names of one value"
    assert deep.decompose_resid().shape == cache.decompose_resid().shape


def _saved(cache: Any) -> Any:
    import torch

    file = io.BytesIO()
    torch.save(cache, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_fault_U8_a_cache_can_be_pickled_and_saved() -> None:
    m = stored("llama")
    _, cache = m.run_with_cache(TEXT)
    ways = [lambda c: pickle.loads(pickle.dumps(c))]
    for way in [*ways, _saved] if uses_torch() else ways:
        again = way(cache)
        assert cache.model is m
        assert again.model is None
        assert list(again) == list(cache)
        for name in cache:
            assert np.array_equal(to_numpy(again[name]), to_numpy(cache[name])), name
        assert again["resid_post", -1] is again["blocks.1.hook_resid_post"]
        with pytest.raises(AttributeError, match=rf"\({m.cfg.model_name}\).*cache.model is None"):
            again.decompose_resid()
        with pytest.raises(KeyError, match="no layer 99, the model has layers 0 to 1"):
            again["resid_post", 99]
        twice = way(again)
        with pytest.raises(AttributeError, match=rf"\({m.cfg.model_name}\)"):
            twice.decompose_resid()
        again.model = m
        whole = to_numpy(cache.decompose_resid(apply_ln=True))
        assert np.array_equal(to_numpy(again.decompose_resid(apply_ln=True)), whole)
