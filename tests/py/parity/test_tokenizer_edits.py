"""Encodings cut, filled up, joined and told their text, against tokenizers.Encoding: chains of random edits."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

import tokenizers
from transformer_lens_go.encoding import Encoding

from .encodings import differing
from .tokenizer_pairs import Both
from .tokenizer_texts import texts

KINDS = ["bert_json", "gpt2_json", "roberta", "t5", "llama2"]


def edit(rng: random.Random, made: list[tuple[Any, Any]]) -> tuple[str, tuple[Any, Any]]:
    """A random edit of a random pair of encodings, or a merge of several: in both libraries."""
    ours, theirs = made[rng.randrange(len(made))]
    side = rng.choice(["left", "right"])
    kind = rng.choice(["pad", "truncate", "truncate", "set", "merge"])
    if kind == "pad":
        length = rng.randint(0, 30)
        how = dict(direction=side, pad_id=rng.randint(0, 3), pad_type_id=1, pad_token="<p>")
        for encoding in (ours, theirs):
            encoding.pad(length, **how)
        return f"pad({length}, {how})", (ours, theirs)
    if kind == "truncate":
        length = rng.randint(0, 20)
        stride = rng.randrange(length) if length else 0
        for encoding in (ours, theirs):
            encoding.truncate(length, stride=stride, direction=side)
        return f"truncate({length}, {stride}, {side})", (ours, theirs)
    if kind == "set":
        text = rng.randint(0, 2)
        for encoding in (ours, theirs):
            encoding.set_sequence_id(text)
        return f"set_sequence_id({text})", (ours, theirs)
    # every part goes with every part of the others: soon more than memory holds
    few = [pair for pair in made if len(pair[1].overflowing) < 6]
    which = [rng.choice(few) for _ in range(rng.randint(1, 3))] if few else []
    growing = rng.random() < 0.5
    merged = (
        Encoding.merge([pair[0] for pair in which], growing_offsets=growing),
        tokenizers.Encoding.merge([pair[1] for pair in which], growing_offsets=growing),
    )
    return f"merge({growing})", merged


@pytest.mark.parametrize("name", KINDS)
def test_edits(name: str, both: Callable[[str], Both], seed: int, everything: bool) -> None:
    theirs, ours, _ = both(name)
    rng = random.Random(f"{seed}/{name}")
    samples = [text for _, text in texts(seed, 0.01) if len(text) < 60]
    for _ in range(300 if everything else 40):
        made = []
        for _ in range(3):
            inputs = [rng.choice(samples) for _ in range(rng.randint(1, 2))]
            made.append((ours.encode(*inputs), theirs.encode(*inputs)))
        said = []
        for _ in range(6):
            what, pair = edit(rng, made)
            said.append(what)
            assert differing(*pair) is None, (differing(*pair), said)
            made.append(pair)
