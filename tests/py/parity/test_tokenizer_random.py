"""Random tokenizers, every component with random options, against tokenizers.Tokenizer: answers and refusals."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")

import tokenizers
from transformer_lens_go import Tokenizer

from .encodings import Tally, differing
from .random_batches import compare_batches
from .random_tokenizers import random_tokenizer
from .table import COUNTED
from .tokenizer_texts import texts_with

SAMPLE, WHOLE = 12, 600

# What Hugging Face reads and we refuse, with the reason that docs/tokenizers.md gives.
REFUSED = ("is empty once normalized", "is left to chance")


def tried(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What a call gives, or how it fails; a panic in Rust is not an Exception."""
    try:
        return call(), None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return None, error


def made(rng: random.Random) -> str:
    """A random tokenizer; Hugging Face's trainers do not manage every combination."""
    while True:
        text, error = tried(lambda: random_tokenizer(rng))
        if error is None:
            return text


def attributes_left_out(described: dict[str, Any]) -> tuple[str, ...]:
    """The differences that docs/tokenizers.md names."""
    post = described["post_processor"] or {}
    if post.get("type") == "Sequence" and post["processors"][-1]["type"] == "ByteLevel":
        return ("sequence_ids", "n_sequences")
    return ()


def difference(
    ours: Any, theirs: Any, text: str, special: bool, but: tuple[str, ...]
) -> str | None:
    want, refused = tried(lambda: theirs.encode(text, add_special_tokens=special))
    if refused is not None and not isinstance(refused, Exception):
        return None  # a panic, no answer
    got, error = tried(lambda: ours.encode(text, add_special_tokens=special))
    if refused or error:
        both = refused and error
        return None if both else f"encode: {refused or 'answered'!r:.200} but {error!r:.200}"
    found = differing(got, want, but)
    for ids in (want.ids, want.ids[::2]):
        for skipped in (True, False):
            text_want, panic = tried(lambda ids=ids, s=skipped: theirs.decode(ids, s))
            if panic is None and ours.decode(ids, skipped) != text_want:
                found = found or f"decoded {text_want!r:.80}"
    return found


def compare(described: str, samples: list[str], seed: str) -> tuple[Tally, Tally] | None:
    """Texts and batches by both libraries; None where both refuse the tokenizer."""
    theirs, refused = tried(lambda: tokenizers.Tokenizer.from_str(described))
    ours, error = tried(lambda: Tokenizer.from_str(described))
    if error is not None:
        assert refused is not None or any(reason in str(error) for reason in REFUSED), repr(error)
        return None
    assert refused is None, f"only Hugging Face refuses it: {refused!r}"
    assert (ours.truncation, ours.padding) == (theirs.truncation, theirs.padding)
    for core in (theirs, ours):
        core.no_truncation()
        core.no_padding()
    but, tally = attributes_left_out(json.loads(described)), Tally()
    written = tokenizers.Tokenizer.from_str(ours.to_str())
    for at, text in enumerate(samples):
        found = difference(ours, theirs, text, True, but) or difference(
            ours, theirs, text, False, but
        )
        if at % 8 == 0:
            found = found or difference(ours, written, text, True, but)
        tally.add(text, found)
    return tally, compare_batches(ours, theirs, samples, seed, 12, but)


def shown(described: str) -> str:
    """A tokenizer without its vocabulary."""
    whole = json.loads(described)
    for long in ("vocab", "merges"):
        whole["model"].pop(long, None)
    return json.dumps(whole, ensure_ascii=False)[:3000]


def test_random_tokenizers(
    seed: int, everything: bool, record_property: Callable[[str, Any], None]
) -> None:
    tokens = ["<s>", "</s>", "<new>", "<N>", "<unk>", "the", " a", "  ", "12"]
    samples = [text for _, text in texts_with(tokens, seed, 0.003)]
    count: Counter[str] = Counter()
    for number in range(WHOLE if everything else SAMPLE):
        described = made(random.Random(f"{seed}/{number}"))
        found = compare(described, samples, f"{seed}/{number}")
        if found is None:
            count["refused"] += 1
            continue
        for name, tally in zip(("texts", "batches"), found, strict=True):
            count[name] += tally.compared
            count[f"equal {name}"] += tally.equal
            assert not tally.wrong, "\n".join(
                [f"tokenizer {number}", *tally.wrong, shown(described)]
            )
    row = (count["texts"], count["equal texts"], count["batches"], count["equal batches"])
    record_property(COUNTED, ("random", "tokenizer.json, put together at random", *row))
    assert count["refused"] < (WHOLE if everything else SAMPLE) / 4
