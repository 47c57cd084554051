"""forward and run_with_cache: every option, compared value for value with the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .differences import NOT_YET

Body = Callable[[Any], Any]
TEXT = "hello world the cat"
TEXTS = ["hello world", "the", "the dog sat on the log and the mat"]
IDS = tiny.random_tokens(7, (2, 9))
MASK = torch.ones_like(IDS)
MASK[0, :3] = 0
MASK[1, 6:] = 0


def embeddings(model: Any, rows: int = 2, length: int = 5) -> torch.Tensor:
    return torch.randn(rows, length, model.cfg.d_model, generator=torch.Generator().manual_seed(3))


FORWARD: dict[str, Body] = {
    "default": lambda m: m(IDS),
    "logits": lambda m: m(IDS, return_type="logits"),
    "loss": lambda m: m(IDS, return_type="loss"),
    "both": lambda m: m(IDS, return_type="both"),
    "none": lambda m: m(IDS, return_type=None),
    "cache too": lambda m: m(IDS, return_type="logits_and_cache")[0],
    "unknown return type": lambda m: m(IDS, return_type="nonsense"),
    "loss per token": lambda m: m(IDS, return_type="loss", loss_per_token=True),
    "both per token": lambda m: m(IDS, return_type="both", loss_per_token=True),
    "loss of text": lambda m: m(TEXT, return_type="loss"),
    "loss of texts, left": lambda m: m(TEXTS, return_type="both", padding_side="left"),
    "loss, one token": lambda m: m(IDS[:, :1], return_type="loss"),
    "loss, masked": lambda m: m(IDS, return_type="loss", attention_mask=MASK),
    "per token, masked": lambda m: m(
        IDS, return_type="loss", loss_per_token=True, attention_mask=MASK
    ),
    "labels": lambda m: m(IDS, return_type="loss", labels=IDS.flip(1)),
    "labels with -100": lambda m: m(
        IDS, return_type="loss", labels=torch.where(MASK.bool(), IDS, -100)
    ),
    "labels per token": lambda m: m(IDS, return_type="loss", loss_per_token=True, labels=IDS),
    "labels of another shape": lambda m: m(IDS, return_type="loss", labels=IDS[:, 1:]),
    "text": lambda m: m(TEXT),
    "empty text": lambda m: m(""),
    "texts": lambda m: m(TEXTS),
    "texts, left": lambda m: m(TEXTS, padding_side="left"),
    "texts, right": lambda m: m(TEXTS, padding_side="right"),
    "one text in a list": lambda m: m([TEXT]),
    "texts with a mask": lambda m: m(
        TEXTS,
        padding_side="left",
        attention_mask=(m.to_tokens(TEXTS, padding_side="left") != 9).long(),
    ),
    "text without bos": lambda m: m(TEXT, prepend_bos=False),
    "text with bos": lambda m: m(TEXT, prepend_bos=True),
    "ids and bos": lambda m: m(IDS, prepend_bos=True),
    "one dimension": lambda m: m(IDS[0]),
    "int32 ids": lambda m: m(IDS.int()),
    "strided ids": lambda m: m(tiny.random_tokens(5, (9, 2)).T),
    "sliced ids": lambda m: m(tiny.random_tokens(5, (4, 12))[::2, 2:9]),
    "mask": lambda m: m(IDS, attention_mask=MASK),
    "float mask": lambda m: m(IDS, attention_mask=MASK.float()),
    "bool mask": lambda m: m(IDS, attention_mask=MASK.bool()),
    "mask of ones": lambda m: m(IDS, attention_mask=torch.ones_like(IDS)),
    "one row all masked": lambda m: m(IDS, attention_mask=MASK * torch.tensor([[0], [1]]))[1],
    "embeddings": lambda m: m(embeddings(m)),
    "embeddings, 2-D": lambda m: m(embeddings(m)[0]),
    "embeddings, loss": lambda m: m(embeddings(m), return_type="loss"),
    "embeddings, loss, labels": lambda m: m(embeddings(m), return_type="loss", labels=IDS[:, :5]),
    "stop at 0": lambda m: m(IDS, stop_at_layer=0),
    "stop at 1": lambda m: m(IDS, stop_at_layer=1),
    "stop at -1": lambda m: m(IDS, stop_at_layer=-1),
    "stop at -2": lambda m: m(IDS, stop_at_layer=-2),
    "stop at the end": lambda m: m(IDS, stop_at_layer=2),
    "stop, loss asked": lambda m: m(IDS, stop_at_layer=1, return_type="loss"),
    "stop, nothing asked": lambda m: m(IDS, stop_at_layer=1, return_type=None),
    "start at 0": lambda m: m(embeddings(m), start_at_layer=0),
    "start at 1": lambda m: m(embeddings(m), start_at_layer=1),
    "start at -1": lambda m: m(embeddings(m), start_at_layer=-1),
    "start, 2-D": lambda m: m(embeddings(m)[0], start_at_layer=1),
    "start with ids": lambda m: m(IDS, start_at_layer=1),
    "start with text": lambda m: m(TEXT, start_at_layer=1),
    "start beyond": lambda m: m(embeddings(m), start_at_layer=2),
    "start far below": lambda m: m(embeddings(m), start_at_layer=-3),
    "start, loss": lambda m: m(embeddings(m), start_at_layer=1, return_type="loss"),
    "start and stop": lambda m: m(embeddings(m), start_at_layer=0, stop_at_layer=1),
    "start with a mask": lambda m: m(
        embeddings(m), start_at_layer=1, attention_mask=torch.tensor([[0, 0, 1, 1, 1], [1] * 5])
    ),
    "input to embed": lambda m: m.input_to_embed(IDS)[:3],
    "loss function": lambda m: m.loss_fn(m(IDS), IDS),
    "loss function, masked": lambda m: m.loss_fn(m(IDS), IDS, attention_mask=MASK, per_token=True),
    "after everything": lambda m: m(IDS),
}

CACHE: dict[str, Body] = {
    "no filter": lambda m: m.run_with_cache(IDS),
    "str": lambda m: m.run_with_cache(IDS, names_filter="blocks.1.hook_out"),
    "str of an alias": lambda m: m.run_with_cache(IDS, names_filter="blocks.1.hook_resid_post"),
    "list": lambda m: m.run_with_cache(IDS, names_filter=["hook_embed", "blocks.0.attn.hook_z"]),
    "list, one unknown": lambda m: m.run_with_cache(IDS, names_filter=["hook_embed", "nonsense"]),
    "empty list": lambda m: m.run_with_cache(IDS, names_filter=[]),
    "callable": lambda m: m.run_with_cache(IDS, names_filter=lambda n: "resid" in n),
    "callable, canonical": lambda m: m.run_with_cache(IDS, names_filter=lambda n: "o.hook_in" in n),
    "callable matching none": lambda m: m.run_with_cache(IDS, names_filter=lambda n: False),
    "str matching none": lambda m: m.run_with_cache(IDS, names_filter="nonsense"),
    "list matching none": lambda m: m.run_with_cache(IDS, names_filter=["a", "b"]),
    "tuple": lambda m: m.run_with_cache(IDS, names_filter=("hook_embed",)),
    "int": lambda m: m.run_with_cache(IDS, names_filter=3),
    "gated name": lambda m: m.run_with_cache(IDS, names_filter="blocks.0.attn.hook_result"),
    "gated and not": lambda m: m.run_with_cache(
        IDS, names_filter=["blocks.0.attn.hook_result", "hook_embed"]
    ),
    "never fires": lambda m: m.run_with_cache(
        IDS, names_filter=["blocks.0.attn.hook_hidden_states", "hook_embed"]
    ),
    "dict": lambda m: m.run_with_cache(IDS, return_cache_object=False),
    "pos int": lambda m: m.run_with_cache(IDS, pos_slice=-1),
    "pos zero": lambda m: m.run_with_cache(IDS, pos_slice=0),
    "pos tuple": lambda m: m.run_with_cache(IDS, pos_slice=(1, 4)),
    "pos tuple with a step": lambda m: m.run_with_cache(IDS, pos_slice=(1, 8, 3)),
    "pos list": lambda m: m.run_with_cache(IDS, pos_slice=[0, 5, 2]),
    "pos tensor": lambda m: m.run_with_cache(IDS, pos_slice=torch.tensor([3, 1])),
    "pos None": lambda m: m.run_with_cache(IDS, pos_slice=None),
    "pos float": lambda m: m.run_with_cache(IDS, pos_slice=1.5),
    "pos beyond": lambda m: m.run_with_cache(IDS, pos_slice=40),
    "no batch": lambda m: m.run_with_cache(IDS[:1], remove_batch_dim=True),
    "no batch, has_batch_dim": lambda m: (
        m.run_with_cache(IDS[:1], remove_batch_dim=True)[1].has_batch_dim
    ),
    "no batch, one pos": lambda m: m.run_with_cache(IDS[:1], remove_batch_dim=True, pos_slice=2),
    "no batch of two": lambda m: m.run_with_cache(IDS, remove_batch_dim=True),
    "no batch, dict": lambda m: m.run_with_cache(
        IDS[:1], remove_batch_dim=True, return_cache_object=False
    ),
    "no batch of text": lambda m: m.run_with_cache(TEXT, remove_batch_dim=True),
    "stop": lambda m: m.run_with_cache(IDS, stop_at_layer=1),
    "stop at 0": lambda m: m.run_with_cache(IDS, stop_at_layer=0),
    "stop at -1": lambda m: m.run_with_cache(IDS, stop_at_layer=-1),
    "stop before the name": lambda m: m.run_with_cache(
        IDS, stop_at_layer=1, names_filter="blocks.1.hook_in"
    ),
    "start": lambda m: m.run_with_cache(embeddings(m), start_at_layer=1),
    "start and stop": lambda m: m.run_with_cache(embeddings(m), start_at_layer=0, stop_at_layer=1),
    "return nothing": lambda m: m.run_with_cache(IDS, return_type=None),
    "one layer, nothing": lambda m: m.run_with_cache(
        IDS, return_type=None, names_filter="blocks.0.hook_resid_post"
    ),
    "return loss": lambda m: m.run_with_cache(IDS, return_type="loss"),
    "return both": lambda m: m.run_with_cache(IDS, return_type="both"),
    "masked": lambda m: m.run_with_cache(IDS, attention_mask=MASK, names_filter="hook_embed"),
    "text": lambda m: m.run_with_cache(TEXT, names_filter="hook_embed"),
    "text without bos": lambda m: m.run_with_cache(TEXT, prepend_bos=False),
    "texts, left": lambda m: m.run_with_cache(TEXTS, padding_side="left"),
    "device": lambda m: m.run_with_cache(IDS, device="cpu", names_filter="hook_embed"),
    "backward, not a scalar": lambda m: m.run_with_cache(IDS, incl_bwd=True),
    "backward and stop": lambda m: m.run_with_cache(IDS, incl_bwd=True, stop_at_layer=1),
}

LOOKUP: dict[str, Body] = {
    "short with layer": lambda c: c["q", 0],
    "pattern": lambda c: c["pattern", 1],
    "negative layer": lambda c: c["resid_post", -1],
    "scale of ln1": lambda c: c["scale", 0, "ln1"],
    "normalized of ln2": lambda c: c["normalized", 1, "ln2"],
    "final norm": lambda c: c["ln_final.hook_scale"],
    "embed": lambda c: c["embed"],
    "full name": lambda c: c["blocks.0.hook_resid_mid"],
    "canonical": lambda c: c["blocks.0.attn.o.hook_in"],
    "post": lambda c: c["post", 0],
    "mlp_out": lambda c: c["mlp_out", 1],
    "unknown": lambda c: c["nonsense", 0],
    "unknown layer": lambda c: c["q", 9],
    "unknown name": lambda c: c["blocks.0.nonsense"],
    "gated": lambda c: c["result", 0],
    "in": lambda c: ["hook_embed" in c, "nonsense" in c, "blocks.0.hook_in" in c],
    "length": lambda c: len(c),
    "iteration": lambda c: [*c],
    "items": lambda c: [(k, tuple(v.shape)) for k, v in c.items()],
    "values": lambda c: [tuple(v.shape) for v in c.values()],
    "keys": lambda c: list(c.keys()),
    "cache_dict": lambda c: list(c.cache_dict),
    "without batch": lambda c: list(c.remove_batch_dim().keys()),
}


@pytest.mark.parametrize("what", list(FORWARD))
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa", "mistral"])
def test_forward(kind: str, what: str, pair: Callable[[str], libs.Pair]) -> None:
    if what in NOT_YET and libs.SUBJECT != libs.REFERENCE:
        got, _ = pair(kind).run(FORWARD[what])
        assert isinstance(got.error, NotImplementedError), got
        return
    print(f"{what}: {pair(kind).same(FORWARD[what], what)}")


@pytest.mark.parametrize("what", list(CACHE))
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_run_with_cache(kind: str, what: str, pair: Callable[[str], libs.Pair]) -> None:
    print(f"{what}: {pair(kind).same(CACHE[what], what)}")


@pytest.mark.parametrize("what", list(LOOKUP))
@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_cache_lookup(kind: str, what: str, pair: Callable[[str], libs.Pair]) -> None:
    def body(model: Any) -> Any:
        return LOOKUP[what](model.run_with_cache(IDS[:1])[1])

    print(f"{what}: {pair(kind).same(body, what)}")


@pytest.mark.parametrize("kind", ["gpt2", "llama_gqa"])
def test_components_by_themselves(kind: str, pair: Callable[[str], libs.Pair]) -> None:
    def lens(model: Any) -> list[torch.Tensor]:
        cache = model.run_with_cache(IDS)[1]
        middle = cache["resid_post", 0]
        return [
            model.unembed(model.ln_final(middle)),
            model.blocks[1].ln1(middle),
            model.embed(IDS),
        ]

    pair(kind).same(lens)
    pair(kind).same(lambda m: m.blocks[1].mlp(m.run_with_cache(IDS)[1]["blocks.1.ln2.hook_out"]))
    if kind == "gpt2":  # a rotary block alone has no positions in the reference
        pair(kind).same(lambda m: m.blocks[0](m.run_with_cache(IDS)[1]["resid_pre", 0])[0], "block")
