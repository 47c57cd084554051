"""torch's own ways into the module tree: its hooks on components and hook points, learned parts, gradients."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import D_MODEL, Arrays, alive
from transformer_lens_go._engine import arrays
from transformer_lens_go.hook_points import HookPoint

torch = arrays.torch
pytestmark = pytest.mark.skipif(torch is None, reason="needs torch")
pytest_plugins = ["tiny_models"]


@pytest.mark.parametrize(
    "path", ["blocks.1", "blocks.1.attn", "blocks.1.mlp", "blocks.1.mlp.out", "unembed"]
)
@pytest.mark.usefixtures("no_grad")
def test_hooks_on_components(model: Any, xp: Arrays, path: str) -> None:
    part = model.get_submodule(path)
    clean = model(xp.ids())
    want = model.run_with_hooks(xp.ids(), fwd_hooks=[(f"{path}.hook_out", lambda v, hook: v * 2)])
    calls: list[Any] = []

    def twice(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        calls.append((module, args, kwargs))
        return (output[0] * 2, *output[1:]) if isinstance(output, tuple) else output * 2

    handle = part.register_forward_hook(twice, with_kwargs=True)
    assert torch.equal(model(xp.ids()), want)
    assert calls[0][0] is part
    first = part.register_forward_hook(lambda m, args, out: calls.append("first"), prepend=True)
    always = part.register_forward_hook(
        lambda m, args, out: calls.append("always"), always_call=True
    )
    assert torch.equal(model(xp.ids()), want)
    assert calls[1] == "first"
    assert calls[-1] == "always"
    for hung in (handle, first, always):
        hung.remove()
    assert torch.equal(model(xp.ids()), clean)
    assert not model._engine.parts.replaced


@pytest.mark.usefixtures("no_grad")
def test_hooks_in_front_of_components(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    want = model.run_with_hooks(
        xp.ids(), fwd_hooks=[("blocks.1.mlp.hook_in", lambda v, hook: v * 2)]
    )
    mlp, attn = model.blocks[1].mlp, model.blocks[1].attn
    with mlp.register_forward_pre_hook(lambda m, args: args[0] * 2):
        assert torch.equal(model(xp.ids()), want)
    assert torch.equal(model(xp.ids()), clean)
    mask = torch.tensor([[0, 1, 1, 1, 1, 1], [1] * 6])
    masked = model(xp.ids(), attention_mask=mask, position_ids=torch.arange(6)[None])
    seen: list[set[str]] = []

    def without_mask(module: Any, args: Any, kwargs: Any) -> Any:
        seen.append(set(kwargs))
        return args, {**kwargs, "attention_mask": None}

    handles = [
        b.attn.register_forward_pre_hook(without_mask, with_kwargs=True) for b in model.blocks
    ]
    assert torch.equal(
        model(xp.ids(), attention_mask=mask, position_ids=torch.arange(6)[None]), clean
    )
    assert not torch.equal(masked, clean)
    assert {"attention_mask", "position_ids", "past_key_values"} <= seen[0]
    for handle in handles:
        handle.remove()
    assert attn.forward is not None


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize(
    "name", ["blocks.1.hook_out", "blocks.1.attn.q.hook_out", "blocks.1.attn.hook_pattern"]
)
def test_hooks_on_hook_points(model: Any, xp: Arrays, name: str) -> None:
    clean = model(xp.ids())
    want = model.run_with_hooks(xp.ids(), fwd_hooks=[(name, lambda v, hook: v * 0.5 + 1)])
    point = model.hook_dict[name]
    order: list[str] = []
    shapes: list[tuple[int, ...]] = []

    def ours(value: Any, hook: Any) -> Any:
        order.append("hook")
        shapes.append(tuple(value.shape))
        return value * 0.5

    pre = point.register_forward_pre_hook(lambda m, args: order.append("pre"))
    post = point.register_forward_hook(lambda m, args, out: order.append("post") or out + 1)
    out = model.run_with_hooks(xp.ids(), fwd_hooks=[(name, ours)])
    assert order == ["pre", "hook", "post"]
    assert torch.equal(out, want)
    bare, cache = model.run_with_cache(xp.ids())
    assert shapes[0] == tuple(cache[name].shape)
    pre.remove()
    post.remove()
    assert torch.equal(model(xp.ids()), clean)
    assert torch.equal(cache[name], model.run_with_cache(xp.ids())[1][name] + 1)
    assert not torch.equal(bare, clean)


@pytest.mark.usefixtures("no_grad")
def test_a_hook_that_takes_itself_off(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    handles: list[Any] = []

    def once(module: Any, args: Any, output: Any) -> Any:
        handles.pop().remove()
        return output * 0

    handles.append(model.blocks[0].mlp.register_forward_hook(once))
    assert not torch.equal(model(xp.ids()), clean)
    assert torch.equal(model(xp.ids()), clean)
    assert not handles


@pytest.mark.usefixtures("no_grad")
def test_hooks_on_the_model(gpt2: Any, xp: Arrays) -> None:
    clean = gpt2(xp.ids())
    handle = gpt2.register_forward_hook(lambda m, args, out: out * 2)
    assert torch.equal(gpt2(xp.ids()), clean * 2)
    handle.remove()
    assert torch.equal(gpt2(xp.ids()), clean)


@pytest.mark.usefixtures("no_grad")
def test_nothing_is_left_behind(model: Any, xp: Arrays) -> None:
    def cycle() -> None:
        handle = model.blocks[1].mlp.register_forward_hook(lambda m, args, out: out * 2)
        other = model.blocks[1].hook_out.register_forward_pre_hook(lambda m, args: None)
        model.run_with_cache(xp.ids())
        handle.remove()
        other.remove()
        model(xp.ids())

    cycle()
    held = alive()
    for _ in range(300):
        cycle()
    assert alive() == held


def test_backward_hooks_wait_for_gradients(model: Any) -> None:
    for part in (model.blocks[1].mlp, model.blocks[1].hook_out, model):
        for register in (
            "register_full_backward_hook",
            "register_full_backward_pre_hook",
            "register_backward_hook",
        ):
            with pytest.raises(
                NotImplementedError, match=f"{register} on .*gradients through the engine"
            ):
                getattr(part, register)(print)


class Learned(torch.nn.Module if torch is not None else object):  # type: ignore[misc]
    """An autoencoder with a hook point of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(D_MODEL, 48)
        self.down = torch.nn.Linear(48, D_MODEL)
        self.hook_inside = HookPoint()

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return self.down(self.hook_inside(torch.relu(self.up(x))))


