"""More cases, which need torch: gradients, and what torch does with modules. Run live on both libraries."""

from __future__ import annotations

import copy
from typing import Any

from own_module_cases import PATTERN, RESID, Q, Shifted, noting, summary, times
from own_modules import Lab, attempt

TORCH_CASES: dict[str, Any] = {}


def case(function: Any) -> Any:
    TORCH_CASES[function.__name__] = function
    return function


def gradients(net: Any) -> dict[str, Any]:
    return {name: parameter.grad for name, parameter in net.named_parameters()}


@case
def backward_hooks_see_gradients_in_order(lab: Lab) -> Any:
    net, seen = lab.net(), []

    def see(label: str) -> Any:
        return lambda grad, hook: seen.append([label, hook.name, grad.clone()])

    hooks = [(RESID, see("one")), (Q, see("q")), (PATTERN, see("pattern")), (RESID, see("two"))]
    with net.hooks(fwd_hooks=[(RESID, times(2.0))], bwd_hooks=hooks):
        net.hook_dict[RESID].add_hook(see("prepended"), dir="bwd", prepend=True)
        loss = net(lab.ids(), return_type="loss")
        loss.backward()
    return [loss, seen, gradients(net), summary(net), net.list_hooks(dir="fwd") == {}]


@case
def backward_hooks_replace_gradients(lab: Lab) -> Any:
    results = []
    for replace in (
        lambda grad, hook: grad * 2,
        lambda grad, hook: (grad * 2,),
        lambda grad, hook: None,
        lambda grad, hook: (grad * 2, grad),
        lambda grad, hook: grad[:, :1],
        lambda grad, hook: 3.0,
    ):
        net = lab.net()

        def run(net: Any = net, replace: Any = replace) -> Any:
            with net.hooks(bwd_hooks=[(PATTERN, replace)]):
                net(lab.ids(), return_type="loss").backward()
            return gradients(net)

        results += [attempt(run), summary(net)]
    return results


@case
def backward_hooks_that_raise(lab: Lab) -> Any:
    net = lab.net()

    def raising(grad: Any, hook: Any) -> None:
        raise ZeroDivisionError(hook.name)

    def run() -> None:
        with net.hooks(bwd_hooks=[(PATTERN, raising)]):
            net(lab.ids(), return_type="loss").backward()

    facts = [attempt(run), summary(net), net.context_level]
    net.zero_grad()
    net(lab.ids(), return_type="loss").backward()
    return [*facts, gradients(net)]


@case
def backward_hooks_go_before_the_backward_pass(lab: Lab) -> Any:
    net, log = lab.net(), []
    hooks = [(RESID, noting(log))]
    out = net.run_with_hooks(lab.ids(), bwd_hooks=hooks, return_type="loss")
    facts = [summary(net)]
    out.backward()
    out = net.run_with_hooks(lab.ids(), bwd_hooks=hooks, reset_hooks_end=False, return_type="loss")
    facts += [summary(net), [h.context_level for h in net.hook_dict[RESID].bwd_hooks]]
    out.backward()
    net.reset_hooks(direction="fwd")
    facts.append(summary(net))
    net.reset_hooks(direction="bwd")
    return [*facts, summary(net), log]


@case
def caches_with_gradients(lab: Lab) -> Any:
    net = lab.net()
    out, cache = net.run_with_cache(lab.ids(), incl_bwd=True, return_type="loss")
    some = net.run_with_cache(
        lab.ids(1),
        names_filter=[Q, RESID],
        incl_bwd=True,
        pos_slice=1,
        remove_batch_dim=True,
        return_type="loss",
    )[1]
    facts = [out, cache, some, summary(net), gradients(net)]
    facts.append([value.requires_grad for value in cache.values()])
    facts.append(attempt(lambda: net.run_with_cache(lab.ids(), incl_bwd=True)))
    with lab.torch.no_grad():
        facts.append(
            attempt(lambda: net.run_with_cache(lab.ids(), incl_bwd=True, return_type="loss"))
        )
    return [*facts, summary(net), net.context_level]


