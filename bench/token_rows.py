"""What is measured of tokenizers: the same calls of `tokenizers.Tokenizer` and `transformer_lens_go.Tokenizer`."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

SENTENCES = (
    "A language model reads tokens, and a tokenizer decides what those are.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "In 1984 about 12,345 people lived there; by 2024 there weren't 9,000 left (26.7 % fewer).",
    "The café's naïve owner paid 3 € for «déjà vu», and that's all there is to say.",
    "    for (int i = 0; i < n; ++i) { sum += weights[i] * x[i]; }  // O(n)\n",
    "def residual(x, block):\n    return x + block(x)\n\n",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "東京の天気は晴れ、気温は25度です。",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MEGABYTE = 1_000_000


@cache
def prose(seed: int, words: int) -> str:
    """Sentences with some words that nobody has seen before, so that no memory of words answers for all."""
    rng = random.Random(seed)
    out: list[str] = []
    while len(out) < words:
        for word in rng.choice(SENTENCES).split(" "):
            fresh = rng.random() < 0.1
            out.append("".join(rng.choices(LETTERS, k=rng.randint(3, 9))) if fresh else word)
    return " ".join(out[:words])


def _batch() -> list[str]:
    return [prose(seed, 40 + seed % 160) for seed in range(256)]


def offsets_too(encoded: Any) -> tuple[Any, Any]:
    return encoded.ids, encoded.offsets


@dataclass(frozen=True)
class TokenRow:
    """A line of the table: what is run, given a tokenizer and ids of the long text."""

    name: str
    run: Callable[[Any, list[int]], Any]
    tokens: Callable[[Any], int] | None
    """How many tokens a run makes or reads; None where the time of the whole is shown."""


def _single(name: str, text: str) -> list[TokenRow]:
    def count(t: Any) -> int:
        return len(t.encode(text).ids)

    return [
        TokenRow(f"one text of {name}, ids", lambda t, _: t.encode(text).ids, count),
        TokenRow(
            f"one text of {name}, ids and offsets",
            lambda t, _: offsets_too(t.encode(text)),
            count,
        ),
    ]


def _rows() -> list[TokenRow]:
    batch = _batch()

    def in_batch(t: Any) -> int:
        return sum(len(encoded.ids) for encoded in t.encode_batch(batch))

    def worst(name: str, text: str) -> TokenRow:
        return TokenRow(f"1 MB of {name}, ids", lambda t, _: t.encode(text).ids, None)

    return [
        *_single("12 words", prose(1, 12)),
        *_single("100 words", prose(2, 100)),
        *_single("5,000 words", prose(3, 5000)),
        TokenRow(
            "256 texts of 40 to 200 words, ids",
            lambda t, _: [encoded.ids for encoded in t.encode_batch(batch)],
            in_batch,
        ),
        TokenRow(
            "256 texts of 40 to 200 words, ids and offsets",
            lambda t, _: [offsets_too(encoded) for encoded in t.encode_batch(batch)],
            in_batch,
        ),
        TokenRow("decoding 20 ids", lambda t, ids: t.decode(ids[:20]), lambda _: 20),
        TokenRow("decoding 5,000 ids", lambda t, ids: t.decode(ids[:5000]), lambda _: 5000),
        worst("prose", prose(4, MEGABYTE // 5)[:MEGABYTE]),
        worst("'ab'", "ab" * (MEGABYTE // 2)),
        worst("spaces", " " * MEGABYTE),
        worst("one letter", "a" * MEGABYTE),
        worst("'汉'", "汉" * (MEGABYTE // 3)),
    ]


ROWS = _rows()
LONG = prose(3, 5000)
