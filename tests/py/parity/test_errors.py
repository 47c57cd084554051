"""Mistakes: the type of error the reference raises, and the words that scripts look for in its message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from . import libs, tiny

Body = Callable[[Any], Any]
IDS = tiny.random_tokens(17, (2, 6))


def nothing(value: Any, hook: Any) -> None:
    return None


def run(model: Any, name: Any, hook: Any = nothing) -> Any:
    return model.run_with_hooks(IDS, fwd_hooks=[(name, hook)])


# what is done, and what the message must contain in both libraries
MISTAKES: dict[str, tuple[Body, list[str]]] = {
    "unknown name, add_hook": (lambda m: m.add_hook("blocks.0.nonsense", nothing), ["nonsense"]),
    "unknown path, add_hook": (lambda m: m.add_hook("no.such.path", nothing), ["no.such"]),
    "not a hook, add_hook": (lambda m: m.add_hook("blocks.0.mlp", nothing), ["mlp"]),
    "bad direction": (lambda m: m.add_hook("hook_embed", nothing, dir="sideways"), ["sideways"]),
    "bad direction, removal": (
        lambda m: m.hook_dict["hook_embed"].remove_hooks("sideways"),
        ["sideways"],
    ),
    "bad direction, has_hooks": (
        lambda m: m.hook_dict["hook_embed"].has_hooks("sideways"),
        ["sideways"],
    ),
    "unknown name, run": (lambda m: run(m, "blocks.0.nonsense"), ["blocks.0.nonsense"]),
    "unknown layer, run": (lambda m: run(m, "blocks.9.hook_out"), ["blocks.9.hook_out"]),
    "unknown name, context": (lambda m: _enter(m, "nonsense"), ["nonsense"]),
    "empty name": (lambda m: run(m, ""), []),
    "names_filter in run_with_hooks": (
        lambda m: m.run_with_hooks(IDS, names_filter="hook_embed"),
        ["names_filter"],
    ),
    "gated result": (
        lambda m: run(m, "blocks.0.attn.hook_result"),
        ["blocks.0.attn.hook_result", "use_attn_result", "set_use_attn_result(True)"],
    ),
    "gated q input": (
        lambda m: run(m, "blocks.0.hook_q_input"),
        ["blocks.0.hook_q_input", "set_use_split_qkv_input(True)"],
    ),
    "gated attn in": (
        lambda m: m.add_hook("blocks.1.hook_attn_in", nothing),
        ["set_use_attn_in(True)"],
    ),
    "gated mlp in": (
        lambda m: _enter(m, "blocks.1.hook_mlp_in"),
        ["set_use_hook_mlp_in(True)"],
    ),
    "both input flags": (
        lambda m: (m.set_use_split_qkv_input(True), m.set_use_attn_in(True)),
        ["use_attn_in"],
    ),
    "hook names no callable": (lambda m: run(m, 3), []),
    "wrong shape from a hook": (
        lambda m: run(m, "blocks.0.hook_mlp_out", lambda v, hook: v[..., :-1]),
        [],
    ),
    "a number from a hook": (lambda m: run(m, "blocks.0.hook_mlp_out", lambda v, hook: "no"), []),
    "hook without the keyword": (lambda m: run(m, "hook_embed", lambda v: v), ["hook"]),
    "ids beyond the vocabulary": (lambda m: m(torch.full((1, 3), 5000)), []),
    "negative ids": (lambda m: m(torch.full((1, 3), -1)), []),
    "no input": (lambda m: m(), ["input"]),
    "list of ids": (lambda m: m([1, 2, 3]), []),
    "text in start_at_layer": (lambda m: m("hello", start_at_layer=1), ["start_at_layer"]),
    "unknown return type": (lambda m: m(IDS, return_type="nonsense"), ["nonsense"]),
    "loss of embeddings": (
        lambda m: m(torch.zeros(1, 3, m.cfg.d_model), return_type="loss"),
        ["loss"],
    ),
    "embeddings of another width": (lambda m: m(torch.zeros(1, 3, 7)), []),
    "names_filter of a bad kind": (
        lambda m: m.run_with_cache(IDS, names_filter=("hook_embed",)),
        ["names_filter"],
    ),
    "names_filter matching nothing": (
        lambda m: m.run_with_cache(IDS, names_filter="nonsense"),
        ["nonsense"],
    ),
    "batch of two without batch": (
        lambda m: m.run_with_cache(IDS, remove_batch_dim=True),
        ["batch"],
    ),
    "unknown activation": (lambda m: m.run_with_cache(IDS)[1]["nonsense", 0], ["nonsense"]),
    "unknown attribute": (lambda m: m.nonsense, ["nonsense"]),
    "layer beyond": (lambda m: m.blocks[5], []),
    "loss with a short mask": (
        lambda m: m.loss_fn(m(IDS), IDS, attention_mask=torch.ones(2, 3)),
        ["attention_mask"],
    ),
    "layer of a nameless hook": (lambda m: m.hook_dict["hook_embed"].layer(), []),
}


def _enter(model: Any, name: str) -> None:
    with model.hooks(fwd_hooks=[(name, nothing)]):
        pass


@pytest.mark.parametrize("what", list(MISTAKES))
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_mistake(kind: str, what: str, pair: Callable[[str], libs.Pair]) -> None:
    body, words = MISTAKES[what]
    models = pair(kind)
    want = models.same(body, what)
    print(f"{what}: {want}")
    assert want.error is not None, f"the reference takes this: {want}"
    got, _ = models.run(body)
    for word in words:
        assert word in str(want.error), f"the reference's message: {want.error}"
        assert word in str(got.error), f"the subject's message: {got.error}"
    # and the model works afterwards
    for model in (models.reference, models.subject):
        model.set_use_split_qkv_input(False)
    models.same(lambda m: (m(IDS), m.context_level, m.list_hooks()), f"after {what}")


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_longer_than_the_context(kind: str, pair: Callable[[str], libs.Pair]) -> None:
    context = pair(kind).reference.cfg.n_ctx
    text = "the cat sat on the mat " * context
    pair(kind).same(lambda m: m.to_tokens(text), "text is truncated")
    pair(kind).same(lambda m: m(text), "logits of truncated text")
    pair(kind).same(lambda m: m.to_tokens(text, truncate=False), "not truncated")
    if kind == "gpt2":
        ids = tiny.random_tokens(3, (1, context + 1))
        pair(kind).same(lambda m: m(ids), "ids beyond the positions")


def test_without_a_tokenizer(fresh_pair: Callable[..., libs.Pair]) -> None:
    models = fresh_pair("gpt2")
    for model in (models.reference, models.subject):
        model.tokenizer = None
    for what, body in {
        "ids": lambda m: m(IDS),
        "text": lambda m: m("hello"),
        "tokens": lambda m: m.to_tokens("hello"),
        "cache": lambda m: m.run_with_cache("hello"),
    }.items():
        print(f"{what}: {models.same(body, what)}")


def _broken_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("what", ["no folder", "empty folder", "architecture", "truncated"])
def test_bad_checkpoints(what: str, tmp_path: Path, reference: libs.Lib, subject: libs.Lib) -> None:
    """Whatever the reference raises for a bad checkpoint, the subject raises an error too, never crashes."""
    folder = tiny.save("llama_gqa", 3, tmp_path / "model")
    if what == "no folder":
        folder = tmp_path / "nowhere"
    elif what == "empty folder":
        folder = tmp_path / "empty"
        folder.mkdir()
    elif what == "architecture":
        _broken_config(folder, architectures=["NoSuchForCausalLM"], model_type="no_such")
    else:
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
    for lib in (reference, subject):
        with pytest.raises(Exception) as caught:  # noqa: PT011 (any kind: loaders raise their own)
            lib.boot(folder)
        print(f"{what}: {lib.name}: {type(caught.value).__name__}: {str(caught.value)[:150]}")
