"""In which order hooks run, what they see, how long they live: compared with the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import Mismatch, check_same

IDS = tiny.random_tokens(11, (2, 6))
RESID = "blocks.0.hook_resid_post"
Hook = Callable[..., Any]
Body = Callable[[Any], Any]


def logger(log: list[Any], label: str = "x") -> Hook:
    """A hook that notes who called it and returns nothing."""

    def hook_function(value: torch.Tensor, hook: Any) -> None:
        log.append((label, hook.name, tuple(value.shape)))

    return hook_function


def times(factor: float) -> Hook:
    return lambda value, hook: value * factor


def plus(term: float) -> Hook:
    return lambda value, hook: value + term


def order_of_kinds(m: Any) -> Any:
    log: list[Any] = []
    point = m.hook_dict[RESID]
    m.add_hook(RESID, logger(log, "first"))
    m.add_perma_hook(RESID, logger(log, "perma"))
    point.add_hook(logger(log, "prepended"), prepend=True)
    with m.hooks(fwd_hooks=[(RESID, logger(log, "context"))]):
        m.run_with_hooks(IDS, fwd_hooks=[(RESID, logger(log, "run"))])
    point.add_hook(logger(log, "prepended later"), prepend=True)
    m(IDS)
    return log


def later_hooks_see_edits(m: Any) -> Any:
    seen: list[Any] = []
    hooks = [
        (RESID, times(2.0)),
        (RESID, lambda v, hook: seen.append(v.clone())),
        (RESID, plus(1.0)),
        (RESID, lambda v, hook: seen.append(v.clone())),
    ]
    return m.run_with_hooks(IDS, fwd_hooks=hooks), seen


def alias_and_canonical_share_a_queue(m: Any) -> Any:
    log: list[Any] = []
    names = ["blocks.0.hook_out", RESID, "blocks.0.hook_out"]
    m.run_with_hooks(IDS, fwd_hooks=[(n, logger(log, str(i))) for i, n in enumerate(names)])
    return log


def predicates(m: Any) -> Any:
    log: list[Any] = []
    asked: list[str] = []

    def wanted(name: str) -> bool:
        asked.append(name)
        return name.endswith(("hook_z", "hook_resid_pre", "ln1.hook_scale"))

    m.run_with_hooks(IDS, fwd_hooks=[(wanted, logger(log))])
    return log, asked


def predicate_matching_both_names(m: Any) -> Any:
    log: list[Any] = []
    names = ("blocks.1.hook_out", "blocks.1.hook_resid_post")
    m.run_with_hooks(IDS, fwd_hooks=[(lambda n: n in names, logger(log))])
    return log


def predicate_matching_all(m: Any) -> Any:
    log: list[Any] = []
    m.run_with_hooks(IDS, fwd_hooks=[(lambda n: True, logger(log))])
    return log


def permanence(m: Any) -> Any:
    log: list[Any] = []
    m.add_hook(RESID, logger(log, "plain"))
    m.add_perma_hook(RESID, logger(log, "perma"))
    m.add_hook(RESID, logger(log, "is_permanent"), is_permanent=True)
    m.reset_hooks()
    m(IDS)
    log.append("reset all")
    m.reset_hooks(including_permanent=True)
    m(IDS)
    return log


def removal(m: Any) -> Any:
    log: list[Any] = []
    point = m.hook_dict[RESID]
    point.add_hook(logger(log, "level 2"), level=2)
    point.add_hook(logger(log, "level 3"), level=3)
    point.add_hook(logger(log, "no level"))
    m.remove_all_hook_fns(level=2)
    m(IDS)
    m.reset_hooks(level=3)
    m(IDS)
    m.remove_all_hook_fns("bwd")
    m(IDS)
    m.remove_all_hook_fns("fwd")
    m(IDS)
    return log


def point_methods(m: Any) -> Any:
    point = m.hook_dict[RESID]
    facts = [point.has_hooks(), len(point.fwd_hooks), point.layer(), point.name]
    handle = point.add_hook(plus(0.0))
    point.add_perma_hook(plus(0.0))
    facts += [handle.is_permanent, handle.context_level, callable(handle.user_hook)]
    facts += [point.has_hooks(), point.has_hooks("bwd"), point.has_hooks(level=3)]
    facts += [[h.is_permanent for h in point.fwd_hooks], len(point.bwd_hooks)]
    facts.append(point.has_hooks(including_permanent=False))
    point.remove_hooks()
    facts += [len(point.fwd_hooks), point.has_hooks(including_permanent=False)]
    point.remove_hooks(including_permanent=True)
    return facts + [len(point.fwd_hooks), point.has_hooks()]


def handle_removed_by_hand(m: Any) -> Any:
    log: list[Any] = []
    handle = m.hook_dict[RESID].add_hook(logger(log))
    m(IDS)
    handle.hook.remove()
    m(IDS)
    return log


def list_hooks(m: Any) -> Any:
    def shown(**options: Any) -> Any:
        found = m.list_hooks(**options)
        return {name: [h.is_permanent for h in handles] for name, handles in found.items()}

    m.add_hook(RESID, plus(0.0))
    m.add_perma_hook("hook_embed", plus(0.0))
    m.add_hook("blocks.1.attn.q.hook_out", plus(0.0))
    return [
        shown(),
        shown(name_filter=RESID),
        shown(name_filter=["hook_embed", "nonsense"]),
        shown(name_filter=lambda n: "attn" in n),
        shown(including_permanent=False),
        shown(dir="bwd"),
    ]


def contexts(m: Any) -> Any:
    def remember(value: torch.Tensor, hook: Any) -> None:
        hook.ctx["n"] = hook.ctx.get("n", 0) + 1

    point = m.hook_dict[RESID]
    facts = []
    m.run_with_hooks(IDS, fwd_hooks=[(RESID, remember)])
    facts.append(dict(point.ctx))
    m.run_with_hooks(IDS, fwd_hooks=[(RESID, remember)], clear_contexts=True)
    facts.append(dict(point.ctx))
    with m.hooks(fwd_hooks=[(RESID, remember)]):
        m(IDS)
    facts.append(dict(point.ctx))
    m.reset_hooks(clear_contexts=False)
    facts.append(dict(point.ctx))
    m.reset_hooks()
    facts.append(dict(point.ctx))
    point.ctx["a"] = 1
    m.clear_contexts()
    return facts + [dict(point.ctx)]


def levels(m: Any) -> Any:
    seen = [m.context_level]

    def inner(value: torch.Tensor, hook: Any) -> None:
        mine = [h.context_level for h in hook.fwd_hooks if h.user_hook is inner]
        seen.append((m.context_level, mine))

    m.add_hook(RESID, inner)
    with m.hooks(fwd_hooks=[(RESID, inner)]):
        seen.append(m.context_level)
        m.run_with_hooks(IDS, fwd_hooks=[(RESID, inner)])
        with m.hooks(fwd_hooks=[("hook_embed", inner)]):
            m.run_with_cache(IDS)
    return seen + [m.context_level]


def kept_after_the_run(m: Any) -> Any:
    log: list[Any] = []
    m.run_with_hooks(IDS, fwd_hooks=[(RESID, logger(log, "a"))], reset_hooks_end=False)
    m(IDS)
    with m.hooks(fwd_hooks=[(RESID, logger(log, "b"))], reset_hooks_end=False):
        m(IDS)
    m(IDS)
    m.reset_hooks()
    m(IDS)
    return log


def an_outer_hook_survives_an_inner_run(m: Any) -> Any:
    log: list[Any] = []
    m.add_hook(RESID, logger(log, "outer"))
    m.run_with_hooks(IDS, fwd_hooks=[(RESID, logger(log, "inner"))])
    m.run_with_cache(IDS, names_filter=RESID)
    m(IDS)
    return log


def add_hook_with_a_predicate(m: Any) -> Any:
    log: list[Any] = []
    m.add_hook(lambda n: n.endswith("hook_mlp_out"), logger(log))
    m(IDS)
    return log


BODIES: list[Body] = [
    order_of_kinds,
    later_hooks_see_edits,
    alias_and_canonical_share_a_queue,
    predicates,
    predicate_matching_both_names,
    predicate_matching_all,
    permanence,
    removal,
    point_methods,
    handle_removed_by_hand,
    list_hooks,
    contexts,
    levels,
    kept_after_the_run,
    an_outer_hook_survives_an_inner_run,
    add_hook_with_a_predicate,
]


def check_body(models: libs.Pair, body: Body) -> None:
    """Compare, and leave both models without hooks whatever came of it."""
    try:
        print(f"{body.__name__}: {models.same(body, body.__name__)}")
    finally:
        for model in (models.subject, models.reference):
            model.reset_hooks(including_permanent=True)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_hooks(kind: str, body: Body, pair: Callable[[str], libs.Pair]) -> None:
    check_body(pair(kind), body)


def test_the_comparison_notices_order(pair: Callable[[str], libs.Pair]) -> None:
    model = pair("gpt2").reference
    log = order_of_kinds(model)
    model.reset_hooks(including_permanent=True)
    with pytest.raises(Mismatch):
        check_same(log[::-1], log)
