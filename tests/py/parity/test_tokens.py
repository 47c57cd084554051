"""Text to tokens and back: BOS, padding and truncation rules, on small tokenizers of several kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from . import libs, tiny
from .tiny_tokenizers import save_tokenizer

Body = Callable[[Any], Any]
TEXT = "When Mary and John went to the store, John gave a drink to Mary"
TEXTS = [
    "hello",
    "the cat sat on the mat",
    "",
    " ",
    "(12) 'quotes' don't\n\n  the\tlog ",
    "naïve café ☕ 日本",
]
KINDS = ["gpt2", "gpt2_gelu", "llama_head_dim", "qwen2"]

BODIES: dict[str, Body] = {
    "one": lambda m: m.to_tokens(TEXT),
    "many": lambda m: m.to_tokens(TEXTS),
    "list of one": lambda m: m.to_tokens([TEXT]),
    "empty": lambda m: m.to_tokens(""),
    "empty, no bos": lambda m: m.to_tokens("", prepend_bos=False),
    "bos": lambda m: m.to_tokens(TEXT, prepend_bos=True),
    "no bos": lambda m: m.to_tokens(TEXT, prepend_bos=False),
    "many, bos": lambda m: m.to_tokens(TEXTS, prepend_bos=True),
    "many, no bos": lambda m: m.to_tokens(TEXTS, prepend_bos=False),
    "left": lambda m: m.to_tokens(TEXTS, padding_side="left"),
    "right": lambda m: m.to_tokens(TEXTS, padding_side="right"),
    "left, no bos": lambda m: m.to_tokens(TEXTS, padding_side="left", prepend_bos=False),
    "right, no bos": lambda m: m.to_tokens(TEXTS, padding_side="right", prepend_bos=False),
    "bad side": lambda m: m.to_tokens(TEXTS, padding_side="middle"),
    "not moved": lambda m: m.to_tokens(TEXT, move_to_device=False),
    "long": lambda m: m.to_tokens(TEXT * 20),
    "long, whole": lambda m: m.to_tokens(TEXT * 20, truncate=False),
    "long, left, no bos": lambda m: m.to_tokens(
        [TEXT * 20, "hello"], padding_side="left", prepend_bos=False
    ),
    "long and short": lambda m: m.to_tokens([TEXT * 20, "hello"]),
    "special text": lambda m: m.to_tokens("a<|endoftext|>b<s>c</s><|im_start|>d"),
    "string of ids": lambda m: m.to_string(m.to_tokens(TEXT)[0]),
    "string of a batch": lambda m: m.to_string(m.to_tokens(TEXTS)),
    "string of a list": lambda m: m.to_string([40, 50, 60, 0]),
    "string of lists": lambda m: m.to_string([[40, 50], [60, 0]]),
    "string of an array": lambda m: m.to_string(np.array([40, 50, 60])),
    "string of one id": lambda m: m.to_string(torch.tensor(270)),
    "string of an int": lambda m: m.to_string(270),
    "string of 3-D": lambda m: m.to_string(torch.zeros(1, 1, 2).long()),
    "string of nothing": lambda m: m.to_string([]),
    "string of broken utf-8": lambda m: m.to_string(m.to_tokens("☕", prepend_bos=False)[0, :1]),
    "str tokens": lambda m: m.to_str_tokens(TEXT),
    "str tokens, no bos": lambda m: m.to_str_tokens(TEXT, prepend_bos=False),
    "str tokens of texts": lambda m: m.to_str_tokens(TEXTS),
    "str tokens of ids": lambda m: m.to_str_tokens(m.to_tokens(TEXT)),
    "str tokens of 1-D": lambda m: m.to_str_tokens(m.to_tokens(TEXT)[0]),
    "str tokens of one id": lambda m: m.to_str_tokens(torch.tensor(270)),
    "str tokens of an array": lambda m: m.to_str_tokens(np.array([[40, 50, 60]])),
    "str tokens of a batch": lambda m: m.to_str_tokens(m.to_tokens(TEXTS)),
    "str tokens of tensors": lambda m: m.to_str_tokens(
        [torch.tensor([40, 50]), torch.tensor([60])]
    ),
    "str tokens of an int": lambda m: m.to_str_tokens(3),
    "str tokens of ints": lambda m: m.to_str_tokens([3, 4]),
    "str tokens of None": lambda m: m.to_str_tokens(None),
    "single token": lambda m: m.to_single_token(" the"),
    "single token, several": lambda m: m.to_single_token("hello world"),
    "single token, none": lambda m: m.to_single_token(""),
    "single str token": lambda m: m.to_single_str_token(270),
    "single str token of a tensor": lambda m: m.to_single_str_token(torch.tensor(270)),
    "single str token beyond": lambda m: m.to_single_str_token(100000),
    "position": lambda m: m.get_token_position(" the", TEXT),
    "position, last": lambda m: m.get_token_position(" to", TEXT, mode="last"),
    "position, no bos": lambda m: m.get_token_position(" the", TEXT, prepend_bos=False),
    "position of an id": lambda m: m.get_token_position(m.to_single_token(" to"), TEXT),
    "position of a tensor": lambda m: m.get_token_position(m.to_tokens(" to")[0, -1], TEXT),
    "position in ids": lambda m: m.get_token_position(" to", m.to_tokens(TEXT)),
    "position in 1-D": lambda m: m.get_token_position(" to", m.to_tokens(TEXT)[0]),
    "position in a batch": lambda m: m.get_token_position(" to", m.to_tokens(TEXTS)),
    "position of the absent": lambda m: m.get_token_position("q", TEXT),
    "position of several": lambda m: m.get_token_position("hello world", TEXT),
    "position, bad mode": lambda m: m.get_token_position(" to", TEXT, mode="middle"),
    "settings": lambda m: [
        m.cfg.tokenizer_prepends_bos,
        m.cfg.tokenizer_appends_eos,
        m.cfg.default_prepend_bos,
        m.tokenizer.padding_side,
        m.tokenizer.bos_token_id,
        m.tokenizer.eos_token_id,
        m.tokenizer.pad_token_id,
    ],
}


@pytest.mark.parametrize("what", list(BODIES))
@pytest.mark.parametrize("kind", KINDS)
def test_text(kind: str, what: str, pair: Callable[[str], libs.Pair]) -> None:
    print(f"{what}: {pair(kind).same(BODIES[what], what)}")


@pytest.mark.parametrize("style", ["gpt2", "distinct", "instruct", "no_bos"])
@pytest.mark.parametrize("template", [False, True], ids=["bare", "template"])
def test_tokenizer_styles(
    style: str, template: bool, tmp_path: Path, reference: libs.Lib, subject: libs.Lib
) -> None:
    """The same rules on every way a tokenizer can be set up."""
    folder = tiny.save("gpt2", 5, tmp_path)
    save_tokenizer(folder, style, template=template)
    pair = libs.Pair(reference.boot(folder), subject.boot(folder))
    for what in ("one", "many", "no bos", "left", "left, no bos", "right, no bos", "settings"):
        print(f"{style} {what}: {pair.same(BODIES[what], f'{style} {what}')}")


@pytest.mark.parametrize("default", [True, False])
def test_default_prepend_bos(default: bool, fresh_pair: Callable[..., libs.Pair]) -> None:
    models = fresh_pair("gpt2")
    for model in (models.reference, models.subject):
        model.cfg.default_prepend_bos = default
        model.tokenizer.padding_side = "left"
    for body in (lambda m: m.to_tokens(TEXTS), lambda m: m(TEXTS), lambda m: m(TEXT)):
        models.same(body)


def test_tokenizer_passed_in(
    checkpoint: Callable[..., Path], reference: libs.Lib, subject: libs.Lib
) -> None:
    """A Hugging Face tokenizer object is used as it is, its padding side too."""
    from .tiny_tokenizers import load_tokenizer

    folder = checkpoint("llama_gqa")
    models = []
    for lib in (reference, subject):
        tokenizer = load_tokenizer(checkpoint("llama_head_dim"))
        tokenizer.padding_side = "left"
        models.append(lib.boot(folder, tokenizer=tokenizer))
    pair = libs.Pair(*models)
    for what in ("one", "many", "right", "no bos", "str tokens", "position"):
        pair.same(BODIES[what], what)
    # the reference reopens the tokenizer so that it adds BOS itself; the subject leaves it as it is
    pair.same(lambda m: BODIES["settings"](m)[1:], "settings")
    pair.same(lambda m: m(TEXTS), "logits")


def random_texts(seed: int, count: int) -> list[str]:
    """Short texts of letters, digits, blanks, accents, other scripts, joiners and a NUL."""
    generator = np.random.default_rng(seed)
    alphabet = list("abc theo  \n\t0129'.,!?<|>_-ÄéßΩЖ中文🙂\u200d\u0301\x00")
    return [
        "".join(generator.choice(alphabet, size=generator.integers(1, 40))) for _ in range(count)
    ]


@pytest.mark.parametrize("kind", ["gpt2", "llama_head_dim", "qwen2"])
def test_random_texts(kind: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    texts = random_texts(seed, 200)
    pair(kind).same(lambda m: m.to_tokens(texts), "tokens")
    pair(kind).same(lambda m: m.to_str_tokens(texts), "str tokens")
    pair(kind).same(lambda m: m.to_string(m.to_tokens(texts)), "string")
