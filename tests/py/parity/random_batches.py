"""Random batches of texts and pairs with truncation and padding, by both libraries."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from .encodings import Tally, differing


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


class Panic:
    """Hugging Face's library failed, rather than refused: that is no answer."""


def outcome(
    core: Any, apply: Callable[[Any], None], batch: list[Any], said: dict[str, bool]
) -> list[Any] | type[Panic] | None:
    """The encodings, None where the library refuses."""
    try:
        apply(core)
        return core.encode_batch(batch, **said)
    except Exception:
        return None
    except BaseException as failed:  # a panic in Rust is not an Exception
        if isinstance(failed, KeyboardInterrupt):
            raise
        # limits that leave no room for the stride are refused by a panic
        return None if "stride" in str(failed) else Panic


def no_room(
    apply: Callable[[Any], None], core: Any, batch: list[Any], said: dict[str, bool]
) -> bool:
    try:
        apply(core)
    except ValueError:
        return False  # which the other must say too
    room = core.truncation and core.truncation["max_length"]
    added = core.num_special_tokens_to_add(isinstance(batch[0], tuple))
    return bool(room and said["add_special_tokens"] and added > room)


def compare_batches(
    ours: Any, theirs: Any, samples: list[str], seed: str, count: int, but: Sequence[str] = ()
) -> Tally:
    """So many batches by both libraries; `but` are attributes of encodings that may differ.

    Left out are limits with no room for the special tokens: there we refuse, and Hugging Face cuts nothing.
    """
    tally, rng = Tally(), random.Random(seed)
    short = [text for text in samples if len(text) < 200]
    while tally.compared < count:
        apply = random_limits(rng)
        batch, said = random_batch(rng, short)
        if no_room(apply, theirs, batch, said):
            continue
        got, want = (outcome(core, apply, batch, said) for core in (ours, theirs))
        if want is Panic:
            continue
        what = (batch, said, theirs.truncation, theirs.padding)
        if got is None or want is None:
            tally.add(
                what, None if got is want else f"refused by {'us' if got is None else 'them'}"
            )
            continue
        differences = (differing(*pair, but) for pair in zip(got, want, strict=True))
        tally.add(what, next(filter(None, differences), None))
    return tally
