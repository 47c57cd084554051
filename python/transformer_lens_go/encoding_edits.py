"""Encodings that are changed after the fact: cut, filled up, joined, as `tokenizers.Encoding` does it.

Works on plain lists and knows nothing of the engine; `Encoding` turns into `Tokens` when it is first changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["COLUMNS", "Tokens", "filled", "joined", "parts"]

COLUMNS = (
    "ids",
    "type_ids",
    "attention_mask",
    "special_tokens_mask",
    "offsets",
    "tokens",
    "word_ids",
)


@dataclass
class Tokens:
    """The columns of an encoding, and where in them each text lies; no text at all where nobody said."""

    columns: dict[str, list] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["ids"])

    @property
    def n_sequences(self) -> int:
        return len(self.ranges) or 1

    def sequence_ids(self) -> list[int | None]:
        """The text of each token. A text that has no place of its own is all of them, as in tokenizers."""
        out: list[int | None] = [None] * len(self)
        for text in range(self.n_sequences):
            begin, end = self.ranges.get(text, (0, len(self)))
            out[begin:end] = [text] * (end - begin)
        return out


def ranges_of(sequence_ids: list[int | None]) -> dict[int, tuple[int, int]]:
    """Where each text lies."""
    out: dict[int, tuple[int, int]] = {}
    for at, text in enumerate(sequence_ids):
        if text is not None:
            out[text] = (out.get(text, (at, at))[0], at + 1)
    return out


def parts(tokens: Tokens, max_length: int, stride: int, left: bool) -> list[Tokens]:
    """Stretches of `max_length` tokens, each sharing `stride` with the one before; from the end when `left`."""
    size, step = len(tokens), max_length - stride
    out = []
    for at in range(0, size, step):
        begin, end = at, min(at + max_length, size)
        if left:
            begin, end = max(size - at - max_length, 0), size - at
        columns = {name: values[begin:end] for name, values in tokens.columns.items()}
        out.append(Tokens(columns))
        if (begin == 0) if left else (end == size):
            break
    return out


def filled(tokens: Tokens, length: int, left: bool, pad: dict[str, Any]) -> Tokens:
    """Filled up to `length` with the values of `pad` by column."""
    missing = length - len(tokens)
    if missing <= 0:
        return tokens
    columns = {}
    for name, values in tokens.columns.items():
        padding = [pad[name]] * missing
        columns[name] = padding + values if left else values + padding
    shift = missing if left else 0
    ranges = {text: (begin + shift, end + shift) for text, (begin, end) in tokens.ranges.items()}
    return Tokens(columns, ranges)


def joined(first: Tokens, second: Tokens, growing_offsets: bool) -> Tokens:
    """`second` behind `first`; with `growing_offsets` its offsets go on where those of `first` end."""
    last = first.columns["offsets"][-1:]
    start = last[0][1] if last and growing_offsets else 0
    columns = {name: values + second.columns[name] for name, values in first.columns.items()}
    moved = [(begin + start, end + start) for begin, end in second.columns["offsets"]]
    columns["offsets"] = first.columns["offsets"] + moved
    shift = len(first)
    ranges = {text: (begin + shift, end + shift) for text, (begin, end) in second.ranges.items()}
    return Tokens(columns, {**first.ranges, **ranges})
