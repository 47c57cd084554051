"""Parameters by the names people use: shapes, values, and writes that change what the model computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import Mismatch

Body = Callable[[Any], Any]
IDS = tiny.random_tokens(19, (2, 8))
KINDS = [
    "gpt2",
    "gpt2_odd",
    "gpt2_untied",
    "llama_gqa",
    "llama_mqa",
    "llama_bias",
    "llama_head_dim",
    "qwen2",
]

BLOCK_PARAMETERS = [
    *(
        "attn.W_Q",
        "attn.W_K",
        "attn.W_V",
        "attn.W_O",
        "attn.b_Q",
        "attn.b_K",
        "attn.b_V",
        "attn.b_O",
    ),
    *("mlp.W_in", "mlp.W_out", "mlp.W_gate", "mlp.b_in", "mlp.b_out", "mlp.b_gate"),
    *(
        "ln1.w",
        "ln1.b",
        "ln2.w",
        "ln2.b",
        "ln1.weight",
        "ln2.bias",
        "attn.q.weight",
        "attn.o.weight",
    ),
    *("attn.q.bias", "mlp.in.weight", "mlp.out.bias"),
]
MODEL_PARAMETERS = [
    *(
        "W_E",
        "W_U",
        "b_U",
        "W_pos",
        "W_E_pos",
        "W_Q",
        "W_K",
        "W_V",
        "W_O",
        "b_Q",
        "b_K",
        "b_V",
        "b_O",
    ),
    *("W_in", "W_out", "W_gate", "b_in", "b_out", "embed.W_E", "unembed.W_U", "unembed.b_U"),
    *("pos_embed.W_pos", "ln_final.w", "ln_final.b", "embed.weight", "unembed.weight"),
]


def reach(owner: Any, path: str) -> Any:
    """owner.a.b.c; `in` is a keyword, so getattr all the way."""
    for part in path.split("."):
        owner = getattr(owner, part)
    return owner


@pytest.mark.parametrize("name", BLOCK_PARAMETERS)
@pytest.mark.parametrize("kind", KINDS)
def test_of_a_block(kind: str, name: str, pair: Callable[[str], libs.Pair]) -> None:
    got = pair(kind).same(lambda m: _plain(reach(m.blocks[1], name)), name, tolerance=0.0)
    print(f"{name}: {got}")


@pytest.mark.parametrize("name", MODEL_PARAMETERS)
@pytest.mark.parametrize("kind", KINDS)
def test_of_the_model(kind: str, name: str, pair: Callable[[str], libs.Pair]) -> None:
    print(f"{name}: {pair(kind).same(lambda m: _plain(reach(m, name)), name, tolerance=0.0)}")


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


WRITES: dict[str, Callable[[Any], Any]] = {
    "W_Q": lambda m: m.blocks[0].attn.W_Q.data.mul_(0.5),
    "W_K, one head": lambda m: m.blocks[1].attn.W_K.data[0].zero_(),
    "W_V": lambda m: m.blocks[0].attn.W_V.data.add_(0.1),
    "W_O, one head": lambda m: m.blocks[0].attn.W_O.data[2].zero_(),
    "W_in": lambda m: m.blocks[0].mlp.W_in.data[:, 3].fill_(1.0),
    "W_out": lambda m: m.blocks[1].mlp.W_out.data[5].mul_(-2.0),
    "ln1.w": lambda m: m.blocks[0].ln1.w.data.mul_(1.5),
    "ln_final.w": lambda m: m.ln_final.w.data[4].zero_(),
    "W_E": lambda m: m.embed.W_E.data[:, 1].fill_(0.5),
    "W_U": lambda m: m.unembed.W_U.data[:, 7].zero_(),
    "q.weight": lambda m: m.blocks[0].attn.q.weight.data.neg_(),
    "without data": lambda m: m.blocks[0].attn.W_Q.mul_(0.25),
    "copy_": lambda m: m.blocks[1].mlp.W_in.copy_(torch.zeros_like(m.blocks[1].mlp.W_in)),
    "a stack is a copy": lambda m: m.W_Q.zero_(),
    "numpy": lambda m: m.blocks[0].attn.W_O.detach().numpy().__setitem__(0, 0.0),
}


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "qwen2"])
def test_writes_count(kind: str, fresh_pair: Callable[..., libs.Pair]) -> None:
    """One after the other on the same model: after each, both compute the same, and no longer what they did."""
    models = fresh_pair(kind)
    wrong = []
    for what, write in WRITES.items():

        def body(model: Any, write: Callable[[Any], Any] = write) -> list[torch.Tensor]:
            before = model(IDS)
            held = write(model)
            after = model(IDS)
            del held
            return [before, after, model(IDS), model.blocks[0].attn.W_Q.detach().clone()]

        try:
            result = models.same(body, what)
            assert result.error is None, result
            changed = not torch.equal(result.value[0], result.value[1])
            assert changed == (what != "a stack is a copy"), f"the reference's logits: {changed}"
        except Mismatch as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "kind", ["gpt2", "gpt2_gelu", "llama_gqa", "llama_rope3", "mistral", "qwen2"]
)
def test_cfg(kind: str, pair: Callable[[str], libs.Pair]) -> None:
    def body(model: Any) -> dict[str, Any]:
        plain = (bool, int, float, str, type(None))
        fields = {k: v for k, v in vars(model.cfg).items() if isinstance(v, plain) and k[0] != "_"}
        return {**fields, "dtype": str(model.cfg.dtype)}

    models = pair(kind)
    got, want = (body(model) for model in (models.subject, models.reference))
    different = {
        name: (got.get(name, "absent"), value)
        for name, value in want.items()
        if got.get(name, "absent") != value
    }
    assert not different, f"(ours, theirs): {different}"


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_model_wide(kind: str, fresh_pair: Callable[..., libs.Pair]) -> None:
    bodies: dict[str, Body] = {
        "parameters need gradients": lambda m: {p.requires_grad for p in m.parameters()},
        "training": lambda m: m.training,
        "eval is itself": lambda m: m.eval() is m,
        "cpu is itself": lambda m: m.cpu() is m,
        "to is itself": lambda m: m.to("cpu") is m,
        "device": lambda m: str(m.cfg.device),
        "logits after": lambda m: m(IDS),
        "requires_grad_": lambda m: {p.requires_grad for p in m.requires_grad_(False).parameters()},
        "logits at last": lambda m: m(IDS),
    }
    models = fresh_pair(kind)
    for what, body in bodies.items():
        print(f"{what}: {models.same(body, what)}")
