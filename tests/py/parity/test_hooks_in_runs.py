"""What hooks do inside a run: raise, call the model, change hooks, stop, start, cache: compared with the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import outcome
from .test_hooks_semantics import IDS, RESID, Body, Hook, check_body, logger, plus, times


def caching_hooks_kept(m: Any) -> Any:
    first = m.run_with_cache(IDS, names_filter="hook_embed", reset_hooks_end=False)[1]
    count = len(m.hook_dict["hook_embed"].fwd_hooks)
    m(tiny.random_tokens(12, (1, 3)))
    return count, {name: tuple(value.shape) for name, value in first.items()}


def exception_cleans_up(m: Any) -> Any:
    def fail(value: torch.Tensor, hook: Any) -> None:
        raise ZeroDivisionError("from a hook")

    caught = outcome(lambda: m.run_with_hooks(IDS, fwd_hooks=[(RESID, fail)]))
    with_cache = outcome(lambda: _cache_under(m, fail))
    return [
        type(caught.error).__name__,
        str(caught.error),
        type(with_cache.error).__name__,
        m.context_level,
        m.list_hooks(),
        m(IDS),
    ]


def _cache_under(m: Any, hook: Hook) -> Any:
    with m.hooks(fwd_hooks=[(RESID, hook)]):
        return m.run_with_cache(IDS)


def hooks_call_the_model(m: Any) -> Any:
    inner: list[Any] = []

    def again(value: torch.Tensor, hook: Any) -> torch.Tensor:
        if not inner:
            inner.append(None)
            inner[0] = m(IDS[:1, :3])
        return value + 1.0

    return m.run_with_hooks(IDS, fwd_hooks=[(RESID, again)]), inner


def hooks_change_hooks(m: Any) -> Any:
    log: list[Any] = []

    def add_one(value: torch.Tensor, hook: Any) -> None:
        log.append("adds")
        m.add_hook("blocks.1.hook_resid_post", logger(log, "added"))

    m.add_hook(RESID, add_one)
    m(IDS)
    m.reset_hooks()
    m(IDS)
    return log


def hook_removes_itself(m: Any) -> Any:
    log: list[Any] = []

    def once(value: torch.Tensor, hook: Any) -> torch.Tensor:
        log.append(hook.name)
        hook.remove_hooks()
        return value * 0.5

    m.add_hook(RESID, once)
    return m(IDS), m(IDS), log


def no_batch_in_hooks(m: Any) -> Any:
    shapes: list[Any] = []

    def halve(value: torch.Tensor, hook: Any) -> torch.Tensor:
        shapes.append((hook.name, tuple(value.shape)))
        return value * 0.5

    names = ["hook_embed", RESID, "blocks.1.attn.hook_pattern"]
    hooks = [(n, halve) for n in names]
    one = m.run_with_hooks(IDS[:1], fwd_hooks=hooks, remove_batch_dim=True)
    two = m.run_with_hooks(IDS, fwd_hooks=hooks, remove_batch_dim=True)
    return one, two, shapes


def stop_leaves_hooks_out(m: Any) -> Any:
    log: list[Any] = []
    everything = [(lambda n: "resid" in n or "embed" in n, logger(log))]
    out = m.run_with_hooks(IDS, fwd_hooks=everything, stop_at_layer=1)
    return out, log


def stop_with_a_hook_at_the_stop(m: Any) -> Any:
    out = m.run_with_hooks(IDS, fwd_hooks=[("blocks.1.hook_in", plus(1.0))], stop_at_layer=1)
    m.add_hook("blocks.1.hook_in", plus(1.0))
    return out, m(IDS, stop_at_layer=1), m.run_with_cache(IDS, stop_at_layer=1)[0]


def start_leaves_hooks_out(m: Any) -> Any:
    log: list[Any] = []
    residual = m.run_with_cache(IDS)[1]["resid_pre", 1]
    out = m.run_with_hooks(residual, fwd_hooks=[(lambda n: True, logger(log))], start_at_layer=1)
    return out, log


def patched_from_another_run(m: Any) -> Any:
    other = m.run_with_cache(tiny.random_tokens(13, (2, 6)))[1]

    def patch(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value[:, 3] = other[hook.name][:, 3]
        return value

    return [
        m.run_with_hooks(IDS, fwd_hooks=[(f"blocks.{i}.hook_resid_pre", patch)]) for i in (0, 1)
    ]


def returned_the_same_tensor(m: Any) -> Any:
    def change(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value[:, 0] = 0.0
        return value

    return m.run_with_hooks(IDS, fwd_hooks=[("blocks.1.attn.hook_z", change)])


def prepended_edits_first(m: Any) -> Any:
    point = m.hook_dict[RESID]
    point.add_hook(plus(1.0))
    point.add_hook(times(3.0), prepend=True)
    return m(IDS)


def cached_sees_edits_made_before(m: Any) -> Any:
    m.add_hook(RESID, times(2.0))
    return m.run_with_cache(IDS, names_filter=[RESID, "blocks.1.hook_in"])


def get_caching_hooks(m: Any) -> Any:
    cache, fwd, bwd = m.get_caching_hooks(["hook_embed", RESID])
    m.run_with_hooks(IDS, fwd_hooks=fwd)
    return cache, [name for name, _ in fwd], bwd


def add_caching_hooks(m: Any) -> Any:
    cache = m.add_caching_hooks(lambda n: "resid_mid" in n)
    m(IDS)
    return cache


def cached_values_are_detached(m: Any) -> Any:
    with torch.enable_grad():
        cache = m.run_with_cache(IDS, names_filter="hook_embed")[1]
    return [value.requires_grad for value in cache.values()]


BODIES: list[Body] = [
    exception_cleans_up,
    hooks_call_the_model,
    hooks_change_hooks,
    hook_removes_itself,
    no_batch_in_hooks,
    stop_leaves_hooks_out,
    stop_with_a_hook_at_the_stop,
    start_leaves_hooks_out,
    patched_from_another_run,
    returned_the_same_tensor,
    prepended_edits_first,
    cached_sees_edits_made_before,
    get_caching_hooks,
    add_caching_hooks,
    cached_values_are_detached,
    caching_hooks_kept,
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_hooks_in_runs(kind: str, body: Body, pair: Callable[[str], libs.Pair]) -> None:
    check_body(pair(kind), body)
