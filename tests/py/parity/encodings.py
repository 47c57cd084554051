"""Encodings of `Tokenizer` and of `tokenizers.Tokenizer`, everything in them compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

LISTS = (
    "ids",
    "type_ids",
    "tokens",
    "offsets",
    "attention_mask",
    "special_tokens_mask",
    "word_ids",
    "sequence_ids",
)


def differing(ours: Any, theirs: Any, but: Sequence[str] = ()) -> str | None:
    """The first attribute in which two encodings differ, but for some; or None."""
    for name in LISTS:
        if name not in but and getattr(ours, name) != getattr(theirs, name):
            return name
    if "n_sequences" not in but and ours.n_sequences != theirs.n_sequences:
        return "n_sequences"
    if len(ours.overflowing) != len(theirs.overflowing):
        return "number of overflowing"
    for ours_part, theirs_part in zip(ours.overflowing, theirs.overflowing, strict=True):
        # whose text it was is not told of what overflowed: tokenizers drops it in some cases
        for name in LISTS[:-1]:
            if getattr(ours_part, name) != getattr(theirs_part, name):
                return f"overflowing {name}"
    return None


@dataclass
class Tally:
    """How many were compared and how many were equal; `wrong` describes the first that were not."""

    compared: int = 0
    equal: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, what: Any, difference: str | None) -> None:
        self.compared += 1
        if difference is None:
            self.equal += 1
        elif len(self.wrong) < 10:
            self.wrong.append(f"{difference}: {what!r:.300}")


def chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def compare_texts(ours: Any, theirs: Any, samples: list[str], tally: Tally) -> None:
    """Each text with and without special tokens: the encodings, and what decoding makes of the ids."""
    for part in chunks(samples, 256):
        found: list[str | None] = [None] * len(part)
        for special in (True, False):
            got = ours.encode_batch(part, add_special_tokens=special)
            want = theirs.encode_batch(part, add_special_tokens=special)
            for at, pair in enumerate(zip(got, want, strict=True)):
                found[at] = found[at] or differing(*pair)
            rows = [encoded.ids for encoded in want]
            # every other token: characters fall apart, as they do while a model writes
            for ids in (rows, [row[::2] for row in rows]) if special else ():
                for skipped in (True, False):
                    a = ours.decode_batch(ids, skip_special_tokens=skipped)
                    b = theirs.decode_batch(ids, skip_special_tokens=skipped)
                    for at, pair in enumerate(zip(a, b, strict=True)):
                        if pair[0] != pair[1]:
                            found[at] = found[at] or f"decoded (skip {skipped})"
        for text, difference in zip(part, found, strict=True):
            tally.add(text, difference)
