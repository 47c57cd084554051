"""What a HookedRootModule of a user's own does, case by case: the same code for either library.

Each case takes a Lab and returns values that `own_modules.plain` can write down. tests/py/parity runs them on both
libraries; tests/py/test_own_modules.py against data/own_modules.json, which transformer_lens gave.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from own_modules import Lab, attempt

Case = Callable[[Lab], Any]
CASES: dict[str, Case] = {}

Q = "blocks.0.attn.hook_q"
PATTERN = "blocks.1.attn.hook_pattern"
RESID = "blocks.0.hook_resid_post"


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def noting(log: list[Any], label: Any = None) -> Callable[..., None]:
    """A hook that notes its label and where it is."""

    def hook_function(value: Any, hook: Any) -> None:
        log.append([label, hook.name, list(value.shape)])

    return hook_function


def times(factor: float) -> Callable[..., Any]:
    return lambda value, hook: value * factor


def summary(net: Any) -> dict[str, Any]:
    """Which hooks there are, with their levels and permanence."""
    return {
        name: [[h.is_permanent, h.context_level] for h in handles]
        for name, handles in net.list_hooks().items()
    }


# names and setup


@case
def names(lab: Lab) -> Any:
    net = lab.net()
    points = net.hook_points()
    return [
        list(net.hook_dict),
        list(net.mod_dict),
        [part.name for part in net.mod_dict.values()],
        [point is net.hook_dict[name] for name, point in zip(net.hook_dict, points, strict=True)],
        [net.context_level, net.is_caching],
        repr(net.hook_dict[Q]),
    ]


@case
def values(lab: Lab) -> Any:
    net = lab.net()
    return [net(lab.ids()), net(lab.ids(), scale=2.0), net(lab.ids(1), return_type="loss")]


@case
def setup_is_missing(lab: Lab) -> Any:
    class Bare(lab.root):
        def __init__(self) -> None:
            super().__init__("ignored", 1)
            self.hook = lab.points.HookPoint()

        def forward(self, x: Any) -> Any:
            return self.hook(x)

    bare, x, log = Bare(), lab.array([[1.0, 2.0]]), []
    facts = [bare(x), bare.hook.name]
    bare.hook.add_hook(lambda value, hook: value * 3)
    facts += [
        bare(x),
        attempt(lambda: bare.hook_dict),
        attempt(lambda: bare.add_hook("hook", noting(log))),
        attempt(lambda: bare.run_with_cache(x)),
        attempt(lambda: bare.reset_hooks()),
    ]
    bare.setup()
    return facts + [bare.run_with_cache(x)]


@case
def setup_again_after_a_replacement(lab: Lab) -> Any:
    net, log = lab.net(), []
    old = net.blocks[0].hook_resid_post
    old.add_hook(noting(log, "old"))
    net.blocks[0].hook_resid_post = lab.points.HookPoint()
    facts = [net.hook_dict[RESID] is old]
    net(lab.ids())
    net.setup()
    facts.append(net.hook_dict[RESID] is old)
    net.run_with_hooks(lab.ids(), fwd_hooks=[(RESID, noting(log, "new"))])
    net.new_point = lab.points.HookPoint()
    net.setup()
    return facts + [log, list(net.hook_dict)[-1], net.new_point.name]


@case
def one_point_under_two_names(lab: Lab) -> Any:
    class Twice(lab.root):
        def __init__(self) -> None:
            super().__init__()
            self.first = lab.points.HookPoint()
            self.second = self.first
            self.setup()

        def forward(self, x: Any) -> Any:
            return self.second(self.first(x) + 1)

    net, log = Twice(), []
    x = lab.array([[1.0, 2.0]])
    net.run_with_hooks(x, fwd_hooks=[("first", noting(log))])
    unknown = attempt(lambda: net.run_with_hooks(x, fwd_hooks=[("second", noting(log))]))
    return [list(net.hook_dict), log, unknown, net.run_with_cache(x)]


@case
def a_root_inside_a_root(lab: Lab) -> Any:
    class Outer(lab.root):
        def __init__(self) -> None:
            super().__init__()
            self.net = lab.net(layers=1)
            self.hook_out = lab.points.HookPoint()
            self.setup()

        def forward(self, ids: Any) -> Any:
            return self.hook_out(self.net(ids))

    outer, log = Outer(), []
    named = [list(outer.hook_dict), list(outer.net.hook_dict), outer.net.hook_dict[Q].name]
    hooks = [("net." + Q, noting(log, "outer"))]
    outer.run_with_hooks(lab.ids(), fwd_hooks=hooks)
    outer.net.run_with_hooks(lab.ids(), fwd_hooks=[(Q, noting(log, "inner"))])
    return [
        *named,
        log,
        list(outer.net.run_with_cache(lab.ids())[1]),
        attempt(lambda: outer.run_with_hooks(lab.ids(), fwd_hooks=[("net", noting(log))])),
        attempt(lambda: outer.add_hook("net", noting(log))),
        summary(outer),
    ]


# order and edits


@case
def order(lab: Lab) -> Any:
    net, log = lab.net(), []
    point = net.hook_dict[RESID]
    net.add_hook(RESID, noting(log, "first"))
    net.add_perma_hook(RESID, noting(log, "permanent"))
    point.add_hook(noting(log, "prepended"), prepend=True)
    with net.hooks(fwd_hooks=[(RESID, noting(log, "context"))]):
        net.run_with_hooks(lab.ids(), fwd_hooks=[(RESID, noting(log, "run"))])
    net.add_hook(RESID, noting(log, "prepended later"), prepend=True)
    net(lab.ids())
    return [log, summary(net)]


@case
def edits(lab: Lab) -> Any:
    net, seen = lab.net(), []

    def in_place(value: Any, hook: Any) -> None:
        value[:, 1] = 0

    results = []
    for name in (
        "hook_embed",
        "hook_embed.inner",
        Q,
        PATTERN,
        "blocks.1.mlp_hooks.post",
        "extra.1",
    ):
        hooks = [
            (name, times(2.0)),
            (name, lambda value, hook: seen.append(value + 0)),
            (name, in_place),
            (name, lambda value, hook: value + 1.0),
            (name, lambda value, hook: seen.append(value + 0)),
        ]
        results.append(net.run_with_hooks(lab.ids(), fwd_hooks=hooks))
    return [results, seen]


@case
def predicates(lab: Lab) -> Any:
    net, log, asked = lab.net(), [], []

    def wanted(name: str) -> bool:
        asked.append(name)
        return "attn" in name

    net.run_with_hooks(lab.ids(), fwd_hooks=[(wanted, noting(log))])
    net.add_hook(lambda name: name.endswith("post"), noting(log, "stays"))
    net(lab.ids())
    return [asked, log, summary(net)]


@case
def hooks_that_change_hooks(lab: Lab) -> Any:
    net, log = lab.net(), []
    point = net.hook_dict[RESID]

    def adding(value: Any, hook: Any) -> None:
        log.append("adding")
        hook.add_hook(noting(log, "added"))
        second.hook.remove()
        net.add_hook(PATTERN, noting(log, "further on"))

    point.add_hook(adding)
    second = point.add_hook(noting(log, "second"))
    net(lab.ids())
    log.append("again")
    net(lab.ids())
    return log


@case
def a_point_by_itself(lab: Lab) -> Any:
    point, log = lab.points.HookPoint(), []
    x = lab.array([1.0, -2.0])
    facts = [point(x), point.forward(x), point.name, point.ctx, point.pos_dim]
    facts += [point.hook_conversion, point.backward_scale, attempt(point.layer)]
    point.add_hook(noting(log))
    point.add_hook(times(2.0))
    facts += [point(x), point.forward(x), log, point("text") if not log else "", repr(point)]
    return facts


@case
def layers(lab: Lab) -> Any:
    net = lab.net()
    names = (RESID, PATTERN, "hook_embed", "hook_embed.inner", "extra.1")
    return [attempt(net.hook_dict[name].layer) for name in names]


@case
def aliases(lab: Lab) -> Any:
    net, log = lab.net(), []
    point = net.hook_dict[RESID]

    def note(value: Any, hook: Any) -> None:
        hook.ctx["seen"] = hook.ctx.get("seen", 0) + 1
        log.append([hook.name, attempt(hook.layer), hook.hook_conversion])

    def double_second(value: Any, hook: Any) -> Any:
        return value * 2 if hook.name == "second" else None

    point.add_hook(note, alias_names=["blocks.7.first", "second"])
    point.add_hook(double_second, alias_names=["first", "second"])
    out = net(lab.ids())
    return [out, log, point.ctx, len(point.fwd_hooks)]


class Shifted:
    """A conversion that shows values plus 1."""

    def convert(self, value: Any) -> Any:
        return value + 1

    def revert(self, value: Any) -> Any:
        return value - 1


@case
def conversions(lab: Lab) -> Any:
    net, seen = lab.net(), []
    point = net.hook_dict[RESID]
    point.add_hook(lambda value, hook: seen.append(value + 0))
    point.enable_reshape(Shifted())
    net(lab.ids())
    point.add_hook(times(2.0))
    edited = net(lab.ids())
    point.enable_reshape()
    return [seen, edited, net(lab.ids()), point.hook_conversion]


# levels, permanence, contexts, removal


@case
def levels(lab: Lab) -> Any:
    net, facts = lab.net(), []
    net.add_hook(RESID, times(1.0))
    net.add_hook(RESID, times(1.0), level=1)
    net.add_hook(RESID, times(1.0), level=1, is_permanent=True)
    net.add_hook(RESID, times(1.0), level=-1)
    with net.hooks(fwd_hooks=[(RESID, times(1.0))]):
        facts.append(net.context_level)
        with net.hooks(fwd_hooks=[(PATTERN, times(1.0))], reset_hooks_end=False):
            facts += [net.context_level, summary(net)]
        net.add_hook(Q, times(1.0))
    facts += [net.context_level, summary(net)]
    net.remove_all_hook_fns(level=-1)
    facts.append(summary(net))
    net.reset_hooks(level=2)
    facts.append(summary(net))
    with net.hooks():
        facts.append(net.context_level)
    return facts


@case
def permanence(lab: Lab) -> Any:
    net, facts = lab.net(), []
    net.add_hook(RESID, times(1.0), is_permanent=True)
    net.add_perma_hook(lambda name: "attn" in name, times(1.0))
    net.hook_dict[Q].add_perma_hook(times(1.0))
    net.add_hook(Q, times(1.0))
    facts.append(summary(net))
    net.reset_hooks()
    facts.append(summary(net))
    net.remove_all_hook_fns("bwd", including_permanent=True)
    facts.append(len(summary(net)))
    net.remove_all_hook_fns("fwd", including_permanent=True)
    return facts + [summary(net), attempt(lambda: net.remove_all_hook_fns("sideways"))]


@case
def a_handle_is_written_to(lab: Lab) -> Any:
    net, log = lab.net(), []
    handle = net.hook_dict[RESID].add_hook(noting(log, "kept"))
    other = net.hook_dict[RESID].add_hook(noting(log, "gone"))
    handle.is_permanent = True
    other.context_level = 4
    net.reset_hooks(level=4)
    net(lab.ids())
    net.reset_hooks()
    net(lab.ids())
    return [log, handle.user_hook is not None]


@case
def point_methods(lab: Lab) -> Any:
    point, facts = lab.points.HookPoint(), []
    for level in (None, 1, 2):
        point.add_hook(times(1.0), level=level)
    handle = point.add_hook(times(3.0), is_permanent=True, level=1)
    facts += [handle.is_permanent, handle.context_level, type(handle).__name__]
    facts += [point.has_hooks(), point.has_hooks("bwd"), point.has_hooks(level=3)]
    facts += [point.has_hooks("fwd", including_permanent=False, level=1), repr(point)]
    point.remove_hooks(level=1)
    facts += [[h.context_level for h in point.fwd_hooks], point(2.0)]
    point.remove_hooks("bwd", including_permanent=True)
    facts.append(len(point.fwd_hooks))
    point.remove_hooks("both")
    facts.append([h.is_permanent for h in point.fwd_hooks])
    point.remove_hooks(including_permanent=True)
    facts += [len(point.fwd_hooks), point.has_hooks(), point(2.0)]
    calls = [lambda: point.add_hook(times(1.0), dir="up"), lambda: point.remove_hooks("up")]
    return facts + [attempt(call) for call in [*calls, lambda: point.has_hooks("up")]]


@case
def a_handle_takes_its_hook_off(lab: Lab) -> Any:
    net, log = lab.net(), []
    handles = [net.hook_dict[RESID].add_hook(noting(log, label)) for label in "abc"]
    handles[1].hook.remove()
    handles[1].hook.remove()
    net(lab.ids())
    return log


@case
def contexts(lab: Lab) -> Any:
    def remember(value: Any, hook: Any) -> None:
        hook.ctx["n"] = hook.ctx.get("n", 0) + 1

    net, facts = lab.net(), []
    points = [net.hook_dict[name] for name in (RESID, PATTERN)]
    net.hook_dict[PATTERN].ctx["other"] = 1

    def look() -> None:
        facts.append([dict(point.ctx) for point in points])

    for clear in (False, True):
        net.run_with_hooks(lab.ids(), fwd_hooks=[(RESID, remember)], clear_contexts=clear)
        look()
    with net.hooks(fwd_hooks=[(RESID, remember)], reset_hooks_end=False, clear_contexts=True):
        net(lab.ids())
    look()
    net.reset_hooks(clear_contexts=False)
    look()
    net.reset_hooks()
    look()
    points[0].ctx["a"] = 1
    points[0].clear_context()
    points[1].ctx["a"] = 1
    net.clear_contexts()
    look()
    points[0].ctx["a"] = 1
    net.run_with_cache(lab.ids(), clear_contexts=True)
    look()
    return facts


@case
def list_hooks(lab: Lab) -> Any:
    net = lab.net()
    net.add_hook(RESID, times(1.0))
    net.add_perma_hook("hook_embed", times(1.0))
    net.add_hook(Q, times(1.0))

    def shown(**options: Any) -> Any:
        return {n: [h.is_permanent for h in hs] for n, hs in net.list_hooks(**options).items()}

    return [
        shown(),
        shown(name_filter=RESID),
        shown(name_filter=["hook_embed", "nonsense"]),
        shown(name_filter=("hook_embed", Q)),
        shown(name_filter=lambda name: "attn" in name),
        shown(including_permanent=False),
        shown(dir="bwd"),
        shown(dir="fwd"),
    ]


# running


@case
def hooks_may_stay(lab: Lab) -> Any:
    net, log = lab.net(), []
    out = net.run_with_hooks(
        lab.ids(), fwd_hooks=[(RESID, noting(log))], reset_hooks_end=False, scale=2.0
    )
    net(lab.ids())
    facts = [out, log, summary(net), net.context_level]
    net.reset_hooks()
    _, cache = net.run_with_cache(lab.ids(), names_filter=RESID, reset_hooks_end=False)
    before = cache[RESID]
    net(lab.ids(), scale=3.0)
    return facts + [before, cache[RESID], summary(net), net.is_caching]


@case
def errors_in_requests(lab: Lab) -> Any:
    net, log = lab.net(), []
    hook, ids = noting(log), lab.ids()
    attempts = [
        lambda: net.add_hook("nonsense", hook),
        lambda: net.add_hook("blocks.0", hook),
        lambda: net.add_hook(RESID, hook, dir="up"),
        lambda: net.run_with_hooks(ids, fwd_hooks=[("nonsense", hook)]),
        lambda: net.run_with_hooks(ids, fwd_hooks=[("blocks.0", hook)]),
        lambda: net.run_with_hooks(ids, fwd_hooks=[(3, hook)]),
        lambda: net.run_with_hooks(ids, names_filter=RESID),
        lambda: net.run_with_cache(ids, names_filter=3),
        lambda: net.run_with_cache(ids, names_filter=(RESID,)),
        lambda: net.run_with_cache(ids, pos_slice=1.5),
        lambda: net.run_with_cache(ids, unknown=1),
        lambda: net.add_caching_hooks(3),
        lambda: net.add_caching_hooks((RESID,)),
        lambda: net.get_caching_hooks({}),
        lambda: net.add_hook(3, hook),
    ]
    return [[attempt(call), summary(net), net.context_level] for call in attempts]


@case
def hooks_that_raise(lab: Lab) -> Any:
    net, log = lab.net(), []

    def raising(value: Any, hook: Any) -> None:
        raise ZeroDivisionError(hook.name)

    clean = net(lab.ids())
    facts = [
        attempt(lambda: net.run_with_hooks(lab.ids(), fwd_hooks=[(PATTERN, raising)])),
        attempt(lambda: net.run_with_cache(lab.ids(), names_filter=3)),
        summary(net),
        net.context_level,
    ]
    with net.hooks(fwd_hooks=[(RESID, noting(log))]):
        facts.append(attempt(lambda: net.run_with_hooks(lab.ids(), fwd_hooks=[(RESID, raising)])))
        net(lab.ids())
        facts += [summary(net), net.context_level]
    net.add_hook(PATTERN, raising)
    facts += [attempt(lambda: net.run_with_cache(lab.ids())), summary(net)]
    net.reset_hooks()
    return facts + [log, np.asarray(net(lab.ids()).tolist()) - np.asarray(clean.tolist())]


@case
def checks(lab: Lab) -> Any:
    class Checked(type(lab.net())):
        def check_hooks_to_add(
            self, hook_point: Any, hook_point_name: str, hook: Any, **options: Any
        ) -> None:
            log.append([hook_point_name, hook_point.name, options])
            if "pattern" in hook_point_name:
                raise ValueError("not there")

    log: list[Any] = []
    net = Checked(lab, 0, 1)
    hook = times(1.0)
    net.add_hook(RESID, hook)
    net.add_hook(RESID, hook, is_permanent=True, prepend=True, level=3)
    net.check_and_add_hook(net.hook_dict[Q], "by another name", hook, level=2)
    net.add_perma_hook(RESID, hook)
    refused = attempt(lambda: net.add_hook("blocks.0.attn.hook_pattern", hook))
    with net.hooks(fwd_hooks=[("blocks.0.attn.hook_pattern", hook)]):
        inside = summary(net)
    return [log, refused, inside, summary(net)]


@case
def what_runs_call_of_the_root(lab: Lab) -> Any:
    net, log = lab.net(), []
    net.register_forward_hook(lambda module, args, output: log.append("a hook on the root"))
    net.run_with_hooks(lab.ids())
    log.append("run_with_cache")
    net.run_with_cache(lab.ids())
    return log


# caching


@case
def cache_of_everything(lab: Lab) -> Any:
    net = lab.net()
    out, cache = net.run_with_cache(lab.ids(), scale=0.5)
    return [out, cache, type(cache).__name__, net.is_caching, summary(net)]


@case
def names_filters(lab: Lab) -> Any:
    net = lab.net()
    filters: list[Any] = [
        None,
        RESID,
        [PATTERN, RESID],
        ["nonsense", Q],
        lambda name: name.endswith("_q"),
        [],
        "nonsense",
    ]
    run = [list(net.run_with_cache(lab.ids(), names_filter=f)[1]) for f in filters]
    made = [[name for name, _ in net.get_caching_hooks(f)[1]] for f in filters]
    return [run, made]


@case
def position_slices(lab: Lab) -> Any:
    net = lab.net(layers=1)
    found = []
    for asked in (
        None,
        1,
        -1,
        (1,),
        (1, 3),
        (0, 3, 2),
        [0, 2],
        [2, 0],
        [True, False, True],
        slice(1, 3),
    ):
        found.append(attempt(lambda asked=asked: net.run_with_cache(lab.ids(), pos_slice=asked)[1]))
    indices = lab.array([2, 1])
    found.append(net.run_with_cache(lab.ids(), pos_slice=indices, names_filter=Q)[1])
    found.append(attempt(lambda: net.run_with_cache(lab.ids(), pos_slice=7, names_filter=Q)[1]))
    return found


@case
def position_slices_ignore_pos_dim(lab: Lab) -> Any:
    net = lab.net(layers=1)
    net.hook_dict[RESID].pos_dim = 0
    return net.run_with_cache(lab.ids(), pos_slice=[1], names_filter=RESID)[1]


@case
def without_batch(lab: Lab) -> Any:
    net = lab.net(layers=1)
    kept = net.run_with_cache(lab.ids(1), remove_batch_dim=True)[1]
    sliced = net.run_with_cache(lab.ids(1), remove_batch_dim=True, pos_slice=1)[1]
    refused = attempt(lambda: net.run_with_cache(lab.ids(), remove_batch_dim=True))
    cache, hooks, _ = net.get_caching_hooks(RESID, remove_batch_dim=True)
    net.run_with_hooks(lab.ids(), fwd_hooks=hooks)
    return [kept, sliced, refused, cache, summary(net)]


@case
def caching_hooks(lab: Lab) -> Any:
    net = lab.net(layers=1)
    mine: dict[str, Any] = {"before": 1}
    cache, forward, backward = net.get_caching_hooks([Q, RESID], cache=mine, pos_slice=(1, 3))
    facts = [cache is mine, [name for name, _ in forward], backward, net.is_caching, summary(net)]
    net.run_with_hooks(lab.ids(), fwd_hooks=forward)
    facts.append(cache)
    added = net.add_caching_hooks(RESID, device="cpu")
    facts += [summary(net), added, net.is_caching]
    net(lab.ids())
    facts.append(dict(added))
    again = net.add_caching_hooks(lambda name: "attn" in name, remove_batch_dim=True, cache=added)
    facts.append(again is added)
    net(lab.ids(1))
    facts.append(list(added))
    net.reset_hooks()
    return facts + [net.is_caching, summary(net)]


@case
def old_names(lab: Lab) -> Any:
    net = lab.net(layers=1)
    everything: dict[str, Any] = {}
    some: dict[str, Any] = {}
    facts = [net.cache_all(everything), net.cache_some(some, lambda name: "attn" in name)]
    net(lab.ids(1))
    net.cache_all(None)
    return facts + [everything, some, {name: len(found) for name, found in summary(net).items()}]


@case
def what_is_cached_is_the_value(lab: Lab) -> Any:
    """Whether a later edit in place reaches what was kept, as everywhere where memory is shared."""
    net = lab.net(layers=1)
    cache, keep, _ = net.get_caching_hooks("hook_embed")

    def zero(value: Any, hook: Any) -> None:
        value[:] = 0

    hooks = [*keep, ("hook_embed.inner", zero)]
    net.run_with_hooks(lab.ids(1), fwd_hooks=hooks)
    return cache


# as modules


@case
def a_deep_copy(lab: Lab) -> Any:
    net, log = lab.net(layers=1), []
    net.add_hook(RESID, noting(log, "both"))
    net.add_perma_hook(RESID, noting(log, "permanent"), dir="fwd")
    net.hook_dict[RESID].ctx["mine"] = [1]
    other = copy.deepcopy(net)
    facts = [other.hook_dict[RESID] is other.blocks[0].hook_resid_post, other.hook_dict[RESID].ctx]
    other.hook_dict[RESID].ctx["mine"].append(2)
    other(lab.ids())
    other.reset_hooks()
    facts += [summary(net), summary(other), net.hook_dict[RESID].ctx]
    log.append("the first again")
    net(lab.ids())
    net.reset_hooks(including_permanent=True)
    other(lab.ids())
    return facts + [log]


@case
def module_tree(lab: Lab) -> Any:
    net = lab.net(layers=1)
    state = net.state_dict()
    return [
        list(state),
        [name for name, _ in net.named_parameters()],
        [name for name, _ in net.named_children()],
        [net.training, net.eval().hook_embed.training, net.train().hook_embed.training],
        [isinstance(net, lab.nn.Module), isinstance(net.hook_embed, lab.nn.Module)],
        sum(1 for _ in net.modules()),
    ]


@case
def forward_hooks_of_modules(lab: Lab) -> Any:
    """Hooks of the module's own kind stand in one queue with those of add_hook."""
    net, log = lab.net(layers=1), []
    point = net.hook_dict[RESID]
    point.add_hook(noting(log, "first"))
    handle = point.register_forward_hook(lambda module, args, output: log.append("module hook"))
    point.add_hook(lambda value, hook: value * 2)
    point.register_forward_hook(lambda module, args, output: log.append("in front"), prepend=True)
    net.blocks[0].register_forward_hook(lambda module, args, output: output * 0)
    facts = [net(lab.ids(1)), len(point._forward_hooks), len(point.fwd_hooks)]
    net.reset_hooks(including_permanent=True)
    net(lab.ids(1))
    handle.remove()
    net(lab.ids(1))
    point.add_hook(noting(log, "cleared"))
    point._forward_hooks.clear()
    net(lab.ids(1))
    return [*facts, log]