@case
def caching_hooks_with_gradients(lab: Lab) -> Any:
    net = lab.net(layers=1)
    cache = net.add_caching_hooks(RESID, incl_bwd=True, remove_batch_dim=True)
    net(lab.ids(1), return_type="loss").backward()
    _, forward, backward = net.get_caching_hooks([Q, RESID], incl_bwd=True)
    old: dict[str, Any] = {}
    net.cache_all(old, incl_bwd=True)
    net(lab.ids(), return_type="loss").backward()
    return [cache, [name for name, _ in forward], [name for name, _ in backward], old]


@case
def edits_are_part_of_the_graph(lab: Lab) -> Any:
    net = lab.net()
    kept: list[Any] = []

    def keep(value: Any, hook: Any) -> None:
        value.retain_grad()
        kept.append(value)

    scale = lab.torch.ones((), requires_grad=True)
    hooks = [
        (Q, keep),
        (RESID, lambda value, hook: value * scale),
        (PATTERN, lambda value, hook: value.masked_fill(value < 0.01, 0.0)),
    ]
    loss = net.run_with_hooks(lab.ids(), fwd_hooks=hooks, return_type="loss")
    (loss + kept[0].sum()).backward()
    return [loss, scale.grad, kept[0].grad, gradients(net)]


@case
def edits_in_place_with_gradients(lab: Lab) -> Any:
    net = lab.net()

    def zero(value: Any, hook: Any) -> None:
        value[:, 1] = 0

    loss = net.run_with_hooks(lab.ids(), fwd_hooks=[(Q, zero), (RESID, zero)], return_type="loss")
    loss.backward()
    return [loss, gradients(net)]


@case
def values_that_need_no_gradient(lab: Lab) -> Any:
    net, log = lab.net(), []
    net.requires_grad_(False)
    net.add_hook(RESID, noting(log), dir="bwd")
    x = net(lab.ids(), return_type="loss")
    return [x, x.requires_grad, log]


@case
def scaled_gradients(lab: Lab) -> Any:
    net, seen = lab.net(), []
    net.hook_dict[RESID].backward_scale = 3.0

    def look(grad: Any, hook: Any) -> None:
        seen.append([grad.sum(), grad.sum(-1), grad.detach(), list(grad.shape)])

    with net.hooks(bwd_hooks=[(RESID, look)]):
        net(lab.ids(), return_type="loss").backward()
    return [seen, gradients(net)]


@case
def conversions_of_gradients(lab: Lab) -> Any:
    net, seen = lab.net(), []
    net.hook_dict[RESID].enable_reshape(Shifted())

    def double(grad: Any, hook: Any) -> Any:
        seen.append(grad)
        return grad * 2

    net.hook_dict[RESID].add_hook(double, dir="bwd", alias_names=["a", "b"])
    net(lab.ids(), return_type="loss").backward()
    return [seen, gradients(net)]


@case
def a_conversion_that_is_a_module(lab: Lab) -> Any:
    class Halved(lab.nn.Module):
        def convert(self, value: Any) -> Any:
            return value / 2

        def revert(self, value: Any) -> Any:
            return value * 2

    net, seen = lab.net(layers=1), []
    net.hook_dict[RESID].enable_reshape(Halved())
    net.setup()
    net.add_hook(RESID, lambda value, hook: seen.append(value))
    with_module = net(lab.ids())
    net.hook_dict[RESID].enable_reshape(None)
    net.setup()
    return [with_module, seen, net(lab.ids()), list(net.mod_dict)]


