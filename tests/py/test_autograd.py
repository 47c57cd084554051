"""The seam to torch's autograd: hooks see tensors of the graph, and backward says what is not built yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_models import D_MODEL, Arrays
from transformer_lens_go._engine import arrays
from transformer_lens_go.hook_points import HookPoint

torch = arrays.torch

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.skipif(torch is None, reason="needs torch")

Z = "blocks.1.attn.hook_z"


def test_results_belong_to_the_graph(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    logits, loss = model(ids, return_type="both")
    for value in (logits, loss, model(ids, stop_at_layer=1), model.embed(ids), model.W_Q):
        assert value.grad_fn is not None
    with torch.no_grad():
        quiet = model(ids)
        assert not quiet.requires_grad
        assert xp.same(quiet, logits)
    with torch.inference_mode():
        assert xp.same(model(ids), logits)


def test_backward_says_what_is_missing(model: Any, xp: Arrays) -> None:
    loss = model(xp.ids(), return_type="loss")
    with pytest.raises(
        NotImplementedError,
        match=r"backward\(\) reached the logits, and gradients .* not built yet. Run under torch.no_grad",
    ):
        loss.backward()
    with pytest.raises(NotImplementedError, match="incl_bwd=True"):
        model.run_with_cache(xp.ids(), incl_bwd=True, return_type="loss")
    with pytest.raises(NotImplementedError, match="backward hooks"):
        model.run_with_hooks(xp.ids(), bwd_hooks=[(Z, lambda grad, hook: None)])
    assert not model.list_hooks()


def test_hooks_see_tensors_of_the_graph(model: Any, xp: Arrays) -> None:
    seen: list[Any] = []

    def hook(z: Any, hook: HookPoint) -> None:
        assert z.requires_grad
        assert not z.is_leaf
        assert not z._is_view()
        z[:, :, 2] = 0  # raises on leaves and views that require grad
        seen.append(z)

    with torch.no_grad():
        want = model.run_with_hooks(
            xp.ids(),
            fwd_hooks=[(Z, lambda z, hook: z.__setitem__((slice(None), slice(None), 2), 0))],
        )
    got = model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, hook)])
    assert xp.same(got, want)
    assert len(seen) == 1
    with pytest.raises(NotImplementedError, match="backward"):
        torch.autograd.grad(got.sum(), seen)
    with pytest.raises(NotImplementedError, match=r"reached the hook at blocks.1.attn.o.hook_in"):
        seen[0].sum().backward()


def test_a_parameter_in_a_hook_joins_the_graph(model: Any, xp: Arrays) -> None:
    model.requires_grad_(False)
    plain = model(xp.ids())
    assert not plain.requires_grad
    assert not model.W_Q.requires_grad
    steering = torch.nn.Parameter(torch.ones(D_MODEL))
    for add in (lambda x, hook: x + steering, lambda x, hook: x.add_(steering)):
        steered = model.run_with_hooks(xp.ids(), fwd_hooks=[("blocks.1.hook_resid_pre", add)])
        assert steered.requires_grad
        assert not xp.same(steered, plain)
    before: list[bool] = []
    model.add_hook("blocks.1.hook_resid_pre", lambda x, hook: before.append(x.requires_grad))
    model.add_hook("blocks.1.hook_resid_pre", lambda x, hook: x + steering)
    model.add_hook("blocks.2.hook_resid_pre", lambda x, hook: before.append(x.requires_grad))
    model(xp.ids())
    assert before == [False, True]
    model.requires_grad_(True)
    assert model(xp.ids()).requires_grad


def test_results_in_other_dtypes_stay_in_the_graph(model: Any, xp: Arrays) -> None:
    model.requires_grad_(False)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    got = model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, lambda z, hook: (z * scale)[:1])])
    assert got.requires_grad


def test_frozen_parameters_one_by_one(gpt2: Any, xp: Arrays) -> None:
    for parameter in gpt2.parameters():
        parameter.requires_grad_(False)
    assert not gpt2(xp.ids()).requires_grad
    gpt2.blocks[1].mlp.out.weight.requires_grad_(True)
    assert gpt2(xp.ids()).requires_grad


def test_parts_are_frozen_by_themselves(gpt2: Any) -> None:
    gpt2.requires_grad_(False)
    gpt2.blocks[1].mlp.requires_grad_(True)
    on = {name for name, parameter in gpt2.named_parameters() if parameter.requires_grad}
    assert on == {
        f"blocks.1.mlp.{part}.{kind}" for part in ("in", "out") for kind in ("weight", "bias")
    }
    gpt2.blocks[1].mlp.out.bias.grad = torch.ones(D_MODEL)
    gpt2.blocks[1].zero_grad(set_to_none=False)
    assert float(gpt2.blocks[1].mlp.out.bias.grad.sum()) == 0


def test_embeddings_carry_their_gradient_in(model: Any, xp: Arrays) -> None:
    model.requires_grad_(False)
    embeddings = xp.stream().requires_grad_()
    assert model(embeddings).requires_grad
    assert model(embeddings, start_at_layer=1).requires_grad
    assert model.ln_final(embeddings).requires_grad
    assert not model.ln_final(embeddings.detach()).requires_grad


def test_cached_values_are_detached(model: Any, xp: Arrays) -> None:
    _, cache = model.run_with_cache(xp.ids())
    assert not any(value.requires_grad for value in cache.values())
    kept, forward, _ = model.get_caching_hooks(Z)
    model.run_with_hooks(xp.ids(), fwd_hooks=forward)
    assert not kept[Z].requires_grad


def test_ids_never_require_gradients(model: Any, xp: Arrays) -> None:
    seen: list[Any] = []
    model.run_with_hooks(xp.ids(), fwd_hooks=[("embed.hook_in", lambda t, hook: seen.append(t))])
    assert not seen[0].requires_grad


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("per_token", [False, True])
def test_the_loss_has_a_gradient(model: Any, xp: Arrays, masked: bool, per_token: bool) -> None:
    ids = xp.ids()
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    logits = torch.randn(2, 6, 97, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = model.loss_fn(logits, ids, attention_mask=mask if masked else None, per_token=per_token)
    weights = torch.linspace(0.5, 2, loss.numel()).reshape(loss.shape)
    (got,) = torch.autograd.grad((loss * weights).sum(), logits)

    log_probs = torch.log_softmax(logits.double(), -1)[:, :-1]
    each = -log_probs.gather(-1, ids[:, 1:, None])[..., 0]
    pairs = (mask[:, 1:] * mask[:, :-1]).double() if masked else torch.ones(2, 5).double()
    want = each * pairs if per_token else (each * pairs).sum() / pairs.sum()
    (expected,) = torch.autograd.grad((want * weights.double()).sum(), logits)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-7)


def test_parameters_share_the_memory_of_the_engine(gpt2: Any, xp: Arrays) -> None:
    ids = xp.ids()
    clean = gpt2(ids).detach()
    weight = gpt2.blocks[1].mlp.out.weight
    assert isinstance(weight, torch.nn.Parameter)
    assert weight is gpt2.blocks[1].mlp.out.weight
    optimizer = torch.optim.SGD(gpt2.parameters(), lr=0.1)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    moved = gpt2(ids).detach()
    assert not xp.same(moved, clean)
    gpt2.zero_grad()
    assert weight.grad is None
    with torch.no_grad():
        weight += 0.1
    assert not xp.same(gpt2(ids), moved)


def test_data_given_to_a_parameter_is_taken_in(gpt2: Any, xp: Arrays) -> None:
    ids = xp.ids()
    weight = getattr(gpt2.blocks[0].mlp, "in").weight
    with torch.no_grad():
        want = gpt2.run_with_hooks(
            ids,
            fwd_hooks=[
                ("blocks.0.mlp.in.hook_out", lambda x, hook: x * 0 + gpt2.blocks[0].mlp.b_in)
            ],
        )
        weight.data = torch.zeros_like(weight)
        assert xp.same(gpt2(ids), want)
        weight.data[0, 0] = 5  # the parameter is the engine's memory again
        assert not xp.same(gpt2(ids), want)
        weight.data = torch.zeros(3)
        with pytest.raises(ValueError, match=r"was given .data of shape \(3,\)"):
            gpt2(ids)


def test_other_tensors_in_place_of_weights_are_refused(gpt2: Any, xp: Arrays) -> None:
    zeros = {name: torch.zeros_like(value) for name, value in gpt2.named_parameters()}
    clean = gpt2(xp.ids())
    with pytest.raises(NotImplementedError, match=r"torch\.func"):
        torch.func.functional_call(gpt2, zeros, (xp.ids(),))
    with pytest.raises(NotImplementedError, match="is not supported"):
        torch.nn.utils.parametrize.register_parametrization(
            gpt2.blocks[0].mlp.out, "weight", torch.nn.Identity()
        )
    assert xp.same(gpt2(xp.ids()), clean)


def test_a_model_within_a_module(gpt2: Any) -> None:
    class Probe(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = gpt2
            self.head = torch.nn.Linear(D_MODEL, 2)

    probe = Probe()
    names = [name for name, _ in probe.named_parameters()]
    assert "model.blocks.0.mlp.out.weight" in names
    assert len(names) == len(list(gpt2.parameters())) + 2
    probe.eval().to("cpu")
    assert "model.blocks.0.mlp.out.weight" in probe.state_dict()
    probe.double()
    assert gpt2.cfg.dtype is torch.float64
    assert gpt2.blocks[0].mlp.out.weight.dtype is torch.float64


def test_points_of_ones_own_have_backward_hooks() -> None:
    grads: list[Any] = []
    point = HookPoint()
    handle = point.add_hook(lambda grad, hook: grads.append(grad), dir="bwd")
    point.add_hook(lambda grad, hook: grad * 2, dir="bwd")
    value = torch.ones(3, requires_grad=True)
    (point(value) * 3).sum().backward()
    assert torch.equal(grads[0], torch.full((3,), 3.0))
    assert torch.equal(value.grad, torch.full((3,), 6.0))
    handle.hook.remove()
    assert len(point.bwd_hooks) == 1
    assert point.has_hooks("bwd")
