"""The live module tree, manipulated alike in both libraries.

There, what runs is the Hugging Face module tree with the bridges in it, so a part is replaced under the name that the
Hugging Face module has for it; here, under the bridge's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import check_same

Pairs = Callable[..., libs.Pair]

KINDS = ["gpt2", "llama_gqa"]
MASK = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0]])
# Where a part hangs in the Hugging Face model, by family.
THERE = {
    "gpt2": {
        "embed": "transformer.wte", "pos_embed": "transformer.wpe", "ln_final": "transformer.ln_f",
        "unembed": "lm_head",
        "blocks": "transformer.h", "ln1": "ln_1", "ln2": "ln_2", "mlp.in": "mlp.c_fc", "mlp.out": "mlp.c_proj",
    },
    "llama_gqa": {
        "embed": "model.embed_tokens", "rotary_emb": "model.rotary_emb", "ln_final": "model.norm", "unembed": "lm_head",
        "blocks": "model.layers", "ln1": "input_layernorm", "ln2": "post_attention_layernorm", "attn": "self_attn",
        "mlp.in": "mlp.up_proj", "mlp.gate": "mlp.gate_proj", "mlp.out": "mlp.down_proj",
    },
}  # fmt: skip


def path_there(kind: str, path: str) -> str:
    names = THERE[kind]
    if not path.startswith("blocks."):
        return names[path]
    _, layer, *rest = path.split(".")
    inside = ".".join(rest)
    tail = names.get(inside, inside)
    return f"{names['blocks']}.{layer}" + (f".{tail}" if tail else "")


class Through(torch.nn.Module):
    """Calls what it stands in the place of, notes what it was given, and changes what came out."""

    def __init__(self, inner: Any, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.inner = inner
        self.change = change
        self.given: list[Any] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.given.append((args, kwargs))
        out = self.inner(*args, **kwargs)
        if isinstance(out, tuple):
            return (self.change(out[0]), *out[1:])
        return self.change(out)


def put(model: Any, is_reference: bool, kind: str, path: str, make: Callable[[Any], Any]) -> Any:
    """Put make(part) in the place of a part; returns it."""
    there = (
        is_reference and ".attn." not in path
    )  # a bridge's attention calls its own q, k, v and o
    root, path = (model.original_model, path_there(kind, path)) if there else (model, path)
    owner, _, short = path.rpartition(".")
    if is_reference and not there:
        attn, part = root.get_submodule(owner), make(root.get_submodule(path))
        attn._modules[short] = part
        return part
    parent = root.get_submodule(owner)
    part = make(root.get_submodule(path))
    if short.isdigit():
        parent[int(short)] = part
    else:
        setattr(parent, short, part)
    return part


def each(pair: libs.Pair) -> list[tuple[Any, bool]]:
    return [(pair.subject, False), (pair.reference, True)]


def alike(kind: str, path: str, got: Any, want: Any) -> None:
    """What both were called with: the same arguments, but for the cache, which is not there here."""
    for (args, kwargs), (args_there, kwargs_there) in zip(got, want, strict=True):
        assert len(args) == len(args_there), path
        kwargs_there.pop("output_attentions", None)  # asked for by run_with_cache there
        assert set(kwargs) == set(kwargs_there), path
        pairs = [
            *zip(args, args_there, strict=True),
            *((kwargs[k], kwargs_there[k]) for k in kwargs),
        ]
        for one, other in pairs:
            if isinstance(other, tuple):
                for a, b in zip(one, other, strict=True):
                    check_same(a, b, f"{path}'s arguments")
            elif isinstance(other, torch.Tensor):
                check_same(one, other, f"{path}'s arguments")
            else:
                assert one in (None, False) or one == other


@pytest.mark.parametrize("kind", KINDS)
def test_replaced_components(kind: str, fresh_pair: Pairs, everything: bool) -> None:
    pair = fresh_pair(kind)
    tokens = tiny.random_tokens(1, (2, 7))
    inner = ["", "ln1", "attn", "ln2", "mlp", "mlp.in", "mlp.out"]
    inner += ["attn.q", "attn.k", "attn.o", "mlp.gate"] if kind == "llama_gqa" else []
    paths = ["embed", "ln_final", "unembed", *(f"blocks.1.{name}".rstrip(".") for name in inner)]
    paths += ["pos_embed"] if kind == "gpt2" else []
    clean = [model(tokens, attention_mask=MASK) for model, _ in each(pair)]
    for path in paths:
        results = []
        for model, is_reference in each(pair):
            originals: list[Any] = []

            def wrap(part: Any, originals: list[Any] = originals) -> Through:
                originals.append(part)
                return Through(part, lambda x: x * 0.75 + 0.1)

            wrapper = put(model, is_reference, kind, path, wrap)
            logits, cache = model.run_with_cache(tokens, attention_mask=MASK)
            put(model, is_reference, kind, path, lambda _, originals=originals: originals[0])
            results.append((logits, cache, wrapper.given))
        (got, cache, given), (want, cache_there, given_there) = results
        check_same(got, want, path)
        assert not torch.equal(got, clean[0])
        for name in (
            cache_there.cache_dict if everything else ["blocks.1.hook_out", "blocks.1.mlp.hook_pre"]
        ):
            check_same(cache[name], cache_there[name], f"{path}: {name}")
        alike(kind, path, given, given_there)
    assert torch.equal(pair.subject(tokens, attention_mask=MASK), clean[0])


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_ones_own(kind: str, fresh_pair: Pairs) -> None:
    pair = fresh_pair(kind)
    tokens = tiny.random_tokens(2, (2, 7))
    torch.manual_seed(0)
    linear = torch.nn.Linear(128 if kind == "gpt2" else 48, 32)
    block = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Tanh())

    class Attention(torch.nn.Module):
        def forward(self, hidden_states: Any, **kwargs: Any) -> Any:
            return hidden_states.cumsum(1) * 0.1, None

    class Block(torch.nn.Module):
        def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
            return block(hidden_states)

    for path, part in (
        ("blocks.0.mlp.out", linear),
        ("blocks.1.mlp", torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.GELU())),
        ("blocks.0.attn", Attention()),
        ("blocks.1", Block()),
        ("blocks.0.ln2", torch.nn.Identity()),
        ("ln_final", torch.nn.LayerNorm(32)),
        ("unembed", torch.nn.Linear(32, 11)),
    ):
        for model, is_reference in each(pair):
            put(model, is_reference, kind, path, lambda _, part=part: part)
        check_same(pair.subject(tokens), pair.reference(tokens), path)


@pytest.mark.parametrize("kind", KINDS)
def test_assigned_forwards_and_torch_hooks(kind: str, fresh_pair: Pairs) -> None:
    pair = fresh_pair(kind)
    tokens = tiny.random_tokens(3, (2, 7))
    clean = pair.subject(tokens)

    def body(change: Callable[[Any], list[Any]]) -> None:
        outcomes = []
        for model, _ in each(pair):
            undo = change(model)
            outcomes.append(model(tokens))
            for step in undo:
                step()
        check_same(outcomes[0], outcomes[1], "logits")
        assert not torch.equal(outcomes[0], clean)
        assert torch.equal(pair.subject(tokens), clean)

    def assign(model: Any) -> list[Any]:
        mlp = model.blocks[0].mlp
        original = mlp.forward
        # there, the plain assignment would go to the wrapped module, and call itself for ever
        assign = setattr if model is pair.subject else object.__setattr__
        assign(mlp, "forward", lambda x: original(x) * 2 - 1)
        return [lambda: delattr(mlp, "forward")]

    def post(part: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (output[0] * 2, *output[1:])
            return output * 2

        return lambda model: [part(model).register_forward_hook(hook, with_kwargs=True).remove]

    def pre(part: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
        def hook(module: Any, args: Any, kwargs: Any) -> Any:
            if args:
                return (args[0] * 0.5, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": kwargs["hidden_states"] * 0.5}

        return lambda model: [part(model).register_forward_pre_hook(hook, with_kwargs=True).remove]

    def in_place(model: Any) -> list[Any]:
        def hook(module: Any, args: Any) -> None:
            args[0].mul_(0.5)

        return [model.blocks[1].ln1.register_forward_pre_hook(hook).remove]

    body(assign)
    body(in_place)
    parts: list[Callable[[Any], Any]] = [
        lambda m: m.blocks[1], lambda m: m.blocks[1].attn, lambda m: m.blocks[1].ln2, lambda m: m.blocks[1].mlp,
        lambda m: m.embed, lambda m: m.unembed,
    ]  # fmt: skip
    points = [
        "blocks.1.hook_in",
        "blocks.0.attn.q.hook_out",
        "blocks.1.attn.o.hook_in",
        "blocks.1.attn.hook_pattern",
    ]
    parts += [lambda m, p=p: m.hook_dict[p] for p in points]
    for part in parts:
        body(post(part))
    for part in parts[1:4] + parts[5:]:
        body(pre(part))


class Spliced(torch.nn.Module):
    """An autoencoder with hook points, made anew for each library from the same weights."""

    def __init__(self, lib: libs.Lib, weights: dict[str, Any], width: int) -> None:
        super().__init__()
        point = lib.module.hook_points.HookPoint
        self.up, self.down = torch.nn.Linear(width, 24), torch.nn.Linear(24, width)
        self.hook_acts, self.hook_recons = point(), point()
        self.load_state_dict(weights, strict=False)

    def forward(self, x: Any) -> Any:
        return self.hook_recons(self.down(self.hook_acts(torch.relu(self.up(x)))))


@pytest.mark.parametrize("kind", KINDS)
def test_spliced_autoencoders(
    kind: str, fresh_pair: Pairs, reference: libs.Lib, subject: libs.Lib
) -> None:
    pair = fresh_pair(kind)
    tokens = tiny.random_tokens(4, (2, 7))
    clean = pair.subject(tokens)
    torch.manual_seed(1)
    for name in (
        "blocks.0.hook_out",
        "blocks.1.hook_in",
        "blocks.0.attn.o.hook_in",
        "blocks.1.mlp.hook_out",
    ):
        owner, _, short = name.rpartition(".")
        weights = copy.deepcopy(Spliced(subject, {}, 32).state_dict())
        results = []
        for model, lib in ((pair.subject, subject), (pair.reference, reference)):
            part = model
            for step in owner.split("."):
                part = part[int(step)] if step.isdigit() else getattr(part, step)
            before = getattr(part, short)
            spliced = Spliced(lib, weights, 32)
            setattr(part, short, spliced)
            if lib.is_reference:  # its registry is looked through again
                model.clear_hook_registry()
                model._initialize_hook_registry()
            inner = f"{name}.hook_acts"
            assert inner in model.hook_dict
            seen: list[Any] = []

            def halve(value: Any, hook: Any, seen: list[Any] = seen) -> Any:
                seen.append((hook.name, tuple(value.shape)))
                return value * 0.5

            logits, cache = model.run_with_cache(tokens)
            edited = model.run_with_hooks(tokens, fwd_hooks=[(inner, halve)])
            results.append((logits, cache[inner], edited, seen))
            setattr(part, short, before)
        for got, want in zip(results[0][:3], results[1][:3], strict=True):
            check_same(got, want, name)
        assert results[0][3] == results[1][3]
        assert torch.equal(pair.subject(tokens), clean)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bridge_that_overrides_forward(kind: str, fresh_pair: Pairs) -> None:
    pair = fresh_pair(kind)
    tokens = tiny.random_tokens(5, (2, 7))
    outcomes = []
    for model, _ in each(pair):
        cls = type(model)

        class Doubled(cls):  # type: ignore[misc,valid-type]
            def forward(self, *args: Any, **kwargs: Any) -> Any:
                return super().forward(*args, **kwargs) * 2

        model.__class__ = Doubled
        logits, cache = model.run_with_cache(tokens)
        outcomes.append(
            (model(tokens), model.run_with_hooks(tokens), logits, cache["blocks.1.hook_out"])
        )
    for got, want in zip(*outcomes, strict=True):
        check_same(got, want, "forward")