@case
def modules_in_every_way(lab: Lab) -> Any:
    torch = lab.torch
    net, other = lab.net(seed=1), lab.net(seed=2)
    other.load_state_dict(net.state_dict())
    facts = [other(lab.ids()), [p.dtype is torch.float32 for p in net.parameters()]]
    double = copy.deepcopy(net).to(torch.float64)
    facts += [double(lab.ids()), double.run_with_cache(lab.ids())[1][Q].dtype is torch.float64]
    net.apply(lambda module: module.train(False))
    facts += [net.training, net.hook_embed.training, net.get_submodule("hook_embed.inner").name]
    before = [parameter.clone() for parameter in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(lab.ids(), return_type="loss").backward()
    optimizer.step()
    changes = [old - new for old, new in zip(before, net.parameters(), strict=True)]
    return [*facts, changes, gradients(net)]


@case
def checkpointed(lab: Lab) -> Any:
    from torch.utils.checkpoint import checkpoint

    results = []
    for reentrant in (False, True):
        net, log, grads = lab.net(), [], []
        block = net.blocks[1]

        def run(ids: Any, net: Any = net, block: Any = block, reentrant: bool = reentrant) -> Any:
            x = net.blocks[0](net.hook_embed(net.W_E[ids]))
            return checkpoint(block, x, use_reentrant=reentrant).sum()

        net.forward = run
        names = ["blocks.1.attn.hook_z", "blocks.1.hook_resid_post"]
        hooks = [(names[0], noting(log)), (names[0], times(2.0)), (names[1], noting(log))]
        keep = [(name, lambda grad, hook, to=grads: to.append([hook.name, grad])) for name in names]
        with net.hooks(fwd_hooks=hooks, bwd_hooks=keep):
            out = net(lab.ids())
            out.backward()
        results += [out, log, grads, gradients(net)]
    return results


@case
def torch_hooks_of_every_kind(lab: Lab) -> Any:
    net, log = lab.net(layers=1), []
    point = net.hook_dict[RESID]
    point.add_hook(noting(log, "ours"))
    point.register_forward_pre_hook(lambda module, args: log.append("before"))
    point.register_full_backward_hook(lambda module, given, grads: log.append("backward"))
    point.add_hook(lambda grad, hook: log.append("ours, backward"), dir="bwd")
    point.register_full_backward_pre_hook(lambda module, grads: log.append("before backward"))
    handle = torch_global_hook(lab, point, log)
    net(lab.ids(), return_type="loss").backward()
    handle.remove()
    return [log, len(point._forward_hooks), len(point._backward_hooks), len(point.bwd_hooks)]


def torch_global_hook(lab: Lab, point: Any, log: list[Any]) -> Any:
    def look(module: Any, args: Any, output: Any) -> None:
        if module is point:
            log.append("of all modules")

    return lab.torch.nn.modules.module.register_module_forward_hook(look)


@case
def a_deep_copy_with_backward_hooks(lab: Lab) -> Any:
    net, log = lab.net(layers=1), []
    net.add_hook(RESID, noting(log, "bwd"), dir="bwd")
    other = copy.deepcopy(net)
    other(lab.ids(), return_type="loss").backward()
    facts = [len(log), gradients(net)["W_E"], len(other.hook_dict[RESID].bwd_hooks)]
    other.reset_hooks()
    other(lab.ids(), return_type="loss").backward()
    net(lab.ids(), return_type="loss").backward()
    return [*facts, len(log), len(net.hook_dict[RESID].bwd_hooks)]


@case
def values_that_are_no_tensors(lab: Lab) -> Any:
    class Odd(lab.root):
        def __init__(self) -> None:
            super().__init__()
            self.hook = lab.points.HookPoint()
            self.setup()

        def forward(self, x: Any) -> Any:
            return self.hook(x)

    net, seen = Odd(), []
    pair = (lab.torch.ones(2), lab.torch.zeros(2))
    out = net.run_with_hooks(
        pair, fwd_hooks=[("hook", lambda value, hook: seen.append(len(value)))]
    )
    return [out, seen, attempt(lambda: net.run_with_cache(pair)), net.context_level]