@pytest.mark.parametrize("path", ["blocks.1.hook_out", "blocks.1.mlp"])
def test_learned_parts(model: Any, xp: Arrays, path: str) -> None:
    torch.manual_seed(0)
    learned = Learned()
    owner, _, short = path.rpartition(".")
    setattr(model.get_submodule(owner), short, learned)
    with torch.no_grad():
        want = model(xp.ids())
    out = model(xp.ids())
    assert torch.equal(out, want)
    assert out.requires_grad
    with pytest.raises(NotImplementedError, match="gradients through the engine are not built yet"):
        out.sum().backward()
    inside: list[Any] = []
    model.run_with_hooks(
        xp.ids(), fwd_hooks=[(f"{path}.hook_inside", lambda v, hook: inside.append(v))]
    )
    assert inside[0].requires_grad
    state = model.state_dict()
    assert {f"{path}.up.weight", f"{path}.down.bias"} < set(state)
    with torch.no_grad():
        learned.up.weight.zero_()
    model.load_state_dict({**state, f"{path}.up.weight": torch.ones(48, D_MODEL)})
    assert bool((learned.up.weight == 1).all())
    names = dict(model.named_parameters())
    assert names[f"{path}.up.weight"] is learned.up.weight
    model.requires_grad_(False)
    assert not learned.up.weight.requires_grad
    with torch.no_grad():
        frozen = model(xp.ids())
    assert not model(xp.ids()).requires_grad
    assert not torch.equal(frozen, want)
    model.requires_grad_(True)
    learned.up.weight.grad = torch.ones_like(learned.up.weight)
    model.zero_grad()
    assert learned.up.weight.grad is None


def test_parametrizations_are_refused(gpt2: Any, xp: Arrays) -> None:
    clean = gpt2(xp.ids())
    with pytest.raises(NotImplementedError, match="is not supported"):
        torch.nn.utils.parametrize.register_parametrization(
            gpt2.blocks[0].mlp.out, "weight", torch.nn.Identity()
        )
    assert torch.equal(gpt2(xp.ids()), clean)


def test_a_module_list_stays_a_list(model: Any) -> None:
    for change in (
        lambda: model.blocks.append(model.blocks[0]),
        lambda: model.blocks.extend([model.blocks[0]]),
        lambda: model.blocks.insert(0, model.blocks[0]),
        lambda: model.blocks.pop(0),
    ):
        with pytest.raises(NotImplementedError, match="is not supported"):
            change()
    assert len(model.blocks) == len(model.blocks[:])
    with pytest.raises(TypeError, match="cannot assign"):
        model.blocks[0].mlp = lambda x: x  # as torch says
    with pytest.raises(TypeError, match="cannot assign"):
        model.blocks[0].mlp = torch.zeros(3)
