"""`Tokenizer` against tokenizers.Tokenizer, every attribute of every encoding: real vocabularies and trained kinds.

The sample of texts is small by default. With --all each tokenizer gets more than 20,000 texts, pairs with
truncation and padding, and texts of a megabyte; the counts go into docs/parity.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from .encodings import Tally, compare_texts, differing
from .table import COUNTED
from .tokenizer_pairs import KINDS, Both
from .tokenizer_texts import MEGABYTE, megabytes, texts_with

SAMPLE, WHOLE = 0.008, 0.7  # of the generator's texts: about 260 and 22,300


def own_tokens(core: Any) -> list[str]:
    """Its added tokens; of many alike (T5's sentinels) a few."""
    return [token.content for token in core.get_added_tokens_decoder().values()][:40]


def random_limits(rng: random.Random) -> Callable[[Any], None]:
    """Truncation and padding that are put into a tokenizer of either library."""
    cut = {
        "max_length": rng.choice([4, 5, 6, 7, 9, 12, 20, 40]),
        "stride": rng.choice([0, 0, 0, 1, 2]),
        "strategy": rng.choice(["longest_first", "longest_first", "only_first", "only_second"]),
        "direction": rng.choice(["right", "right", "left"]),
    }
    fill = {
        "direction": rng.choice(["right", "left"]),
        "pad_id": 1,
        "pad_type_id": rng.choice([0, 3]),
        "pad_token": "<pad>",
        "length": rng.choice([None, None, 16, 25]),
        "pad_to_multiple_of": rng.choice([None, None, 8, 3]),
    }
    truncating, padding = rng.random() < 0.8, rng.random() < 0.6

    def apply(core: Any) -> None:
        core.no_truncation()
        core.no_padding()
        if truncating:
            core.enable_truncation(**cut)
        if padding:
            core.enable_padding(**fill)

    return apply


def random_batch(rng: random.Random, samples: list[str]) -> tuple[list[Any], dict[str, bool]]:
    """Texts or pairs, whole or cut into words."""
    words = rng.random() < 0.2

    def text() -> Any:
        return (
            [rng.choice(samples) for _ in range(rng.randint(1, 4))]
            if words
            else rng.choice(samples)
        )

    pairs = rng.random() < 0.6
    batch = [(text(), text()) if pairs else text() for _ in range(rng.randint(1, 4))]
    return batch, {"is_pretokenized": words, "add_special_tokens": rng.random() < 0.8}


def outcomes(
    cores: tuple[Any, Any], apply: Callable[[Any], None], batch: list[Any], said: dict[str, bool]
) -> Iterator[list[Any] | None]:
    """The encodings of each library, None where it refuses."""
    for core in cores:
        try:
            apply(core)
            yield core.encode_batch(batch, **said)
        except BaseException as refused:  # a panic in Rust is not an Exception
            if isinstance(refused, KeyboardInterrupt):
                raise
            yield None


def compare_batches(ours: Any, theirs: Any, samples: list[str], seed: str, count: int) -> Tally:
    tally, rng = Tally(), random.Random(seed)
    short = [text for text in samples if len(text) < 200]
    while tally.compared < count:
        apply = random_limits(rng)
        batch, said = random_batch(rng, short)
        got, want = outcomes((ours, theirs), apply, batch, said)
        what = (batch, said, theirs.truncation, theirs.padding)
        if got is None or want is None:
            tally.add(
                what, None if got is want else f"refused by {'us' if got is None else 'them'}"
            )
            continue
        differences = (differing(*pair) for pair in zip(got, want, strict=True))
        tally.add(what, next(filter(None, differences), None))
    return tally


@pytest.mark.parametrize("name", KINDS)
def test_texts_and_batches(
    name: str,
    both: Callable[[str], Both],
    seed: int,
    everything: bool,
    record_property: Callable[[str, Any], None],
) -> None:
    theirs, ours, form = both(name)
    share = WHOLE if everything else SAMPLE
    samples = [text for _, text in texts_with(own_tokens(theirs), seed, share)]
    tally = Tally()
    compare_texts(ours, theirs, samples, tally)
    batches = compare_batches(ours, theirs, samples, f"{seed}/{name}", 500 if everything else 30)
    row = (tally.compared, tally.equal, batches.compared, batches.equal)
    record_property(COUNTED, (name, form, *row))
    assert not tally.wrong, "\n".join(tally.wrong)
    assert not batches.wrong, "\n".join(batches.wrong)
    assert ours.get_vocab() == theirs.get_vocab()


@pytest.mark.parametrize("name", KINDS)
def test_long_texts(name: str, both: Callable[[str], Both], seed: int, everything: bool) -> None:
    theirs, ours, _ = both(name)
    tally = Tally()
    for kind, text in megabytes(seed, MEGABYTE if everything else MEGABYTE >> 7).items():
        got, want = ours.encode(text), theirs.encode(text)
        difference = differing(got, want)
        if ours.decode(got.ids) != theirs.decode(want.ids):
            difference = difference or "decoded"
        tally.add(kind, difference)
    assert not tally.wrong, "\n".join(tally.wrong)
